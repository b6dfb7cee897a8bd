"""How often a promise that is kept is broken by any of the intervals that may break it."""

import numpy as np
import pytest

from smallfirst.audit.betting import Floats, log_mean, wagers
from smallfirst.audit.counting import Answered, estimate_of
from smallfirst.audit.spending import (
    CONFIDENCE,
    Alarms,
    confidence_of_alarm,
    confidence_of_all,
)

#: A promise that is just kept: so many answers are wrong.
TARGET = 0.1
NUM_STREAMS, NUM_ALARMS, NUM_CHECKS = 1500, 10, 200


def lost(confidence: float) -> float:
    """The probability that may go wrong at a confidence."""
    return 1.0 - confidence


def test_all_intervals_together_have_what_one_had() -> None:
    """However many alarms there will ever be; without any the whole is for all answers."""
    of_alarms = sum(lost(confidence_of_alarm(number)) for number in range(1, 20_000))
    assert lost(confidence_of_all(has_alarms=True)) + of_alarms <= lost(CONFIDENCE)
    assert lost(confidence_of_all(has_alarms=True)) + of_alarms > 0.999 * lost(CONFIDENCE)
    assert confidence_of_all(has_alarms=False) == CONFIDENCE


def most_won(is_wrong: Floats) -> Floats:
    """The most that was ever won by betting against the promise, after any check; `(streams,)`.

    Args:
        is_wrong: `(streams, checks)`, 0 or 1.
    """
    bets = wagers(np.array([TARGET]), 1.0)[0]
    won = np.zeros((len(is_wrong), len(bets)))
    most = np.zeros(len(is_wrong))
    for one in is_wrong.T:
        won += np.log1p(bets * (one[:, None] - TARGET))
        most = np.maximum(most, log_mean(won))
    return most


def test_a_promise_that_is_kept_is_broken_in_one_stream_of_twenty_at_most_whatever_alarms() -> None:
    """Looked at after each check, of all answers and of those since each of ten alarms.

    With the whole probability for each interval, as for one alone, it would be one in twelve.
    """
    random = np.random.default_rng(7)
    is_wrong = (random.random((NUM_STREAMS, NUM_ALARMS * NUM_CHECKS)) < TARGET).astype(float)
    of_all = most_won(is_wrong)
    since = [most_won(each) for each in np.split(is_wrong, NUM_ALARMS, axis=1)]
    parted = of_all > -np.log(lost(confidence_of_all(has_alarms=True)))
    whole = of_all > -np.log(lost(CONFIDENCE))
    for number, most in enumerate(since, 1):
        parted |= most > -np.log(lost(confidence_of_alarm(number)))
        whole |= most > -np.log(lost(CONFIDENCE))
    assert parted.mean() <= lost(CONFIDENCE)
    assert whole.mean() > 1.5 * lost(CONFIDENCE)


@pytest.mark.parametrize(
    "confidence", [CONFIDENCE, *(confidence_of_alarm(number) for number in (1, 9, 10**12))]
)
def test_an_interval_is_of_the_confidence_that_is_asked(confidence: float) -> None:
    """The more that is asked the wider it is, and it lies above where so much was won."""
    checks = [Answered("p", is_wrong=number < 27) for number in range(120)]
    found = estimate_of(checks, [], same=0.0, confidence=confidence)
    usual = estimate_of(checks, [], same=0.0)
    assert found is not None
    assert usual is not None
    assert found.lower <= usual.lower
    assert found.upper >= usual.upper
    assert (found == usual) is (confidence == CONFIDENCE)


def test_each_alarm_has_a_number_of_its_own() -> None:
    """The same as long as it stands, and none that another had, though nobody has counted that."""
    first = Alarms().until(100, {100})
    assert first == Alarms(1, 100)
    assert first.until(100, {100, 50}) == first
    assert first.until(200, ()) == Alarms(2, 200)
    assert Alarms().until(300, {100, 200, 300}) == Alarms(3, 300)
    assert Alarms(5, 250).until(300, {300}) == Alarms(6, 300)
