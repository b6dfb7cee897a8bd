"""Laws of tasks that read a mail's own words alone."""

from collections.abc import Callable, Mapping

import pytest

from smallfirst.answers import LabelAnswer, SpansAnswer
from smallfirst.catalogue import Task
from smallfirst_workers.engines import EngineRequest
from smallfirst_workers.slm.engine import SlmEngine

MAIL = "I want my money back."
TAIL = "\n-- \nPlease call Grace Hopper back about her card and her password."


@pytest.fixture(scope="module")
def own(load: Callable[..., SlmEngine], tasks: Mapping[str, Task]) -> SlmEngine:
    """The bundled encoder with tasks that read all of a text, and tasks that read the message."""
    message = {
        f"{name} of message": tasks[name].model_copy(update={"reads": "message"})
        for name in ("topic", "names")
    }
    engine = load()
    engine.prepare({"topic": tasks["topic"], "names": tasks["names"], **message})
    return engine


def test_a_tail_changes_no_answer_about_the_message(own: SlmEngine) -> None:
    """With the same text beside it read whole, in one batch, each task reads its own part."""
    with_tail, alone, whole = own.run(
        [
            EngineRequest(MAIL + TAIL, "topic of message"),
            EngineRequest(MAIL, "topic of message"),
            EngineRequest(MAIL + TAIL, "topic"),
        ]
    ).answers

    assert isinstance(with_tail, LabelAnswer)
    assert isinstance(alone, LabelAnswer)
    assert with_tail.label == alone.label == "refund"
    assert with_tail.confidence == pytest.approx(alone.confidence, abs=0.02)
    assert whole != with_tail


def test_what_is_left_out_bears_no_span_and_moves_none(own: SlmEngine) -> None:
    """A name in the message is found at its place; one in the signature only where all is read."""
    text = f"Please call Ada Lovelace back.{TAIL}"

    told = own.run([EngineRequest(text, task) for task in ("names of message", "names")]).answers

    found = []
    for answer in told:
        assert isinstance(answer, SpansAnswer)
        found.append([text[span.start : span.end] for span in answer.spans])
    assert found == [["Ada Lovelace"], ["Ada Lovelace", "Grace Hopper"]]


def test_what_is_read_is_part_of_the_revision(own: SlmEngine) -> None:
    """A head of messages is another head, so no promise made for one stands for the other."""
    assert own.revision_of("topic") != own.revision_of("topic of message")
