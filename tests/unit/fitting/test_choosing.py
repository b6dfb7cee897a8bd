"""Laws of choosing a cascade: the cheapest that answers as much, among all orders."""

import random
from collections.abc import Mapping

from smallfirst.catalogue import Kind
from smallfirst.evaluation.scores import Said, ScoredRow, Scores, StepAbout
from smallfirst.fitting.candidates import Candidate, Offer, offer_of
from smallfirst.fitting.choosing import Choice, cheapest, choose, orders_of, targets_from
from smallfirst.fitting.plots import frontier_of
from smallfirst.jobs import Tier

WRITTEN = {"kind": "classify", "labels": {"a": "", "b": ""}}
OFFER = offer_of(None, "topic", Kind.CLASSIFY, with_large=True)


def scores_of(offer: Offer, known: Mapping[int, float], costs: Mapping[int, float]) -> Scores:
    """Rows of which each candidate knows a share for certain, and guesses the others; seeded."""
    chance, rows = random.Random(3), []
    for number in range(400):
        right = chance.choice("ab")
        said = []
        for place in range(len(offer.candidates)):
            is_known = chance.random() < known[place]
            word = right if is_known else chance.choice("ab")
            sure = chance.uniform(0.9, 1.0) if is_known else chance.uniform(0.5, 0.7)
            spread = {word: sure, "b" if word == "a" else "a": 1 - sure}
            said.append(Said(sure, word == right, word, spread, costs[place], 0, costs[place]))
        rows.append(ScoredRow(f"{number:016x}", right, tuple(said)))
    steps = tuple(
        StepAbout(n, each.tier, each.step_name, "1") for n, each in enumerate(offer.candidates)
    )
    return Scores("topic", "USD", steps, tuple(rows))


def test_a_dearer_step_that_adds_nothing_is_left_out() -> None:
    """Where the cheap model answers as much alone, the cascade is the cheap model."""
    choice, tried = choose(
        scores_of(OFFER, {0: 0.9, 1: 0.3}, {0: 1e-8, 1: 1e-6}), OFFER, WRITTEN, 0.05
    )
    assert choice.places == (0,)
    assert choice.target == 0.05
    assert len(tried) > 1


def test_a_cascade_is_chosen_where_two_answer_more_than_one() -> None:
    """Two models that know different rows make a cascade, the cheaper one first."""
    scores = scores_of(OFFER, {0: 0.6, 1: 0.6}, {0: 1e-8, 1: 1e-6})
    choice, _ = choose(scores, OFFER, WRITTEN, 0.05)
    assert choice.places == (0, 1)
    assert choice.share_answered > 0.7


def test_the_most_accurate_step_stands_where_no_target_is_borne() -> None:
    """Models that only guess keep no target: the choice says so, and promises nothing."""
    scores = scores_of(OFFER, {0: 0.0, 1: 0.0}, {0: 1e-8, 1: 1e-6})
    choice, _ = choose(scores, OFFER, WRITTEN, 0.02)
    assert choice.target is None
    assert len(choice.places) == 1


def test_a_model_is_asked_once_and_rules_come_first() -> None:
    """No cascade asks two variants of one model, a dearer tier first, or rules alone."""
    rule = {"rule": {"patterns": [{"label": "a", "pattern": "x"}]}}
    large = [
        Candidate(f"large, {name}", Tier.LLM, {"model": "large"}, is_dear=True) for name in "xy"
    ]
    candidates = (Candidate("rules", Tier.RULE, rule), *OFFER.candidates, *large)
    offer = Offer(OFFER.base, candidates)
    scores = scores_of(offer, dict.fromkeys(range(5), 0.5), dict.fromkeys(range(5), 1.0))
    orders = list(orders_of(scores, candidates))
    assert len(set(orders)) == len(orders)
    for order in orders:
        tiers = [candidates[at].tier.rank for at in order]
        assert tiers == sorted(tiers)
        assert tiers[-1] > Tier.RULE.rank
        assert not {3, 4} <= set(order)


def test_the_cheapest_within_a_hundredth_wins() -> None:
    """A point more of answers is not worth any price; two points are."""
    cheap, dear = Choice((0,), 0.02, 0.80, 1.0), Choice((0, 1), 0.02, 0.81, 9.0)
    assert cheapest([dear, cheap]) is cheap
    better = Choice((0, 1), 0.02, 0.82, 9.0)
    assert cheapest([cheap, better]) is better
    assert frontier_of([better, cheap, Choice((1,), 0.02, 0.79, 5.0)]) == [cheap, better]


def test_targets_are_tried_from_the_largest_down_to_the_one_asked_for() -> None:
    """The order is fixed before any row is seen, so that each failure ends it."""
    assert targets_from(0.02) == (0.3, 0.2, 0.1, 0.05, 0.02)
    assert targets_from(0.1) == (0.3, 0.2, 0.1)
    assert targets_from(0.4) == (0.4,)
