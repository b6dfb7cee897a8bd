"""Laws of the SLM engine, on the real bundled encoder."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from smallfirst.answers import Answer, LabelAnswer, LabelsAnswer, SpansAnswer, VectorAnswer
from smallfirst.jobs import Problem
from smallfirst_workers.engines import EngineRequest
from smallfirst_workers.slm.engine import SlmEngine

Counted = tuple[SlmEngine, list[tuple[int, ...]]]
LONG = "I lost the card. " * 400


def ask(engine: SlmEngine, task: str, *texts: str) -> list[Answer | Problem]:
    """Ask one task about several texts."""
    return engine.run([EngineRequest(text, task) for text in texts]).answers


def test_one_pass_serves_several_tasks(counting: Counted) -> None:
    """A batch that mixes the tasks of one encoder is one forward pass."""
    engine, shapes = counting
    words = ("card", "money", "password", "name")
    asked = list(map(EngineRequest, words, ("topic", "about", "names", "similar")))

    done = engine.run(asked)

    kinds = [type(answer) for answer in done.answers]
    assert kinds == [LabelAnswer, LabelsAnswer, SpansAnswer, VectorAnswer]
    assert shapes == [(4, 8)]
    assert (sum(done.tokens), done.padded_tokens) == (12, 32)


def test_several_questions_about_one_text_read_it_once(counting: Counted) -> None:
    """Who asks three tasks about a text pays for one reading; its tokens are shared out."""
    engine, shapes = counting

    done = engine.run([EngineRequest("my card", task) for task in ("topic", "names", "similar")])

    assert shapes == [(1, 8)]
    assert done.tokens == [2, 1, 1]
    assert isinstance(done.answers[1], SpansAnswer)


def test_answers_come_in_the_order_of_the_questions(engine: SlmEngine) -> None:
    """Sorting by length inside does not show outside."""
    texts = ["I cannot log in " * repeats for repeats in (9, 1, 30, 4)]
    alone = [ask(engine, "similar", text)[0] for text in texts]

    together = ask(engine, "similar", *texts)

    for one, other in zip(alone, together, strict=True):
        assert isinstance(one, VectorAnswer)
        assert isinstance(other, VectorAnswer)
        assert np.dot(one.vector, other.vector) > 0.999


def test_tokens_are_counted_without_padding(engine: SlmEngine) -> None:
    """Each question bears its own tokens; padding shows in the pass alone."""
    done = engine.run(
        [EngineRequest("card", "topic"), EngineRequest("where is my new card", "topic")]
    )

    assert done.tokens == [3, 7]
    assert done.padded_tokens == 2 * 8
    assert done.seconds > 0


def test_a_lone_long_text_pads_nobody(counting: Counted) -> None:
    """A pass is cut where padding would cost more than another pass."""
    engine, shapes = counting
    names = ["red", "blue", "green", "black", "white", "old", "new", "big"]
    texts = [f"where is my {one} {other} card" for one in names for other in names]

    done = engine.run([EngineRequest(text, "topic") for text in [*texts, "where is my card " * 40]])

    assert [rows for rows, _ in shapes] == [64, 1]
    assert done.padded_tokens == sum(rows * length for rows, length in shapes)


def test_a_long_text_is_read_through_windows(counting: Counted) -> None:
    """A text of several windows is read to its end, by rows no longer than the model takes."""
    engine, shapes = counting

    (answer,) = ask(engine, "topic", LONG)

    assert isinstance(answer, LabelAnswer)
    assert answer.label == "card"
    assert sum(rows for rows, _ in shapes) > 5
    assert max(length for _, length in shapes) <= 256


def test_the_windows_of_each_text_are_told(engine: SlmEngine) -> None:
    """A text that the model takes at once has one; what stands beside it has its own."""
    asked = [EngineRequest(text, "topic") for text in (LONG, "the refund has not arrived", LONG)]

    many, one, same = (part.windows for part in engine.run(asked).parts())

    assert many == same > [5]
    assert one == [1]


def test_spans_of_a_long_text_are_found_wherever_they_stand(engine: SlmEngine) -> None:
    """A name is found at the same place of its sentence in the first window and in the last."""
    text = ("We have not heard from anybody. " * 40 + "Please call Grace Hopper back. ") * 3

    (answer,) = ask(engine, "names", text)

    assert isinstance(answer, SpansAnswer)
    found = [text[span.start : span.end] for span in answer.spans]
    assert found.count("Grace Hopper") == 3


def test_a_vector_is_the_models_own(engine: SlmEngine) -> None:
    """An embedding has length 1, and like texts lie closer than unlike ones."""
    answers = ask(engine, "similar", "I want a refund", "give me my money back", "it is snowing")

    refund, money, snow = (np.array(getattr(answer, "vector", ())) for answer in answers)
    assert math.isclose(float(np.linalg.norm(refund)), 1, abs_tol=1e-5)
    assert refund @ money > refund @ snow + 0.2


def test_a_label_comes_with_the_whole_distribution(engine: SlmEngine) -> None:
    """Every label's probability is told, and they sum to 1."""
    (answer,) = ask(engine, "topic", "the refund has not arrived")

    assert isinstance(answer, LabelAnswer)
    assert set(answer.distribution) == {"card", "refund", "login"}
    assert math.isclose(sum(answer.distribution.values()), 1, abs_tol=1e-9)


