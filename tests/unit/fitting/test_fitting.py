"""Laws of a whole fitting, by answers that were scripted: what is chosen, and what is promised."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from time import monotonic

import pytest

from smallfirst.catalogue import Example, Kind
from smallfirst.evaluation.rows import Row
from smallfirst.evaluation.scores import Said
from smallfirst.evaluation.thresholds import Aim
from smallfirst.fitting.asking import catalogue_of
from smallfirst.fitting.candidates import Candidate, Offer, offer_of, task_of
from smallfirst.fitting.card import card_of
from smallfirst.fitting.conclusions import headline, sentences
from smallfirst.fitting.dealing import dealt
from smallfirst.fitting.drafting import placeholder
from smallfirst.fitting.fitting import Fitting, Found, parts_of
from smallfirst.fitting.measured import Told
from smallfirst.fitting.page import fit_page
from smallfirst.jobs import Tier

WRITTEN = {"kind": "classify", "labels": {"a": "", "b": ""}}
TASK = placeholder(WRITTEN)
UNTOLD = "zanzibar"


def offer_with_large() -> Offer:
    """Linear, small, and one large model that is asked in two ways."""
    offer = offer_of(None, "topic", Kind.CLASSIFY, with_large=False)
    pools = {**offer.base["pools"], "gpu": {"tier": "llm", "max_parameters": "10B"}}
    model = {"tier": "llm", "source": "/models/large", "parameters": "8B"}
    models = {**offer.base["models"], "large": model}
    large = (
        Candidate("large, few-shot", Tier.LLM, {"model": "large"}, is_dear=True),
        Candidate("large, zero-shot", Tier.LLM, {"model": "large"}, {"shots": 0}, is_dear=True),
    )
    base = {**offer.base, "pools": pools, "models": models}
    return Offer(base, (*offer.candidates, *large))


class Scripted:
    """Answers each candidate's share of texts rightly, and guesses the others; seeded."""

    def __init__(self, fitting: Fitting, known: Mapping[str, float]) -> None:
        self._rows = {part.name: part.rows for part in parts_of(fitting.dealt)}
        self._known = known
        self.asked: list[tuple[str, str]] = []

    def ask(
        self, candidate: Candidate, part: str, *, until: float | None = None
    ) -> tuple[Told, ...]:
        """Answer all rows, unless time is up already."""
        if until is not None and monotonic() >= until:
            return ()
        self.asked.append((candidate.name, part))
        return tuple(self._told(candidate, row) for row in self._rows[part])

    def _told(self, candidate: Candidate, row: Row) -> Told:
        chance = random.Random(f"{candidate.name} {row.line}")
        right = row.example.label or ""
        is_known = chance.random() < self._known[candidate.name]
        word = right if is_known else chance.choice("ab")
        sure = chance.uniform(0.9, 1.0) if is_known else chance.uniform(0.5, 0.7)
        spread = {word: sure, "b" if word == "a" else "a": 1 - sure}
        cost = 1e-3 if candidate.is_dear else 1e-6
        return Told(Said(sure, word == right, word, spread, cost, 0, cost), "1")


def fitting_of(num_rows: int, *, budget: float = 60.0, target: float = 0.02) -> Fitting:
    """A fitting of so many rows, each of other words."""
    rows = [
        Row(
            n + 1, Example(text=f"{UNTOLD} w{chr(97 + n % 26)}{n // 26 * 'x'} q", label="ab"[n % 2])
        )
        for n in range(num_rows)
    ]
    parts = dealt(rows, TASK)
    offer, until = offer_with_large(), monotonic() + budget
    return Fitting("topic", TASK, WRITTEN, parts, offer, Aim(target), until)


def fitted(fitting: Fitting, known: Sequence[float]) -> tuple[Found, Scripted]:
    """What comes of it where each candidate knows such a share of the rows."""
    names = [each.name for each in fitting.offer.candidates]
    asking = Scripted(fitting, dict(zip(names, known, strict=True)))
    selection = fitting.selected(asking)
    chosen = tuple(fitting.offer.candidates[at] for at in selection.choice.places)
    catalogue = catalogue_of(fitting.offer, "topic", task_of(WRITTEN, chosen))
    return fitting.promised(asking, selection, catalogue), asking


