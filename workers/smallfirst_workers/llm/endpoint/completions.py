"""What an endpoint wrote, as an answer of the contract. Pure.

An endpoint that tells no probabilities gives answers of confidence 0, which no threshold above 0
accepts: to have a confidence from such a one, let it vote.
"""

import json
import math
from codecs import getincrementaldecoder
from collections.abc import Iterator, Sequence

from openai.types.chat import ChatCompletion
from openai.types.chat.chat_completion import Choice
from openai.types.chat.chat_completion_token_logprob import ChatCompletionTokenLogprob

from smallfirst.answers import DIGITS
from smallfirst.catalogue import Task
from smallfirst.jobs import Answer, LabelAnswer, Problem
from smallfirst.kinds import KINDS, prompting_of
from smallfirst.kinds.completions import Completion, places_of_values
from smallfirst_workers.llm.endpoint.label_probabilities import Token, distribution
from smallfirst_workers.llm.endpoint.requests import RequestTemplate
from smallfirst_workers.problems import INVALID
from smallfirst_workers.prompting.parsing import read_writings

_NO_LABEL = Problem(code=INVALID, message="the model's answer is no label of the task's")


def read_completion(
    template: RequestTemplate, text: str, completion: ChatCompletion
) -> Answer | Problem:
    """Read the answer to one question; several choices vote."""
    if KINDS[template.task.kind].is_one_label:
        return _read_label(template, completion.choices)
    writings = [_writing(choice, template.key) for choice in completion.choices]
    return read_writings(template.task, text, writings)


def _read_label(template: RequestTemplate, choices: Sequence[Choice]) -> Answer | Problem:
    task = template.task
    found = [_label(task, str(template.key), choice) for choice in choices]
    answers = [answer for answer in found if answer is not None]
    if not answers:
        return _NO_LABEL
    if len(choices) == 1:
        return answers[0]
    voted: LabelAnswer = prompting_of(task.kind).vote(answers, len(choices))
    said = [answer.label for answer in answers]
    shares = {label: round(said.count(label) / len(said), DIGITS) for label in task.labels}
    return voted.model_copy(update={"distribution": shares})


def _label(task: Task, key: str, choice: Choice) -> LabelAnswer | None:
    """Read one label, as sure as its own tokens; None where it is none."""
    written = choice.message.content or ""
    try:
        found = json.loads(written)
        start, end = places_of_values(written)[key]
    except (ValueError, KeyError, RecursionError):
        return None
    label = found.get(key) if isinstance(found, dict) else None
    if not isinstance(label, str) or label not in task.labels:
        return None
    tokens = _tokens(choice)
    chances = distribution(label, list(task.labels), tokens, start + 1, end - 1) if tokens else {}
    rounded = {name: round(chance, DIGITS) for name, chance in chances.items()}
    return LabelAnswer(label=label, confidence=rounded.get(label, 0.0), distribution=rounded)


def _writing(choice: Choice, key: str | None) -> Completion:
    """Take what was written, or what stands under the key, with the tokens that wrote it."""
    written = choice.message.content or ""
    tokens = _tokens(choice) or [Token(written, -math.inf)]
    start, end = _place(written, key)
    kept = [token for token in _cut(tokens, start, end) if token.text or key is None]
    return Completion(
        text=written[start:end],
        pieces=tuple(token.text for token in kept),
        logprobs=tuple(token.logprob for token in kept),
        is_whole=choice.finish_reason == "stop",
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
    """Cut what was written out of its tokens."""
    place = 0
    for token in tokens:
        first, last = max(0, start - place), max(0, end - place)
        yield Token(token.text[first:last], token.logprob)
        place += len(token.text)


def _tokens(choice: Choice) -> list[Token]:
    """Read the tokens and their probabilities; none where they are not those of the content.

    A server may strip the content, or tell of tokens that it does not show, such as thoughts: then
    nobody knows which of them wrote what.
    """
    told = (choice.logprobs.content if choice.logprobs else None) or []
    decode = getincrementaldecoder("utf-8")(errors="replace").decode
    tokens = []
    for each in told:
        # A character may be written by several tokens; it belongs to the last of them.
        text = decode(bytes(each.bytes)) if each.bytes is not None else each.token
        tokens.append(Token(text, each.logprob, tuple(_others(each))))
    joined = "".join(token.text for token in tokens)
    return tokens if joined.startswith(choice.message.content or "") else []


def _others(told: ChatCompletionTokenLogprob) -> Iterator[tuple[str, float]]:
    for other in told.top_logprobs or ():
        is_known = other.bytes is not None
        text = bytes(other.bytes or ()).decode(errors="replace") if is_known else other.token
        yield text, other.logprob
