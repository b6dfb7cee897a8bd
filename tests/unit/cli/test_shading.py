"""Why an answer is what it is, on a terminal: in colours, in brackets, and harmless."""

import io
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from smallfirst.answers import (
    Evidence,
    Explanation,
    ExplanationMethod,
    LabelAnswer,
    LikeExample,
    RecordAnswer,
    Span,
    SpansAnswer,
)
from smallfirst.cli.shading import harmless, marks_of, pieces_of, print_explanation, print_shaded

TEXT = "Where is my parcel?"
ALIKE = (LikeExample(number=1234, labels=("delivery",), key="abc", likeness=0.625),)
WHY = Explanation(
    method=ExplanationMethod.WEIGHTS,
    label="delivery",
    score=2.0,
    bias=-0.5,
    rest=0.25,
    alike=ALIKE,
)
ANSWER = LabelAnswer(
    label="delivery",
    confidence=0.9,
    evidence=(
        Evidence(start=0, end=5, weight=-0.25),
        Evidence(start=12, end=18, weight=2.5),
    ),
    explanation=WHY,
)


def shown(text: str, answer: object, *, colours: str | None = None) -> str:
    """What a terminal is sent."""
    file = io.StringIO()
    out = Console(file=file, color_system=colours, force_terminal=bool(colours))  # type: ignore[arg-type]
    print_shaded(out, text, marks_of(answer, text))  # type: ignore[arg-type]
    return file.getvalue()


def test_brackets_stand_in_for_colours() -> None:
    """Where there are none, each word bears its weight."""
    assert shown(TEXT, ANSWER) == "[Where -0.25] is my [parcel +2.50]?\n"


def test_colours_tell_for_from_against(monkeypatch: pytest.MonkeyPatch) -> None:
    """The words stay as they are, each side has its colour; NO_COLOR has brackets again."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    sent = shown(TEXT, ANSWER, colours="truecolor")
    assert "48;2;95;185;95mparcel\x1b[0m" in sent
    assert "48;2;250;220;215mWhere\x1b[0m" in sent
    assert "[" not in sent.replace("\x1b[", "")
    monkeypatch.setenv("NO_COLOR", "1")
    assert shown(TEXT, ANSWER, colours="truecolor") == shown(TEXT, ANSWER)


def test_a_text_cannot_write_to_the_terminal() -> None:
    """Escape sequences, writing turned round, halves of characters: told, not obeyed."""
    hostile = "\x1b[2Jparcel\r\x07 \u202e\u2066 [bold]x[/] :smile: \ud800\n\tend"
    sent = shown(hostile, LabelAnswer(label="a", confidence=1.0), colours="truecolor")
    assert (
        sent
        == "\\u001b[2Jparcel\\u000d\\u0007 \\u202e\\u2066 [bold]x[/] :smile: \\ud800\n        end\n"
    )
    assert harmless("größe \U0001f600", "ascii") == r"gr\xf6\xdfe \U0001f600"


def test_spans_and_quotes_are_shown_too() -> None:
    """A span by its label; a quote where it stands, and nothing where it does not."""
    spans = SpansAnswer(spans=(Span(start=12, end=18, label="thing"),), confidence=1.0)
    assert shown(TEXT, spans) == "Where is my [parcel thing]?\n"
    for quote, wanted in (("my parcel", "Where is [my parcel quote]?\n"), ("lost", f"{TEXT}\n")):
        record = RecordAnswer(record={"verdict": "yes", "quote": quote}, confidence=0.9)
        assert shown(TEXT, record) == wanted


def test_what_is_far_from_any_mark_is_left_out() -> None:
    """A book is not printed for the sake of a word, and it is said how much is missing."""
    text = "a" * 5000 + " parcel " + "b" * 5000
    answer = LabelAnswer(
        label="a", confidence=1.0, evidence=(Evidence(start=5001, end=5007, weight=1.0),)
    )
    sent = shown(text, answer)
    assert len(sent) < 600
    assert "[... 4,801 characters ...] aaa" in sent
    assert "bbb [... 4,801 characters ...]" in sent
    assert len(shown("c" * 200_000, LabelAnswer(label="a", confidence=1.0))) < 600


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60), st.floats(-9, 9)), max_size=8),
    st.text(max_size=50),
)
def test_marks_that_make_no_sense_harm_nothing(
    found: list[tuple[int, int, float]], text: str
) -> None:
    """Overlapping, empty, upside down, beyond the text: the text is whole, and in order."""
    evidence = tuple(Evidence(start=s, end=e + 1, weight=w) for s, e, w in found)
    marks = marks_of(LabelAnswer(label="a", confidence=1.0, evidence=evidence), text)
    assert "".join(piece.text for piece in pieces_of(text, marks)) == text
    assert all(one.end <= other.start for one, other in pairwise(marks))


def test_the_parts_of_the_score_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """With the text or without it: what the words named add up to, and what they leave out."""
    print_explanation(ANSWER, None)
    assert capsys.readouterr().out.splitlines() == [
        "  characters 0 to 5: -0.25",
        "  characters 12 to 18: +2.50",
        "  delivery: the words' own weights in a linear model, exactly",
        "  like row 1,234 (delivery), 0.62 alike",
        "  score +2.00 = before any word -0.50, these words +2.25, the rest +0.25",
    ]
    print_explanation(ANSWER, TEXT)
    assert "[parcel +2.50]?" in capsys.readouterr().out
