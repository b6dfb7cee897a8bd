"""What a large model wrote, as an answer of the contract, or why it is none. Pure.

How an answer of each kind is read is the business of `smallfirst.kinds`.
"""

from collections.abc import Sequence

from smallfirst.catalogue import Task
from smallfirst.jobs import Answer, Problem
from smallfirst.kinds import prompting_of
from smallfirst.kinds.completions import Completion, InvalidAnswer
from smallfirst_workers.problems import INVALID


def read_writings(task: Task, text: str, writings: Sequence[Completion]) -> Answer | Problem:
    """Read one or several answers to the same question; several vote."""
    prompting = prompting_of(task.kind)
    answers: list[Answer] = []
    reasons: list[str] = []
    for writing in writings:
        try:
            answers.append(prompting.read_writing(task, text, writing))
        except InvalidAnswer as err:
            reasons.append(str(err))
    if not answers:
        return Problem(code=INVALID, message=reasons[0])
    if len(writings) == 1:
        return answers[0]
    voted: Answer = prompting.vote(answers, len(writings))
    return voted