def test_a_large_model_is_asked_where_it_adds_answers() -> None:
    """A cascade ends in the large model, in the way that knows more, behind the cheap one."""
    found, _ = fitted(fitting_of(1000), (0.6, 0.0, 0.9, 0.5))
    assert [each.name for each in found.chosen] == ["linear", "large, few-shot"]
    assert found.is_kept
    assert headline(found).startswith("A linear model answers ")
    assert "large, few-shot adds" in headline(found)


def test_a_large_model_that_adds_nothing_is_not_asked_about_the_promise() -> None:
    """Where the small ones answer as much, the dear one is asked about its sample alone."""
    found, asking = fitted(fitting_of(1000), (0.9, 0.2, 0.3, 0.3))
    assert [each.name for each in found.chosen] == ["linear"]
    assert ("large, few-shot", "promising") not in asking.asked
    samples = [each for each in found.standings if not each.is_on_promising]
    assert [each.candidate.name for each in samples] == ["large, few-shot", "large, zero-shot"]


def test_no_large_model_is_asked_without_a_budget() -> None:
    """Where the time is up before they begin, the others are fitted without them."""
    found, asking = fitted(fitting_of(400, budget=0.0), (0.8, 0.5, 0.9, 0.9))
    assert not any("large" in name for name, _ in asking.asked)
    assert found.promise is not None


@pytest.mark.parametrize("num_rows", [100, 300])
def test_few_rows_get_the_smallest_target_that_they_bear(num_rows: int) -> None:
    """What was asked for is NOT promised, the page and the sentences say so, with what it takes."""
    found, _ = fitted(fitting_of(num_rows, budget=0.0), (0.8, 0.5, 0.9, 0.9))
    assert found.promise is not None
    assert found.promise.target > 0.02
    assert not found.is_kept
    said = " ".join(sentences(found))
    assert "NOT the 2 %" in said
    assert "more labelled rows" in said
    assert "a large model is the tool for now" in said


def test_models_that_know_nothing_are_promised_nothing() -> None:
    """Where every answer is a guess nothing is promised at any target, and a better model named."""
    found, _ = fitted(fitting_of(600, budget=0.0), (0.0, 0.0, 0.0, 0.0))
    assert found.promise is None
    assert "nothing is promised" in headline(found)
    assert "no number of rows would do" in " ".join(sentences(found))
    assert card_of(found)["promise"] is None


def test_the_page_says_what_the_terminal_says_and_no_row() -> None:
    """The headline, the figures and the frontier are there; no text of a row is."""
    found, _ = fitted(fitting_of(1000), (0.6, 0.2, 0.9, 0.5))
    page = fit_page(found, ["smallfirst check it"])
    assert page.count("<svg") == 2
    assert headline(found).replace(" %", "\N{NO-BREAK SPACE}%") in page
    assert "smallfirst check it" in page
    assert UNTOLD not in page
    assert "<script" not in page


class OfOneFold(Scripted):
    """Answers for a dear candidate in the first fold alone, as one does that is trained for it."""

    def ask(
        self, candidate: Candidate, part: str, *, until: float | None = None
    ) -> tuple[Told, ...]:
        """Say nothing of other folds."""
        if candidate.is_dear and part not in {"fold-0", "promising"}:
            return ()
        return super().ask(candidate, part, until=until)


@pytest.mark.parametrize(("tuned", "chosen"), [(0.95, "tuned"), (0.1, "linear")])
def test_a_tuned_model_is_chosen_by_the_rows_of_one_fold(tuned: float, chosen: str) -> None:
    """It is compared with the others on the rows that they all answered, however many parts."""
    fitting = fitting_of(1000)
    plain = offer_of(None, "topic", Kind.CLASSIFY, with_large=False)
    model = Candidate("tuned", Tier.SLM, {"model": "tuned"}, is_dear=True)
    models = {**plain.base["models"], "tuned": {"source": "/models/tuned"}}
    offer = Offer({**plain.base, "models": models}, (*plain.candidates, model))
    fitting = replace(fitting, offer=offer)
    asking = OfOneFold(fitting, {"linear": 0.5, "minilm": 0.3, "tuned": tuned})
    selection = fitting.selected(asking)
    num_judges = {True: len(fitting.dealt.folds[0].judges), False: len(fitting.dealt.learning)}
    assert selection.num_judges == num_judges[chosen == "tuned"]
    names = [offer.candidates[at].name for at in selection.choice.places]
    assert chosen in names
    assert ("tuned" in names) == (chosen == "tuned")
