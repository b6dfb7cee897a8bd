"""What a cascade is compared with: sums over what every step said of the same rows."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallfirst.acceptance import Acceptance
from smallfirst.evaluation.alternatives import (
    Alternative,
    Way,
    alone,
    cascade,
    cheapest_equal,
    equal_step,
    mixture,
    outcome,
    random_escalation,
    surest,
)
from smallfirst.evaluation.answers import Answers, answers_of
from smallfirst.evaluation.evaluating import evaluate
from smallfirst.evaluation.figures import cascade_curve, reliability, step_curve
from smallfirst.evaluation.intervals import mcnemar, of_difference, of_share
from smallfirst.evaluation.scores import Said, ScoredRow, Scores, StepAbout
from smallfirst.jobs import Tier

TIERS = (Tier.SLM, Tier.SLM, Tier.LLM)


def scores(rows: Sequence[Sequence[Said]]) -> Scores:
    """What steps named after their places said; the right answer is always `yes`."""
    steps = tuple(
        StepAbout(place, TIERS[place], f"model-{place}", "1") for place in range(len(rows[0]))
    )
    scored = tuple(ScoredRow(f"{n:016x}", "yes", tuple(said)) for n, said in enumerate(rows))
    return Scores("topic", "USD", steps, scored)


def said(confidence: float, *, right: bool = True, cost: float = 0.0, seconds: float = 0.0) -> Said:
    """One step's word."""
    word = "yes" if right else "no"
    return Said(confidence, right, word, seconds=seconds, waited_seconds=seconds, cost=cost)


@st.composite
def said_by_steps(draw: st.DrawFn, max_steps: int = 3) -> Scores:
    """Rows that every step has an answer to."""
    amounts = st.floats(0, 10)
    word = st.builds(
        lambda sure, is_right, cost, seconds: said(
            sure, right=is_right, cost=cost, seconds=seconds
        ),
        st.sampled_from([0.1, 0.25, 0.5, 0.75, 0.9, 1.0]),
        st.booleans(),
        amounts,
        amounts,
    )
    num_steps = draw(st.integers(1, max_steps))
    rows = st.lists(st.lists(word, min_size=num_steps, max_size=num_steps), min_size=1, max_size=30)
    return scores(draw(rows))


def acceptance(threshold: float) -> Acceptance:
    """A threshold; above 1 the step is asked, and nothing that it says stands."""
    return Acceptance(revision="another") if threshold > 1 else Acceptance(threshold=threshold)


def laid_out(found: Scores, *thresholds: float) -> Answers:
    """Arrays, with the same threshold for every step where only one is given."""
    wanted = thresholds if len(thresholds) > 1 else thresholds * len(found.steps)
    return answers_of(found, [acceptance(threshold) for threshold in wanted])


def figures(found: Alternative) -> list[float]:
    """What can be compared of two alternatives."""
    return [found.accepted, found.right, found.cost, found.seconds, found.latency_seconds]


def test_an_equal_single_step_is_named_only_where_there_is_one() -> None:
    """The cheapest that answers as much and as well as the cascade, within one point."""
    small = [said(0.4 if n < 20 else 0.9, right=n >= 20, cost=1.0) for n in range(100)]
    large = [said(0.9, cost=9.0) for _ in range(100)]
    larger = [said(0.9, cost=30.0) for _ in range(100)]
    rows = [list(row) for row in zip(small, large, larger, strict=True)]
    names = ["small", "large", "larger"]
    assert equal_step(laid_out(scores(rows), 0.5), names) == 1
    assert equal_step(laid_out(scores(rows), 0.1), names) == 0
    both = [[a, said(b.confidence, right=n < 50, cost=9.0)] for n, (a, b, _) in enumerate(rows)]
    assert equal_step(laid_out(scores(both), 0.5), names[:2]) is None


