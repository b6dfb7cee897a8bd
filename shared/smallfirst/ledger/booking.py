"""What is booked of attempts: what each took, and what asking one more step changed. Pure.

How it is added up is settle.lua's business, and how it is read that of `books`.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from smallfirst.agreement.answer_keys import answer_key
from smallfirst.answers import UnknownAnswer
from smallfirst.jobs import Attempt, Tier

#: Under which outcome an attempt is booked whose answer came too late: its job had ended before.
FENCED: Final = "fenced"
#: The same of one whose job went back, to be started again.
GIVEN_BACK: Final = "given_back"
#: What stands where nothing measured the energy.
_UNMEASURED: Final = "-"


def booking_of(task: str, attempt: Attempt) -> str:
    """One attempt as settle.lua books it: where, seconds, cost, tokens, written ones, joules."""
    joules = _UNMEASURED if attempt.joules is None else f"{attempt.joules:.6f}"
    return (
        f"{task}:{attempt.step}:{attempt.outcome} {attempt.seconds:.6f} {attempt.cost:.9f}"
        f" {attempt.tokens} {attempt.tokens_written} {joules}"
    )


def changes_of(task: str, trail: Sequence[Attempt], spent: Iterable[Attempt]) -> Iterator[str]:
    """Name what to count by one: that a step was asked after another's answer, and changed it.

    A person's answer says besides which machine was right: of each machine that was asked after
    another, whether it changed the answer for the better or for the worse.
    """
    for attempt in spent:
        before = [each for each in trail if each.step < attempt.step and _key_of(each)]
        said = _key_of(attempt)
        if said is None or not before:
            continue
        where = f"{task}:{attempt.step}:{attempt.outcome}"
        yield f"{where}:compared"
        if _key_of(before[-1]) != said:
            yield f"{where}:changed"
        if attempt.tier is Tier.HUMAN:
            yield from _judged(task, before, said)


def _key_of(attempt: Attempt) -> str | None:
    """The key of what was answered; None where nothing was, or a newer version's answer."""
    answer = attempt.answer
    return None if answer is None or isinstance(answer, UnknownAnswer) else answer_key(answer)


def _judged(task: str, before: Sequence[Attempt], right: str) -> Iterator[str]:
    machines = [each for each in before if each.tier is not Tier.HUMAN]
    for attempt, earlier in zip(machines[1:], machines, strict=False):
        was, said = _key_of(earlier), _key_of(attempt)
        where = f"{task}:{attempt.step}:{attempt.outcome}"
        yield f"{where}:judged"
        if was != said and right in {was, said}:
            yield f"{where}:{'better' if said == right else 'worse'}"
