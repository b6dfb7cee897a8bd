"""What a large model wrote, as an answer of the contract, or why it is none. Pure.

How an answer of each kind is read is the business of `smallfirst.kinds`.
"""

from collections.abc import Sequence

from smallfirst.answers import Answer
from smallfirst.catalogue import Task
from smallfirst.jobs import Problem
from smallfirst.kinds import prompting_of
from smallfirst.kinds.completions import Completion, InvalidAnswer
from smallfirst.kinds.thoughts import answer_place
from smallfirst_workers.problems import INVALID


def read_writings(
    task: Task, text: str, writings: Sequence[Completion], *, num_asked: int | None = None
) -> Answer | Problem:
    """Read one or several answers to the same question; several vote.

    A thought that a model wrote before an answer, unasked, is no part of it.

    Args:
        task: What was asked.
        text: The job's.
        writings: At least one.
        num_asked: How many were asked for, where fewer came; each that did not is a vote for
            nothing.
    """
    num_votes = num_asked or len(writings)
    prompting = prompting_of(task.kind)
    is_json = prompting.is_json
    answers: list[Answer] = []
    reasons: list[str] = []
    for writing in writings:
        said = writing.part(*answer_place(writing.text, is_json=is_json))
        try:
            answers.append(prompting.read_writing(task, text, said))
        except InvalidAnswer as err:
            reasons.append(str(err))
    if not answers:
        return Problem(code=INVALID, message=reasons[0])
    if num_votes == 1:
        return answers[0]
    voted: Answer = prompting.vote(answers, num_votes)
    return voted
