"""What an evaluation says in words: losses as plainly as gains."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from smallfirst.acceptance import Acceptance
from smallfirst.catalogue import Promise, StepPromise
from smallfirst.evaluation.conclusions import headline, promise_kept, sentences, verdict
from smallfirst.evaluation.evaluating import Evaluation, evaluate
from smallfirst.evaluation.scores import Said, ScoredRow, Scores, StepAbout
from smallfirst.jobs import Tier


def rows(*kinds: tuple[int, tuple[float, bool], tuple[float, bool]]) -> Iterator[ScoredRow]:
    """So many rows each, with what the small and the large model say: how surely, and if right."""
    number = 0
    for count, *words in kinds:
        for _ in range(count):
            number += 1
            said = [
                Said(sure, is_right, "yes" if is_right else "no", seconds=cost, cost=cost)
                for (sure, is_right), cost in zip(words, (1.0, 10.0), strict=True)
            ]
            yield ScoredRow(f"{number:016x}", "yes", tuple(said))


def evaluated(
    *kinds: tuple[int, tuple[float, bool], tuple[float, bool]], bar: float = 0.5
) -> Evaluation:
    """A small model that escalates below the bar, and a large one ten times as dear."""
    steps = (StepAbout(0, Tier.SLM, "small", "1"), StepAbout(1, Tier.LLM, "large", "1"))
    return evaluate(
        Scores("topic", "USD", steps, tuple(rows(*kinds))),
        [Acceptance(threshold=bar), Acceptance()],
    )


SURE_AND_RIGHT = (800, (0.9, True), (0.9, True))


def test_a_cascade_that_saves_wins() -> None:
    """As right as the large model, for less: a win, and by how much."""
    found = evaluated(SURE_AND_RIGHT, (200, (0.2, False), (0.9, True)))
    assert found.comparison.rival.name == "large alone"
    assert verdict(found).startswith("The cascade wins")
    assert "70 % less" in verdict(found)
    assert "LOSES" not in " ".join(sentences(found))


def test_a_cascade_that_saves_nothing_loses() -> None:
    """Where the small model alone is as right, to ask the large one besides is a loss."""
    found = evaluated(SURE_AND_RIGHT, (200, (0.2, True), (0.9, True)))
    assert found.comparison.rival.name == "small alone"
    assert verdict(found).startswith("The cascade LOSES: it costs 200 % more")
    assert "costs USD 3,000,000.00 per million" in headline(found)


def test_a_cascade_that_is_sure_of_its_errors_loses_to_lots() -> None:
    """A confidence upside down is worse than chance, and the report says so."""
    found = evaluated((500, (0.9, False), (0.9, True)), (500, (0.2, True), (0.9, True)))
    said = " ".join(sentences(found))
    assert "The cascade LOSES to lots" in said
    assert "The cascade LOSES at its own cost" in said


def test_a_cascade_that_accepts_nothing_says_so() -> None:
    """Without one accepted answer there is nothing to praise."""
    steps = (StepAbout(0, Tier.SLM, "small", "1"), StepAbout(1, Tier.LLM, "large", "1"))
    scored = Scores("topic", "USD", steps, tuple(rows(SURE_AND_RIGHT)))
    found = evaluate(scored, [Acceptance(threshold=1.0), Acceptance(threshold=1.0)])
    assert "accepts no answer" in verdict(found)
    assert sentences(found)


def test_abstaining_too_much_is_told_with_the_remedy() -> None:
    """Where a step alone is right more often at no more cost, its `accept` is what to lower."""
    steps = (StepAbout(0, Tier.SLM, "small", "1"), StepAbout(1, Tier.LLM, "large", "1"))
    scored = Scores(
        "topic", "USD", steps, tuple(rows(SURE_AND_RIGHT, (200, (0.6, True), (0.6, False))))
    )
    found = evaluate(scored, [Acceptance(threshold=0.8), Acceptance(threshold="never")])
    said = " ".join(sentences(found))
    assert "small alone is right in 100.0 % of all rows at the same cost" in said
    assert "the cascade abstains from 20.0 % of them. Lower the `accept` of small (0.8)" in said
    assert "larger target" not in said


def test_a_step_that_answers_all_more_rightly_is_to_be_asked_alone() -> None:
    """Where nothing is abstained from, no threshold is to blame."""
    found = evaluated(SURE_AND_RIGHT, (200, (0.2, True), (0.9, False)))
    assert any("small alone is right in 100.0 %" in said for said in sentences(found))
    assert any(said.endswith("ask it alone.") for said in sentences(found))


def test_rows_that_a_step_failed_on_are_named() -> None:
    """By their lines, with the first one's reason."""
    failed = Said(0.0, is_right=False, problem="There is nothing to read.")
    good = Said(0.9, is_right=True, said="yes")
    rows = [ScoredRow(str(n), "yes", (failed if n < 7 else good,), line=n + 1) for n in range(200)]
    steps = (StepAbout(0, Tier.SLM, "small", "1"),)
    found = evaluate(Scores("topic", "USD", steps, tuple(rows)), [Acceptance()])
    assert sentences(found)[-1] == (
        "Step 0 (small) failed on 7 of 200 rows, which count as not answered by it: lines 1, 2, 3,"
        " 4, 5 and more (There is nothing to read)."
    )


def test_a_void_promise_is_told() -> None:
    """A step calibrated for another revision is named, with the remedy."""
    steps = (StepAbout(0, Tier.SLM, "small", "1"), StepAbout(1, Tier.LLM, "large", "1"))
    scored = Scores("topic", "USD", steps, tuple(rows(SURE_AND_RIGHT)))
    found = evaluate(scored, [Acceptance(revision="another"), Acceptance()])
    assert any("another revision" in sentence for sentence in sentences(found))


def promise(target: float) -> Promise:
    """A promise of which only the target matters."""
    step = StepPromise(
        tier=Tier.SLM, model="small", spec="0" * 16,
        acceptance=Acceptance(threshold=0.5, revision="1"),
        share_answered=1.0, num_tested=100, num_wrong=0, error_bound=0.03,
    )  # fmt: skip
    return Promise(
        task="topic", target=target, confidence=0.95, num_rows=200, num_tested=100,
        num_accepted=100, num_wrong=0, error_bound=0.03, share_answered=1.0, cost_per_job=1.0,
        currency="USD", abstention_cost=0.0, num_distinct=100, data="0" * 16,
        made_at=datetime(2026, 11, 23, tzinfo=UTC), steps=(step,),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("target", "word"), [(0.05, "kept"), (0.018, "by chance"), (0.005, "BROKEN")]
)
def test_a_promise_is_held_against_the_rows(target: float, word: str) -> None:
    """20 errors in 1,000: within 5 %, a little above 1.8 %, and beyond chance above 0.5 %."""
    found = evaluated((980, (0.9, True), (0.9, True)), (20, (0.9, False), (0.9, True)))
    assert word in promise_kept(found.cascade, promise(target))
    nothing = replace(found.cascade, accepted=0.0, right=0.0)
    assert "nothing was accepted" in promise_kept(nothing, promise(target))