@settings(deadline=None)
@given(said_by_steps())
def test_a_cascade_that_accepts_everything_is_its_first_step(found: Scores) -> None:
    """With thresholds of 0 nobody but the first step is asked or paid."""
    answers = laid_out(found, 0.0)
    ours = outcome(cascade(answers), answers)
    assert figures(ours) == pytest.approx(figures(outcome(alone(answers, 0, "first"), answers)))
    assert ours.answered_by == (len(found.rows), *[0] * (len(found.steps) - 1))


@settings(deadline=None)
@given(said_by_steps())
def test_a_cascade_that_accepts_nothing_pays_every_step(found: Scores) -> None:
    """With thresholds above 1 every row is abstained from, after every step was asked."""
    answers = laid_out(found, 1.1)
    ours = outcome(cascade(answers), answers)
    whole = sum(each.cost for row in found.rows for each in row.said)
    assert (ours.accepted, ours.error, ours.error_interval) == (0, None, None)
    assert ours.cost * len(found.rows) == pytest.approx(whole)


@settings(deadline=None)
@given(said_by_steps(), st.sampled_from([0.0, 0.2, 0.5, 0.8, 1.0]))
def test_costs_and_seconds_add_up_job_by_job(found: Scores, bar: float) -> None:
    """A job pays the steps up to the one whose answer stands, and no more."""
    answers = laid_out(found, bar)
    ours = outcome(cascade(answers), answers)
    cost = latency = accepted = 0.0
    for row in found.rows:
        for each in row.said:
            cost, latency = cost + each.cost, latency + each.seconds + each.waited_seconds
            if each.stands(bar):
                accepted += 1
                break
    sums = [ours.cost * len(found.rows), ours.latency_seconds * len(found.rows), ours.accepted]
    assert sums == pytest.approx([cost, latency, accepted])
    assert sum(ours.answered_by) == ours.accepted


@settings(deadline=None)
@given(said_by_steps(), st.sampled_from([0.2, 0.5, 0.8, 1.0]))
def test_lots_escalate_as_often_and_are_as_good_as_the_steps_between(
    found: Scores, bar: float
) -> None:
    """By lot each step answers as many as in the cascade, as rightly as it does on the whole."""
    answers = laid_out(found, bar)
    plan = cascade(answers)
    by_lot = outcome(random_escalation(answers, plan), answers)
    assert by_lot.answered_by == pytest.approx(outcome(plan, answers).answered_by)
    if by_lot.error is not None:
        errors = [outcome(alone(answers, n, ""), answers).error for n in range(len(found.steps))]
        known = [error for error in errors if error is not None]
        assert min(known) - 1e-9 <= by_lot.error <= max(known) + 1e-9


def test_what_a_rule_does_not_match_is_no_matter_of_luck() -> None:
    """By lot a rule answers what it matches: it has nothing to say of the rest."""
    rows = [[said(1.0), said(0.9)]] * 3 + [[said(0.0, right=False), said(0.9, right=False)]] * 5
    answers = laid_out(scores(rows), 0.0)
    plan = cascade(answers)
    by_lot = outcome(random_escalation(answers, plan), answers)
    assert (by_lot.answered_by, by_lot.right) == ((3.0, 5.0), 3.0)
    assert figures(by_lot) == pytest.approx(figures(outcome(plan, answers)))


@settings(deadline=None)
@given(said_by_steps())
def test_a_mixture_costs_what_it_is_to_cost(found: Scores) -> None:
    """A mixture of two steps costs as much as the cascade, and is as right as its parts allow."""
    answers = laid_out(found, 0.8)
    cost = outcome(cascade(answers), answers).cost
    singles = [alone(answers, step, str(step)) for step in range(len(found.steps))]
    mixed = mixture(answers, cost, singles)
    outcomes = [outcome(single, answers) for single in singles]
    if mixed is None:
        costs = [each.cost for each in outcomes]
        assert len(set(costs)) == 1 or not min(costs) <= cost <= max(costs)
        return
    ours = outcome(mixed, answers)
    assert ours.cost == pytest.approx(cost)
    assert min(o.right for o in outcomes) - 1e-6 <= ours.right
    assert ours.right <= max(o.right for o in outcomes) + 1e-6


