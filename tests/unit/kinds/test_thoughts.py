"""What stands around an answer: a thought and a fence are taken off, and nothing else is."""

import math

import pytest
from tests.support.written_answers import pieced

from smallfirst.kinds.completions import Completion
from smallfirst.kinds.thoughts import answer_place

THOUGHTS = [
    "<think>\nhm </b> [x]\n</think>\n\n",
    "\n <think></think>",
    "<thinking>\nso\n</thinking>\n",
    "[THINK]so[/THINK]",
    "<|channel|>analysis<|message|>so<|end|><|start|>assistant<|channel|>final<|message|>",
    "<|channel|>final<|message|>",
    "I was opened by the template.\n</think>\n\n",
    "so.</think> \n",
]


@pytest.mark.parametrize("thought", ["", *THOUGHTS])
@pytest.mark.parametrize("answer", ["Hello there.", '{"a": "<think>"}', "see <think> here", "```"])
def test_a_thought_that_leads_is_no_answer(thought: str, answer: str) -> None:
    """Whichever way it is marked; words of the answer that look like a mark stay."""
    start, end = answer_place(thought + answer, is_json=False)

    assert (thought + answer)[start:end] == answer


@pytest.mark.parametrize("text", ["<think>\nI was cut", "\n[THINK]so", "so\n</think>\n"])
def test_a_thought_alone_is_no_answer(text: str) -> None:
    """One that ran into its bound, or was followed by nothing, leaves nothing."""
    start, end = answer_place(text, is_json=False)

    assert text[start:end] == ""


@pytest.mark.parametrize("thought", ["", *THOUGHTS])
@pytest.mark.parametrize(
    ("around", "answer"),
    [
        ('```json\n{"a": 1}\n```', '{"a": 1}'),
        ("```\n[]\n```\n", "[]"),
        ("```JSON \n{\n}```", "{\n}"),
        ("Here:\n```json\n[]\n```", "Here:\n```json\n[]\n```"),
        ("```json\n[]", "```json\n[]"),
    ],
)
def test_a_fence_around_all_of_it_is_no_part_of_json(
    thought: str, around: str, answer: str
) -> None:
    """One in the midst of words, without an end, or around free text stays."""
    text = thought + around
    start, end = answer_place(text, is_json=True)

    assert text[start:end] == answer
    assert answer_place(text, is_json=False) == (len(thought), len(text))


def test_an_answer_has_the_tokens_that_wrote_it() -> None:
    """How surely a model thought says nothing of how sure the answer is."""
    writing = pieced(("<think>", 0.1), ("x</think>\n\nWe", 0.9), ("ll", 0.4), ("!", 0.5))

    said = writing.part(*answer_place(writing.text, is_json=False))

    assert (said.text, said.pieces) == ("Well!", ("We", "ll", "!"))
    assert said.mean_probability == pytest.approx((0.9 * 0.4 * 0.5) ** (1 / 3))
    assert writing.part(0, len(writing.text)) is writing


@pytest.mark.parametrize("pieces", [('Ġ"a"', "1"), ('{"a":', "x"), ('{"a":',), ('{"a": ', "2}")])
def test_tokens_of_another_text_tell_no_places(pieces: tuple[str, ...]) -> None:
    """Raw pieces, or those of special tokens that the text leaves out, are never taken for it."""
    logprobs = tuple(math.log(0.5) for _ in pieces)
    writing = Completion('{"a": 1}', pieces, logprobs, is_whole=True)

    assert writing.probability(6, 7) == pytest.approx(0.5 ** len(pieces))
    assert writing.part(6, 7) == Completion("1", pieces, logprobs, is_whole=True)


def test_no_tokens_are_sure_of_nothing() -> None:
    """An answer whose tokens are not told is not taken for certain."""
    writing = Completion('{"a": 1}', (), (), is_whole=True)

    assert (writing.probability(6, 7), writing.mean_probability) == (0.0, 0.0)