def test_one_bad_text_fails_alone(choking: Callable[[str, Exception], SlmEngine]) -> None:
    """Whatever one text makes the model raise, its batch-mates are answered."""
    engine = choking("zebra", RuntimeError("secret text inside"))

    texts = [f"my card number {number}" for number in range(40)]

    done = ask(engine, "topic", *texts[:20], "a zebra", *texts[20:])

    assert done[20] == Problem(
        code="model_error", message="The model failed on this text (RuntimeError)."
    )
    assert all(isinstance(answer, LabelAnswer) for answer in done[:20] + done[21:])


def test_a_lack_of_memory_is_not_a_bad_text(
    choking: Callable[[str, Exception], SlmEngine],
) -> None:
    """The worker has to hear of it: its batch comes back in smaller ones."""
    engine = choking("zebra", MemoryError())

    with pytest.raises(MemoryError):
        ask(engine, "topic", "my card", "a zebra")


@pytest.mark.parametrize("task", ["topic", "about", "names", "similar"])
@pytest.mark.parametrize(
    "text",
    ["\x00", "\x01\x02\x7f", "\u200b\u2060", "\ufeff", "\U0001f600" * 1000, "card" * 50_000],
    ids=["nul", "control", "zero width", "byte order", "emoji", "one endless word"],
)
def test_a_text_of_nothing_is_said_to_be_one(engine: SlmEngine, task: str, text: str) -> None:
    """Where the model has nothing to read, nothing is made up, and batch-mates are answered.

    A text of which the model sees only that there are unknown words is nothing too.
    """
    nothing, something = ask(engine, task, text, "where is my card")

    assert isinstance(nothing, Problem)
    assert nothing.code == "nothing_to_read"
    assert not isinstance(something, Problem)


@pytest.mark.parametrize(
    "text",
    [
        "my card " * 25_000,
        "\x00card\x00",
        "أين بطاقتي الجديدة",
        "e\u0301\u0301\u0301 " * 50,
        "[CLS] [SEP] [PAD] [MASK] card",
        "a\u202eb card",
    ],
    ids=["long", "nul", "arabic", "marks", "specials", "bidi"],
)
def test_strange_texts_are_answered(engine: SlmEngine, text: str) -> None:
    """What a person could send, a person gets an answer to, whatever the task."""
    done = engine.run(
        [EngineRequest(text, task, explain=True) for task in ("topic", "names", "similar")]
    )

    assert not [answer for answer in done.answers if isinstance(answer, Problem)]


def test_a_spelt_special_token_is_text(engine: SlmEngine) -> None:
    """A text that spells the model's separator is read as letters."""
    done = engine.run([EngineRequest("[SEP]", "similar"), EngineRequest("x", "similar")])

    assert done.tokens[0] > done.tokens[1] == 3


def test_an_unknown_task_is_a_problem_of_its_own(engine: SlmEngine) -> None:
    """A question for a task that was never prepared harms no other."""
    (unknown,), (known,) = ask(engine, "absent", "card"), ask(engine, "topic", "card")

    assert isinstance(unknown, Problem)
    assert unknown.code == "task_not_loaded"
    assert isinstance(known, LabelAnswer)


def test_no_questions_no_pass(counting: Counted) -> None:
    """An empty batch is answered by an empty pass."""
    engine, shapes = counting

    done = engine.run([])

    assert (done.answers, done.tokens, done.padded_tokens, shapes) == ([], [], 0, [])