@settings(deadline=None)
@given(said_by_steps(), st.integers(0, 30))
def test_the_surest_answers_are_the_surest(found: Scores, wanted: int) -> None:
    """As many stand as were asked for, and none that does not is surer than one that does."""
    num = min(wanted, len(found.rows))
    answers = laid_out(found, 0.0)
    plan = surest(answers, 0, num, "first")
    stands = plan.answered[:, 0] > 0
    assert stands.sum() == num
    if 0 < num < len(found.rows):
        assert answers.confidences[stands, 0].min() >= answers.confidences[~stands, 0].max()


def test_lots_are_drawn_only_where_confidence_chooses() -> None:
    """A rule answers what it matches: where nothing else decides there is nothing to draw for."""
    rows = [[said(float(n < 4)), said(0.9)] for n in range(10)]
    ways = [each.way for each in evaluate(scores(rows), [Acceptance(), Acceptance()]).alternatives]
    assert Way.RANDOM not in ways
    rows = [[said(0.4 + n / 20), said(0.9)] for n in range(10)]
    ways = [
        each.way
        for each in evaluate(scores(rows), [Acceptance(threshold=0.6), Acceptance()]).alternatives
    ]
    assert Way.RANDOM in ways


def test_who_cannot_answer_as_much_is_no_rival() -> None:
    """A rule that matches little is not measured at the cascade's coverage; a model is."""
    rows = [[said(0.0, right=False), said(0.4 + n / 20, cost=1.0)] for n in range(10)]
    rows[0] = [said(1.0), said(0.9, cost=1.0)]
    found = evaluate(scores(rows), [Acceptance(), Acceptance(threshold=0.5)])
    matched = [each for each in found.alternatives if each.way is Way.SUREST]
    assert [each.steps for each in matched] == [(1,)]
    assert matched[0].accepted == found.cascade.accepted


def single(accuracy: float, cost: float) -> Alternative:
    """A single step, as far as the choice of a rival looks at it."""
    right = accuracy * 1000
    return Alternative(Way.ALONE, "x", (0,), 1000, 1000, right, (1000,), cost, 1.0, 1.0)


def test_the_rival_is_the_cheapest_that_is_equal() -> None:
    """A dear model no better than a cheap one is no yardstick, nor is a cheap one that is worse."""
    rivals = [single(0.80, 1), single(0.905, 3), single(0.95, 9)]
    assert cheapest_equal(rivals, single(0.91, 2)) == 1
    assert cheapest_equal(rivals, single(0.93, 2)) == 2
    assert cheapest_equal(rivals, single(0.79, 2)) == 0
    assert cheapest_equal([single(0.90, 1), single(0.905, 9)], single(0.97, 2)) == 0


@settings(deadline=None)
@given(st.integers(0, 500), st.integers(1, 500))
def test_an_interval_holds_its_share(count: int, total: int) -> None:
    """What was counted is within what may be; more rows make it narrower."""
    count = min(count, total)
    interval, narrower = of_share(count, total), of_share(4 * count, 4 * total)
    assert 0 <= interval.low <= interval.high <= 1
    assert interval.holds(count / total)
    assert narrower.high - narrower.low < interval.high - interval.low


def test_an_interval_is_that_of_the_tables() -> None:
    """Clopper and Pearson's, for 0 and for 7 of 20."""
    assert of_share(0, 20).high == pytest.approx(1 - 0.025 ** (1 / 20))
    assert of_share(7, 20).low == pytest.approx(0.1539, abs=1e-4)
    assert of_share(7, 20).high == pytest.approx(0.5922, abs=1e-4)


