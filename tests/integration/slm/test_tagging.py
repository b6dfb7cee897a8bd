"""Laws of the spans that a head on the real encoder finds."""

import pytest

from smallfirst.answers import SpansAnswer
from smallfirst_workers.engines import EngineRequest
from smallfirst_workers.slm.engine import SlmEngine


def names_in(engine: SlmEngine, text: str) -> list[str]:
    """What the spans of a text hold."""
    (answer,) = engine.run([EngineRequest(text, "names")]).answers
    assert isinstance(answer, SpansAnswer)
    return [text[span.start : span.end] for span in answer.spans]


@pytest.mark.parametrize(
    "frame",
    [
        "Please call {} back.",
        "\U0001f600\U0001f469\u200d\U0001f469\u200d\U0001f467 Please call {} back.",
        "e\u0301a\u0308\u0301 nai\u0308ve Please call {} back.",
        "\x00\x01 Please call {} back.",
        "日本語 Please call {} back.",
        "  \t Please   call\t{}   back  ",
    ],
    ids=["plain", "emoji", "combining marks", "control", "kanji", "spaces"],
)
def test_offsets_count_characters_of_the_text(engine: SlmEngine, frame: str) -> None:
    """Whatever stands before it, a span holds the name, the whole name and nothing else."""
    assert names_in(engine, frame.format("Barbara Liskov")) == ["Barbara Liskov"]


def test_a_name_of_many_pieces_is_not_broken(engine: SlmEngine) -> None:
    """The tokenizer's pieces and the marks that it strips are all inside."""
    name = "Bjarne Stroustrup-Ångströ\u0308m"

    assert names_in(engine, f"Please call {name} back.") == [name]


def test_an_answer_is_as_sure_as_its_least_sure_word(engine: SlmEngine) -> None:
    """Words outside every span count too: to overlook a name is an error."""
    (answer,) = engine.run(
        [EngineRequest("Please call Grace Hopper back about parcels.", "names")]
    ).answers

    assert isinstance(answer, SpansAnswer)
    assert 0.5 <= answer.confidence <= min(span.confidence for span in answer.spans) <= 1


def test_no_name_no_span(engine: SlmEngine) -> None:
    """A text without a name is answered by no span, with a confidence all the same."""
    (answer,) = engine.run([EngineRequest("my password does not work", "names")]).answers

    assert isinstance(answer, SpansAnswer)
    assert answer.spans == ()
    assert answer.confidence > 0.5
