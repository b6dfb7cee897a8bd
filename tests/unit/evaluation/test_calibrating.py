"""From scores to a promise: what is written, and of what."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from smallfirst.catalogue import Catalogue, Promise, step_specs
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.evaluation.alternatives import cascade, outcome
from smallfirst.evaluation.answers import answers_of
from smallfirst.evaluation.calibrating import (
    Origin,
    calibrate,
    check_calibratable,
    fitting_part,
    shuffled,
    tighter_promise,
)
from smallfirst.evaluation.errors import NothingToChoose
from smallfirst.evaluation.promises import in_words, why_unsupported
from smallfirst.evaluation.scores import Said, ScoredRow, Scores, StepAbout
from smallfirst.evaluation.thresholds import Aim, Unsupported
from smallfirst.jobs import Tier

CATALOGUE = """\
version: 1
pools:
  cpu: {tier: slm, max_parameters: 50M}
  gpu: {tier: llm, max_parameters: 10B}
models:
  mini: {source: bundled:minilm}
  large: {tier: llm, source: ./large, parameters: 1B}
tasks:
  topic:
    kind: classify
    labels: {a: A., b: B., c: C.}
    examples: [{text: x, label: a}]
    cascade: [{model: mini}, {model: large}]
"""
SEED = 20_261_123


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    """A cascade of two models."""
    path = tmp_path / "catalogue.yaml"
    path.write_text(CATALOGUE)
    return load_catalogue(path)


def scores_of(num_rows: int, *, rare: float = 0.2, worst: float = 0.35) -> Scores:
    """Draw what two steps say: the first too sure of itself, the second seldom wrong."""
    random = np.random.default_rng(SEED)
    rows = []
    for number in range(num_rows):
        right = str(random.choice(["a", "b", "c"], p=[(1 - rare) / 2, (1 - rare) / 2, rare]))
        small = _said(random, right, float(random.uniform(worst, 1.0)) ** 2, cost=1.0)
        large = _said(random, right, 0.97, cost=50.0)
        rows.append(ScoredRow(f"{number:016x}", right, (small, large)))
    steps = (StepAbout(0, Tier.SLM, "mini", "r0"), StepAbout(1, Tier.LLM, "large", "r1"))
    return Scores("topic", "USD", steps, tuple(rows))


def _said(random: np.random.Generator, right: str, chance: float, *, cost: float) -> Said:
    """Be right with a chance of `chance`, and say that it is its square root."""
    others = [label for label in ("a", "b", "c") if label != right]
    said = right if random.random() < chance else str(random.choice(others))
    confidence = max(0.4, round(chance**0.5, 6))
    rest = (1 - confidence) / 2
    distribution = dict.fromkeys(("a", "b", "c"), rest) | {said: confidence}
    return Said(confidence, said == right, said, distribution, cost=cost)


def origin_of(catalogue: Catalogue) -> Origin:
    """Some day."""
    return Origin(catalogue, datetime(2026, 11, 1, tzinfo=UTC))


def promise_of(catalogue: Catalogue, scores: Scores, aim: Aim) -> Promise:
    """Calibrate where it is known to succeed."""
    found = calibrate(scores, aim, origin_of(catalogue))
    assert isinstance(found, Promise)
    return found


def test_a_promise_says_what_it_is_made_of(catalogue: Catalogue) -> None:
    """Every step has its revision and the hash of its spec; shares and costs add up."""
    promise = promise_of(catalogue, scores_of(2000), Aim(0.06))
    assert [step.acceptance.revision for step in promise.steps] == ["r0", "r1"]
    specs = step_specs(catalogue.tasks["topic"], catalogue.models)
    assert tuple(step.spec for step in promise.steps) == specs
    shares = sum(step.share_answered for step in promise.steps)
    assert shares == pytest.approx(promise.share_answered, abs=1e-5)
    assert sum(step.num_tested for step in promise.steps) == promise.num_accepted
    assert promise.error_bound <= 0.06
    assert 1.0 <= promise.cost_per_job <= 51.0
    assert f"{promise.num_wrong} of {promise.num_accepted:,} were" in in_words(promise)


def test_a_promise_says_what_its_testing_rows_were_like(catalogue: Catalogue) -> None:
    """Each step is counted on the rows that reach it; labels are those that stand."""
    scores = scores_of(2000)
    rows = (replace(row, num_chars=40 + 100 * (n % 2)) for n, row in enumerate(scores.rows))
    promise = promise_of(catalogue, replace(scores, rows=tuple(rows)), Aim(0.06))
    assert promise.reference is not None
    assert promise.reference.num_rows == promise.num_tested
    told = {(str(each.what), each.step): each.counts for each in promise.reference.quantities}
    lengths, labels = told["length", None], told["label", None]
    assert {name for name, number in lengths.items() if number} == {"32", "128"}
    assert sum(lengths.values()) == promise.num_tested
    assert list(labels) == ["a", "b", "c", ""]
    first, second = told["escalation", 0], told["escalation", 1]
    assert first["accepted"] == promise.steps[0].num_tested
    assert first["escalated"] == second["accepted"] + second["escalated"]
    assert sum(labels.values()) == first["accepted"] + second["accepted"]
    assert sum(told["confidence", 1].values()) == first["escalated"]


def test_rows_whose_length_nobody_counted_say_nothing_of_it(catalogue: Catalogue) -> None:
    """As those of a version before: better no reference than one of empty texts."""
    promise = promise_of(catalogue, scores_of(1000), Aim(0.06))
    assert promise.reference is not None
    assert "length" not in {each.what for each in promise.reference.quantities}


def thresholds_of(promise: Promise) -> list[tuple[float, float]]:
    """What each step accepts by, and what it accepts by while jobs have drifted."""
    assert promise.cautious is not None
    pairs = zip(promise.steps, promise.cautious.thresholds, strict=True)
    return [
        (as_number(step.acceptance.threshold), as_number(cautious.threshold))
        for step, cautious in pairs
    ]


def as_number(threshold: float | str) -> float:
    """What stands for `never` is beyond all others."""
    return np.inf if isinstance(threshold, str) else threshold


@pytest.mark.parametrize("target", [0.06, 0.1, 0.2])
def test_cautious_thresholds_keep_half_of_the_target_and_let_nothing_stand_besides(
    catalogue: Catalogue, target: float
) -> None:
    """Each is as strict at least; on as many rows again errors are half of what is promised."""
    scores = scores_of(4000)
    promise = promise_of(catalogue, scores, Aim(target))
    assert promise.cautious is not None
    assert all(usual <= cautious for usual, cautious in thresholds_of(promise))
    assert promise.cautious.target == target / 2
    assert promise.cautious.share_answered <= promise.share_answered
    acceptances = [
        step.acceptance.model_copy(update={"raised": raised})
        for step, raised in zip(promise.steps, promise.cautious.thresholds, strict=True)
    ]
    answers = answers_of(scores, acceptances)
    found = outcome(cascade(answers), answers)
    assert found.coverage == pytest.approx(promise.cautious.share_answered, abs=1e-5)
    assert (found.error or 0.0) <= target / 2


def test_where_the_rows_bear_no_half_target_nothing_stands(catalogue: Catalogue) -> None:
    """While jobs have drifted; the promise itself is made all the same."""
    promise = promise_of(catalogue, scores_of(400), Aim(0.06))
    assert promise.cautious is not None
    assert [each.threshold for each in promise.cautious.thresholds] == ["never", "never"]
    assert promise.cautious.share_answered == 0.0


def test_a_label_that_is_promised_apart_is_cautious_apart(catalogue: Catalogue) -> None:
    """Of each label that stands then, the threshold is as high at least."""
    promise = promise_of(catalogue, scores_of(6000, rare=0.3), Aim(0.2, is_per_label=True))
    assert promise.cautious is not None
    for step, cautious in zip(promise.steps, promise.cautious.thresholds, strict=True):
        usual = step.acceptance.by_label or {}
        assert cautious.by_label is not None
        assert all(usual[label] <= value for label, value in cautious.by_label.items())


def test_a_model_that_is_too_sure_is_softened(catalogue: Catalogue) -> None:
    """The first step says the root of its chance, so its temperature comes out above 1."""
    promise = promise_of(catalogue, scores_of(2000), Aim(0.06))
    assert promise.steps[0].acceptance.temperature > 1.1


def test_a_smaller_target_that_holds_as_well_is_found(catalogue: Catalogue) -> None:
    """Asked for 30 %, rows that bear far less name the target that answers as many."""
    scores, aim = scores_of(1000, worst=0.95), Aim(0.3)
    kept = promise_of(catalogue, scores, aim)
    tighter = tighter_promise(kept, scores, aim, origin_of(catalogue))
    assert tighter is not None
    assert kept.error_bound <= tighter.target <= 0.2
    assert tighter.error_bound <= tighter.target
    assert tighter.share_answered >= 0.99 * kept.share_answered
    assert tighter_promise(tighter, scores, Aim(tighter.target), origin_of(catalogue)) is None


def test_the_order_of_rows_changes_nothing(catalogue: Catalogue) -> None:
    """The same rows in another order give the same promise, digit for digit."""
    scores = scores_of(1500)
    turned = Scores(scores.task, scores.currency, scores.steps, scores.rows[::-1])
    one, other = (promise_of(catalogue, each, Aim(0.06)) for each in (scores, turned))
    assert one.model_copy(update={"cost_per_job": 0.0}) == other.model_copy(
        update={"cost_per_job": 0.0}
    )


def test_the_split_goes_by_the_rows_themselves() -> None:
    """The fitting part is of its size, and one row more deals all of them anew."""
    one, other = (shuffled(scores_of(number)).rows for number in (1000, 1001))
    assert fitting_part(one, 300).sum() == 300
    assert {row.key for row in one[:300]} != {row.key for row in other[:300]}


def test_different_texts_that_are_alike_choose_or_test_and_never_both() -> None:
    """A template goes whole into one part; a text that comes again is dealt row by row."""
    said = (Said(0.9, is_right=True, said="a"),)
    rows = [ScoredRow(f"{at // 2:016x}", "a", said, cluster=at // 10) for at in range(1000)]
    same = [ScoredRow("f" * 16, "a", said, cluster=5000) for _ in range(200)]

    dealt = shuffled(Scores("topic", "USD", (), (*rows, *same))).rows
    is_fit = fitting_part(dealt, 300)

    sides = {row.cluster: set() for row in dealt}  # type: dict[int | None, set[bool]]
    for row, side in zip(dealt, is_fit.tolist(), strict=True):
        sides[row.cluster].add(side)
    assert {len(side) for cluster, side in sides.items() if cluster != 5000} == {1}
    assert sides[5000] == {True, False}


def test_labels_have_thresholds_of_their_own(catalogue: Catalogue) -> None:
    """Promised apart, each label that is accepted has its threshold; a rare one is named."""
    promise = promise_of(catalogue, scores_of(1500, rare=0.01), Aim(0.1, is_per_label=True))
    first, last = promise.steps
    named = {*(first.acceptance.by_label or {}), *(last.acceptance.by_label or {})}
    assert promise.labels_never_accepted == ("c",)
    assert named == {"a", "b"}


def test_what_cannot_be_promised_is_said_in_words(catalogue: Catalogue) -> None:
    """Two hundred rows bear no promise of 1 %, and the sentence tells how many might."""
    aim = Aim(0.01)
    found = calibrate(scores_of(200), aim, origin_of(catalogue))
    assert isinstance(found, Unsupported)
    assert "it takes 299 accepted rows in testing" in why_unsupported(found, aim)


def test_too_few_rows_and_cascades_without_a_model_are_refused(catalogue: Catalogue) -> None:
    """Nothing is asked where nothing could be chosen."""
    task = catalogue.tasks["topic"]
    with pytest.raises(NothingToChoose, match="has 9 rows left"):
        check_calibratable("topic", task, 9, Aim(0.02))
    with pytest.raises(NothingToChoose, match="no step with a model"):
        check_calibratable("topic", task.model_copy(update={"cascade": ()}), 99, Aim(0.02))
