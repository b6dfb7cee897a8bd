"""What an endpoint wrote, as an answer of the contract. Pure.

An endpoint that tells no probabilities gives answers of confidence 0, which no threshold above 0
accepts: to have a confidence from such a one, let it vote.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from smallfirst.answers import Answer, LabelAnswer, rounded_distribution
from smallfirst.catalogue import Task
from smallfirst.jobs import Problem
from smallfirst.kinds import KINDS, prompting_of
from smallfirst.kinds.completions import Completion, places_of_values
from smallfirst.kinds.thoughts import answer_place
from smallfirst_workers.llm.endpoint.label_probabilities import Token, distribution
from smallfirst_workers.llm.endpoint.replies import Choice, Ending
from smallfirst_workers.llm.endpoint.requests import RequestTemplate
from smallfirst_workers.problems import INVALID
from smallfirst_workers.prompting.parsing import read_writings

UNREADABLE: Final = Problem(
    code="unreadable_answer", message="The endpoint's answer is of a form that cannot be read."
)
FILTERED: Final = Problem(
    code="content_filtered", message="The endpoint's content filter kept the answer back."
)
_NO_LABEL = Problem(code=INVALID, message="the model's answer is no label of the task's")


def read_completion(
    template: RequestTemplate, text: str, choices: Sequence[Choice | None], *, num_asked: int
) -> Answer | Problem:
    """Read the answer to one question; several choices vote.

    Args:
        template: Of the task.
        text: The job's.
        choices: What was written, at least one; None is what could not be read.
        num_asked: How many choices were asked for: one that is none is a vote for nothing.
    """
    told = [each for each in choices[:num_asked] if each and each.ending is not Ending.FILTERED]
    if not told:
        return FILTERED if any(choices) else UNREADABLE
    read = [_answer_of(choice, is_json=template.schema is not None) for choice in told]
    if KINDS[template.task.kind].is_one_label:
        return _read_label(template, read, num_asked)
    writings = [_writing(choice, template.key) for choice in read]
    return read_writings(template.task, text, writings, num_asked=num_asked)


def _answer_of(choice: Choice, *, is_json: bool) -> Choice:
    """Take off what stands around an answer: a thought, a fence of Markdown."""
    start, end = answer_place(choice.content, is_json=is_json)
    if (start, end) == (0, len(choice.content)):
        return choice
    tokens = tuple(token for token in _cut(choice.tokens, start, end) if token.text)
    return replace(choice, content=choice.content[start:end], tokens=tokens)


def _read_label(
    template: RequestTemplate, choices: Sequence[Choice], num_asked: int
) -> Answer | Problem:
    task = template.task
    found = [_label(task, str(template.key), choice) for choice in choices]
    answers = [answer for answer in found if answer is not None]
    if not answers:
        return _NO_LABEL
    if num_asked == 1:
        return answers[0]
    voted: LabelAnswer = prompting_of(task.kind).vote(answers, num_asked)
    said = [answer.label for answer in answers]
    shares = {label: said.count(label) / len(said) for label in task.labels}
    return voted.model_copy(update={"distribution": rounded_distribution(shares)})


def _label(task: Task, key: str, choice: Choice) -> LabelAnswer | None:
    """Read one label, as sure as its own tokens; None where it is none."""
    try:
        found = json.loads(choice.content)
        start, end = places_of_values(choice.content)[key]
    except (ValueError, KeyError, RecursionError):
        return None
    label = found.get(key) if isinstance(found, dict) else None
    if not isinstance(label, str) or label not in task.labels:
        return None
    tokens = choice.tokens
    chances = distribution(label, list(task.labels), tokens, start + 1, end - 1) if tokens else {}
    rounded = rounded_distribution(chances) if chances else {}
    return LabelAnswer(label=label, confidence=rounded.get(label, 0.0), distribution=rounded)


def _writing(choice: Choice, key: str | None) -> Completion:
    """Take what was written, or what stands under the key, with the tokens that wrote it."""
    written = choice.content
    tokens = choice.tokens or [Token(written, -math.inf)]
    start, end = _place(written, key)
    kept = [token for token in _cut(tokens, start, end) if token.text or key is None]
    return Completion(
        text=written[start:end],
        pieces=tuple(token.text for token in kept),
        logprobs=tuple(token.logprob for token in kept),
        is_whole=choice.ending is Ending.WHOLE,
    )


def _place(written: str, key: str | None) -> tuple[int, int]:
    """Where the answer stands. Where it does not, all that was written is what was answered."""
    whole = (0, len(written))
    if key is None:
        return whole
    try:
        return places_of_values(written).get(key, whole)
    except (ValueError, RecursionError):
        return whole


def _cut(tokens: Sequence[Token], start: int, end: int) -> Iterator[Token]:
    """Cut what was written out of its tokens; those that are whole keep what they are told with."""
    place = 0
    for token in tokens:
        text = token.text[max(0, start - place) : max(0, end - place)]
        yield token if text == token.text else Token(text, token.logprob)
        place += len(token.text)