@settings(deadline=None)
@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 300))
def test_a_difference_is_within_its_interval_and_turns_with_the_sides(
    first: int, second: int, both: int
) -> None:
    """The interval holds the difference; to swap the two mirrors it, and keeps McNemar's p."""
    total = max(1, first + second + both)
    interval, mirrored = of_difference(first, second, total), of_difference(second, first, total)
    assert interval.holds((first - second) / total)
    assert (interval.low, interval.high) == pytest.approx((-mirrored.high, -mirrored.low))
    assert mcnemar(first, second) == pytest.approx(mcnemar(second, first))


def test_mcnemar_is_the_exact_one() -> None:
    """Eight rows against none are one chance in 128."""
    assert mcnemar(8, 0) == pytest.approx(2 / 2**8)
    assert mcnemar(0, 0) == 1.0


@settings(deadline=None)
@given(said_by_steps(), st.sampled_from([0.2, 0.5, 0.8]))
def test_the_cascades_curve_goes_through_where_it_works(found: Scores, bar: float) -> None:
    """At the cascade's own coverage, the risk of its curve is its error."""
    answers = laid_out(found, bar)
    plan = cascade(answers)
    ours, curve = outcome(plan, answers), cascade_curve(answers, plan)
    assert curve is not None
    points = dict(zip(curve.coverages, curve.risks, strict=True))
    if ours.error is not None and ours.accepted >= 10:
        assert points[ours.coverage] == pytest.approx(ours.error)


@settings(deadline=None)
@given(said_by_steps())
def test_a_curve_ends_with_every_answer(found: Scores) -> None:
    """Coverage only rises, and its last point is the step alone."""
    answers = laid_out(found, 0.0)
    curve = step_curve(answers, 0, "first")
    if curve is None:
        assert len({row.said[0].confidence for row in found.rows}) == 1
        return
    assert list(curve.coverages) == sorted(set(curve.coverages))
    assert curve.coverages[-1] == 1.0
    assert curve.risks[-1] == pytest.approx(outcome(alone(answers, 0, ""), answers).error)


def test_calibration_error_is_the_gap_weighed_by_count() -> None:
    """Half the answers 10 points too sure and half 30 points too unsure: 0.2 in all."""
    rows = [[said(0.6, right=n < 5)] for n in range(10)] + [[said(0.7)] for _ in range(10)]
    found = reliability(laid_out(scores(rows), 0.0), 0, "first")
    assert found is not None
    assert found.error == pytest.approx(0.2)
    assert [each.count for each in found.bins] == [10, 10]


def test_acceptance_may_differ_by_label_and_be_void() -> None:
    """By-label thresholds judge the label said; a step calibrated for another revision is void."""
    rows = [[said(0.8)], [said(0.8, right=False)]]
    by_label = answers_of(scores(rows), [Acceptance(by_label={"yes": 0.7})])
    assert by_label.stands[:, 0].tolist() == [True, False]
    void = answers_of(scores(rows), [Acceptance(revision="another")])
    assert outcome(cascade(void), void).accepted == 0
    assert cascade(void).asked.all()


def test_a_step_that_is_never_asked_costs_nothing() -> None:
    """A cascade passes over a step that calibration switched off; alone it is still compared."""
    rows = [[said(0.9, cost=5.0), said(0.9, cost=1.0)]] * 4
    found = evaluate(scores(rows), [Acceptance(threshold="never"), Acceptance(threshold=0.5)])
    assert (found.cascade.cost, found.cascade.steps) == (1.0, (1,))
    assert found.alternatives[0].cost == 5.0


def test_temperature_is_applied_before_the_threshold() -> None:
    """A distribution that calibration softens is judged softened."""
    row: Any = Said(0.9, is_right=True, said="yes", distribution={"yes": 0.9, "no": 0.1})
    answers = answers_of(scores([[row]]), [Acceptance(threshold=0.8, temperature=2.0)])
    assert answers.confidences[0, 0] == pytest.approx(0.75)
    assert not answers.stands[0, 0]
