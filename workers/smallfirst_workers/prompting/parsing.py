"""What a large model wrote, as an answer of the contract, or why it is none. Pure.

What an answer of each kind looks like is the business of `kinds`.
"""

from collections.abc import Sequence

from smallfirst.catalogue import Task
from smallfirst.jobs import Answer, Problem
from smallfirst_workers.engines import INVALID
from smallfirst_workers.prompting.completions import Completion, InvalidAnswer
from smallfirst_workers.prompting.written_kind import written_kind


def read_writings(task: Task, text: str, writings: Sequence[Completion]) -> Answer | Problem:
    """Read one or several answers to the same question; several vote."""
    answers, reasons = [], []
    for writing in writings:
        try:
            answers.append(read_writing(task, text, writing))
        except InvalidAnswer as err:
            reasons.append(str(err))
    if not answers:
        return Problem(code=INVALID, message=reasons[0])
    if len(writings) == 1:
        return answers[0]
    return written_kind(task.kind).vote(answers, len(writings))


def read_writing(task: Task, text: str, writing: Completion) -> Answer:
    """Read one answer.

    Raises:
        InvalidAnswer: When it is none, though its form was constrained: cut off, or untrue to the
            text.
    """
    asked = written_kind(task.kind)
    assert asked.read is not None, "labels are scored, not written"
    if not writing.is_whole and not asked.may_be_cut:
        raise InvalidAnswer("the model's answer was longer than it may be")
    return asked.read(task, text, writing)
