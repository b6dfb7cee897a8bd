"""The gate's test: exact, and sharp enough to let a better candidate pass."""

import math

import numpy as np
import pytest
from scipy import stats

from smallfirst.gate.paired import POWER, Pairs, labels_missing, p_value
from smallfirst.gate.verdict import Kept, Look, Margin, Verdict, sentences

MARGIN = 0.01


@pytest.mark.parametrize(("rows", "margin"), [(12, 0.2), (25, 0.1)])
def test_candidates_that_are_too_bad_pass_no_more_often_than_said(rows: int, margin: float) -> None:
    """Every outcome there can be, weighed by its probability: exact, whatever `won` is."""
    cells = [(lost, won) for lost in range(rows + 1) for won in range(rows + 1 - lost)]
    values = np.array([p_value(Pairs(rows, *cell), margin) for cell in cells])
    for share in np.linspace(0, (1 - margin) / 2, 7):
        parts = [share + margin, share, max(0.0, 1 - 2 * share - margin)]
        chances = stats.multinomial.pmf([(*cell, rows - sum(cell)) for cell in cells], rows, parts)
        for level in (0.01, 0.025, 0.05, 0.2):
            assert chances[values <= level].sum() <= level, (share, level)


def test_more_won_is_better_and_more_lost_is_worse() -> None:
    """The p-value falls with every row that the candidate alone is right on."""
    values = [p_value(Pairs(400, 10, won), MARGIN) for won in range(0, 40, 5)]
    assert values == sorted(values, reverse=True)
    others = [p_value(Pairs(400, lost, 10), MARGIN) for lost in range(0, 40, 5)]
    assert others == sorted(others)


def test_a_better_candidate_passes_and_a_worse_one_does_not() -> None:
    """2,000 labels, a first look: one point better in 80 % or more, one worse in 5 at most."""
    passed = {gain: share_passing(gain) for gain in (0.01, -MARGIN)}
    assert passed[0.01] >= 0.8
    assert passed[-MARGIN] <= 0.05


def share_passing(gain: float, *, apart: float = 0.08, rows: int = 2000, draws: int = 60) -> float:
    """How often one passes that is right more often by `gain`, and differs in `apart` of rows."""
    lost, won = (apart - gain) / 2, (apart + gain) / 2
    seen = np.random.default_rng(7).multinomial(rows, [lost, won, 1 - apart], size=draws)
    margin = Margin(MARGIN, 0.95)
    looks = [Look.at(Pairs(rows, int(each[0]), int(each[1])), margin, 1) for each in seen]
    return sum(look.is_passed for look in looks) / draws


def test_all_looks_together_spend_what_one_may() -> None:
    """Who looks a hundred times passes by chance no more often than who looks once."""
    margin = Margin(MARGIN, 0.95)
    levels = [margin.level(look) for look in range(1, 100)]
    assert math.fsum(levels) <= 0.05 + 1e-12
    assert levels == sorted(levels, reverse=True)


def test_the_labels_that_are_missing_would_do() -> None:
    """With as many more, at the same shares, it passes; and as a rule no fewer would."""
    few = Pairs(300, 10, 12)
    level = Margin(MARGIN, 0.95).level(2)
    assert p_value(few, MARGIN) > level
    missing = labels_missing(few, MARGIN, level)
    assert missing is not None
    times = (few.rows + missing) / few.rows
    enough = Pairs(few.rows + missing, round(few.lost * times), round(few.won * times))
    assert p_value(enough, MARGIN) <= level
    half = Pairs(few.rows + missing // 4, round(few.lost * times / 3), round(few.won * times / 3))
    assert p_value(half, MARGIN) > level
    assert 0.5 < POWER < 1


@pytest.mark.parametrize("pairs", [Pairs(500, 40, 10), Pairs(0, 0, 0)])
def test_where_no_label_helps_that_is_said(pairs: Pairs) -> None:
    """One that looks worse than the margin is told so, and no number."""
    margin = Margin(MARGIN, 0.95)
    assert labels_missing(pairs, MARGIN, 0.025) is None
    verdict = Verdict.of("topic", margin, Look.at(pairs, margin, 1))
    assert not verdict.is_passed
    assert "no number of labels" in sentences(verdict)[-1]


def test_what_differs_nowhere_still_needs_rows() -> None:
    """Two that answer alike on ten rows may differ on the next."""
    assert p_value(Pairs(10, 0, 0), MARGIN) > 0.5
    assert p_value(Pairs(2000, 0, 0), MARGIN) < 0.01


def test_impossible_counts_are_refused() -> None:
    """More rows that differ than rows are a mistake of whoever counted."""
    with pytest.raises(ValueError, match="parts of the rows"):
        Pairs(10, 6, 5)


@pytest.mark.parametrize(
    ("kept", "is_broken"),
    [(Kept(0.02, 1000, 20), False), (Kept(0.02, 1000, 40), True), (Kept(0.02, 0, 0), False)],
)
def test_a_candidate_that_breaks_its_promise_stays(kept: Kept, *, is_broken: bool) -> None:
    """However much better it is: what was promised of it has to be kept on the new labels."""
    margin = Margin(MARGIN, 0.95)
    verdict = Verdict.of("topic", margin, Look.at(Pairs(2000, 10, 90), margin, 1), kept)
    assert verdict.look.is_passed
    assert verdict.is_passed is not is_broken
    assert ("broken" in sentences(verdict)[-1]) is is_broken


@pytest.mark.parametrize(
    ("kept", "is_shown"),
    [
        (Kept(0.1, 300, 18), True),
        (Kept(0.1, 300, 25), False),
        (Kept(0.1, 20, 0), False),
        (Kept(0.1, 0, 0), False),
        (None, False),
    ],
)
def test_a_promise_of_machines_has_to_be_shown(kept: Kept | None, *, is_shown: bool) -> None:
    """Made on their own answers it says how often the candidate answers as they did."""
    margin = Margin(MARGIN, 0.95)
    look = Look.at(Pairs(2000, 10, 90), margin, 1)
    assert Verdict.of("topic", margin, look, kept).is_passed
    verdict = Verdict.of("topic", margin, look, kept, must_show=True)
    assert verdict.is_passed is is_shown
    assert verdict.as_json()["is_promise_open"] is not is_shown
    assert ("more labels have to show" in sentences(verdict)[-1]) is (not is_shown and bool(kept))


def test_machines_that_break_their_promise_pass_in_one_of_forty_draws() -> None:
    """Of large models that are wrong as often as is promised at most, and a little more often."""
    margin = Margin(MARGIN, 0.95)
    look = Look.at(Pairs(2000, 10, 90), margin, 1)
    wrong = np.random.default_rng(5).binomial(500, 0.101, 1_000)
    passed = [
        Verdict.of("topic", margin, look, Kept(0.1, 500, each), must_show=True).is_passed
        for each in wrong.tolist()
    ]
    assert sum(passed) <= 25


def test_a_kept_promise_is_refuted_in_one_of_twenty_streams_at_most() -> None:
    """However often one looks: after every row, over 2,000 rows, of an error at the target."""
    draws = np.random.default_rng(3).random((200, 2000)) < 0.02
    looks = range(50, 2001, 50)
    refuted = sum(
        any(Kept(0.02, n, int(stream[:n].sum())).is_refuted for n in looks) for stream in draws
    )
    assert refuted <= 10


def test_a_broken_promise_is_refuted() -> None:
    """An error of three times the target shows within a thousand rows."""
    assert Kept(0.02, 1000, 60).is_refuted
    assert not Kept(0.02, 1000, 25).is_refuted
