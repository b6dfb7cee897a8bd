"""Deciding: which answer stands of several people's, and when another person has to be asked. Pure.

Answers are told apart by their keys (see `answer_keys`). Whoever is asked is unshown what others
answered; so the last answer is the one by which the rest is decided.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Standing:
    """That the last answer stands, and who agrees with it.

    Attributes:
        agreeing: The places of the answers that are the same, the last one's own among them.
        num_answers: All that were given.
    """

    agreeing: tuple[int, ...]
    num_answers: int

    @property
    def is_agreed(self) -> bool:
        """Whether two people gave it."""
        return len(self.agreeing) > 1


def standing_of(keys: Sequence[str], num_reviewers: int) -> Standing | None:
    """Say whether the last answer stands; None while another person has to be asked.

    With one reviewer the first does. With two, the one that two people give; a third is asked where
    the first two differ, and stands alone where all three do.

    Args:
        keys: Of the answers, at least one, in the order in which they were given.
        num_reviewers: That the task asks for.
    """
    agreeing = tuple(place for place, key in enumerate(keys) if key == keys[-1])
    is_decided = num_reviewers < 2 or len(agreeing) > 1 or len(keys) > 2
    return Standing(agreeing, len(keys)) if is_decided else None


def is_check_wrong(differs: Sequence[bool], keys: Sequence[str]) -> bool | None:
    """Say whether a machine's answer is wrong; None while another person has to look, blind.

    It is right where one of the first two people gives it too, and wrong where both give another
    that is the same. Where all differ, a third decides whether it was right.

    Args:
        differs: Whether each person's answer is another than the machine's; at least one.
        keys: Of the people's answers.
    """
    if not all(differs[:2]):
        return False
    if len(keys) < 2:
        return None
    if keys[0] == keys[1]:
        return True
    return differs[2] if len(differs) > 2 else None
