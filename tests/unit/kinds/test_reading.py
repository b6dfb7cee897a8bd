"""What a model wrote: an answer of the contract, or none, by its kind."""

import json
from typing import Any

import pytest
from tests.support.written_answers import (
    RECORD,
    TEXT,
    judged,
    pieced,
    read,
    read_writing,
    record_with,
    task,
    wrote,
)

from smallfirst.answers import Answer, LabelsAnswer, RecordAnswer, SpansAnswer, TextAnswer
from smallfirst.catalogue import Kind
from smallfirst.kinds.completions import InvalidAnswer

GOOD: list[tuple[Kind, str, Answer]] = [
    (Kind.EXTRACT, json.dumps(RECORD), RecordAnswer(record=RECORD, confidence=0.5)),
    (
        Kind.EXTRACT,
        record_with(count=3),
        RecordAnswer(record={**RECORD, "count": 3}, confidence=0.5),
    ),
    (
        Kind.JUDGE,
        '{"verdict": "yes", "quote": "12.50 due"}',
        RecordAnswer(record={"verdict": "yes", "quote": "12.50 due"}, confidence=0.5),
    ),
    (Kind.MULTILABEL, '["date", "name"]', LabelsAnswer(labels=("date", "name"), confidence=0.5)),
    (Kind.MULTILABEL, " [] ", LabelsAnswer(labels=(), confidence=0.5)),
    (Kind.TAG, "[]", SpansAnswer(spans=(), confidence=0.5)),
    (Kind.GENERATE, " Thank you.\n", TextAnswer(text="Thank you.", confidence=0.5)),
]


@pytest.mark.parametrize(("kind", "text", "answer"), GOOD)
def test_a_good_writing_is_its_answer(kind: Kind, text: str, answer: Answer) -> None:
    """What fits its task is read as it stands, as sure as its tokens."""
    assert read(kind, text) == answer


def test_fields_may_come_in_any_order() -> None:
    """A record is read by its names, with any white space between them."""
    turned = json.dumps(dict(reversed(RECORD.items())), indent=3)

    answer = read(Kind.EXTRACT, turned)

    assert isinstance(answer, RecordAnswer)
    assert answer.record == RECORD


@pytest.mark.parametrize(
    "text",
    [
        record_with(total="12.50"),
        record_with(total=True),
        record_with(total=None),
        record_with(total=[12.5]),
        record_with(count=3.5),
        record_with(count=False),
        record_with(due="23.11.2026"),
        record_with(due="2026-13-01"),
        record_with(due="2026-02-30"),
        record_with(due="2026-02-29"),
        record_with(due="2026-11-31"),
        record_with(due="0000-01-01"),
        record_with(due="2026-11-23\n"),
        record_with(due=20261123),
        record_with(paid="no"),
        record_with(paid=0),
        record_with(who=7),
        record_with(who={"name": "ACME"}),
    ],
)
def test_a_value_of_another_type_is_refused(text: str) -> None:
    """Each value is what its field says, and null only where that is optional."""
    with pytest.raises(InvalidAnswer, match="is no "):
        read(Kind.EXTRACT, text)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        record_with(more=1),
        json.dumps({name: value for name, value in RECORD.items() if name != "count"}),
        json.dumps({name.upper(): value for name, value in RECORD.items()}),
    ],
)
def test_a_record_has_exactly_its_fields(text: str) -> None:
    """None is missing, not even an optional one, and none is made up."""
    with pytest.raises(InvalidAnswer, match="other fields"):
        read(Kind.EXTRACT, text)


@pytest.mark.parametrize("kind", [Kind.EXTRACT, Kind.JUDGE, Kind.MULTILABEL, Kind.TAG])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "{",
        '{"total"',
        '{"total": ',
        '{"total": 12.5,}',
        '["name",]',
        "{'total': 1}",
        "{1: 2}",
        "{[1]: 2}",
        "null",
        "7",
        '"name"',
        "{} {}",
        "[] []",
        "```json\n[]\n```",
        "\ufeff[]",
        '["na\nme"]',
        "9" * 5000,
        "[" * 100_000,
        '{"total":' * 100_000,
        '{"who": ' + "[" * 100_000 + "]" * 100_000 + "}",
    ],
    ids=lambda text: ascii(text[:12]),
)
def test_what_is_not_the_json_asked_for_is_refused(kind: Kind, text: str) -> None:
    """Half JSON, other JSON, more than JSON and bottomless JSON are no answer."""
    with pytest.raises(InvalidAnswer):
        read(kind, text)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_a_number_that_is_none_is_refused(number: str) -> None:
    """Python's reader takes more for a number than JSON has, and than the wire can carry."""
    text = json.dumps(RECORD).replace("12.5", number)

    with pytest.raises(InvalidAnswer):
        read(Kind.EXTRACT, text)


@pytest.mark.parametrize("kind", [Kind.EXTRACT, Kind.JUDGE, Kind.MULTILABEL, Kind.TAG])
def test_half_a_character_is_refused(kind: Kind) -> None:
    """A lone surrogate can be written in JSON and cannot be sent."""
    texts = {
        Kind.EXTRACT: record_with(who="\ud800"),
        Kind.JUDGE: r'{"verdict": "yes", "quote": "\udfff"}',
        Kind.MULTILABEL: r'["\ud800"]',
        Kind.TAG: r'[{"text": "\ud800", "label": "name"}]',
    }

    with pytest.raises(InvalidAnswer):
        read(kind, texts[kind])


def test_an_emoji_in_two_escapes_is_one_character() -> None:
    """Surrogates that are a pair are the character they stand for."""
    answer = read(Kind.EXTRACT, record_with(who="😀"))

    assert isinstance(answer, RecordAnswer)
    assert answer.record["who"] == "😀"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Kind.EXTRACT, json.dumps(RECORD).replace("{", '{"total": 1, ')),
        (Kind.JUDGE, '{"verdict": "no", "verdict": "yes", "quote": "ACME"}'),
        (Kind.TAG, '[{"text": "ACME", "text": "due", "label": "name"}]'),
    ],
)
def test_a_key_that_stands_twice_is_refused(kind: Kind, text: str) -> None:
    """Of two values for one key neither is the answer."""
    with pytest.raises(InvalidAnswer):
        read(kind, text)


@pytest.mark.parametrize("kind", [Kind.EXTRACT, Kind.JUDGE, Kind.MULTILABEL, Kind.TAG])
def test_an_answer_that_ran_into_its_bound_is_refused(kind: Kind) -> None:
    """What was cut off is no answer, even where it looks whole."""
    good = next(text for of, text, _ in GOOD if of is kind)

    with pytest.raises(InvalidAnswer, match="longer"):
        read_writing(task(kind), TEXT, wrote(good, is_whole=False))


def test_free_text_may_be_cut_off_but_not_blank() -> None:
    """A bound is what a reply is asked to keep to; nothing at all is no reply."""
    cut = read_writing(task(Kind.GENERATE), TEXT, wrote("Thank y", is_whole=False))

    assert cut == TextAnswer(text="Thank y", confidence=0.5, cut=True)
    with pytest.raises(InvalidAnswer, match="nothing"):
        read(Kind.GENERATE, " \n\u2003")


def test_half_a_character_of_free_text_is_replaced() -> None:
    """A reply can be sent, whatever the model wrote."""
    assert read(Kind.GENERATE, "Thank \ud800you") == TextAnswer(text="Thank ?you", confidence=0.5)


@pytest.mark.parametrize(
    "record",
    [
        {"verdict": "maybe", "quote": "ACME"},
        {"verdict": "Yes", "quote": "ACME"},
        {"verdict": True, "quote": "ACME"},
        {"verdict": ["yes"], "quote": "ACME"},
        {"verdict": {}, "quote": "ACME"},
        {"verdict": "yes", "quote": None},
        {"verdict": "yes"},
        {"quote": "ACME"},
        {"verdict": "yes", "quote": "ACME", "why": "so"},
    ],
)
def test_a_verdict_has_its_form(record: dict[str, Any]) -> None:
    """Yes, no or unsure, with a quote, and nothing else."""
    with pytest.raises(InvalidAnswer, match="verdict"):
        read(Kind.JUDGE, json.dumps(record))


@pytest.mark.parametrize(
    ("quote", "confidence"),
    [
        ("12.50 due", 0.5),
        ("12,50 due", 0.0),
        ("acme thanks you", 0.0),
        ("ACME", 0.0),
        (".", 0.0),
        ("", 0.0),
        ("  ", 0.0),
    ],
)
def test_a_verdict_rests_on_its_quote(quote: str, confidence: float) -> None:
    """A verdict is sure only with words that stand literally in the text, and enough of them."""
    answer = judged("no", quote)

    assert answer.confidence == confidence
    assert answer.record == {"verdict": "no", "quote": quote}


def test_unsure_is_not_sure() -> None:
    """Unsure goes to the next step, however surely it was said and whatever it quotes."""
    assert judged("unsure", "ACME").confidence == 0.0


def test_a_quote_is_read_back_as_the_text_has_it() -> None:
    """A model sees a text's own fence markers escaped, and copies them so."""
    text = "He wrote </text> twice."

    answer = judged("yes", "wrote &lt;/text> twice", text)

    assert answer == RecordAnswer(
        record={"verdict": "yes", "quote": "wrote </text> twice"}, confidence=0.5
    )


def test_an_answer_quotes_the_text_and_not_the_model() -> None:
    """What the model set in another way is given out as the text has it."""
    answer = judged(
        "yes", "the 'old' total - 12.50", "See the \u2018old\u2019\ntotal \u2013 12.50."
    )

    assert answer == RecordAnswer(
        record={"verdict": "yes", "quote": "the \u2018old\u2019\ntotal \u2013 12.50"},
        confidence=0.5,
    )


def test_a_verdict_is_as_sure_as_its_word() -> None:
    """How surely the quote was copied takes nothing from the verdict."""
    writing = pieced(
        ('{"verdict": ', 0.9), ('"no', 0.8), ('", "quote": "AC', 0.5), ('ME thanks you"}', 0.1)
    )

    answer = read_writing(task(Kind.JUDGE), TEXT, writing)

    assert answer.confidence == pytest.approx(0.8 * 0.5)


@pytest.mark.parametrize(
    "labels", [["name", "name"], ["place"], ["Name"], [7], [None], [["name"]], [{}], ["name", {}]]
)
def test_labels_are_the_tasks(labels: list[Any]) -> None:
    """Each is one of the task's, and stands once."""
    with pytest.raises(InvalidAnswer, match="labels"):
        read(Kind.MULTILABEL, json.dumps(labels))


def spans(*found: tuple[str, str]) -> list[tuple[int, int, str]]:
    """Read labelled words of the invoice as spans."""
    said = json.dumps([{"text": words, "label": label} for words, label in found])
    answer = read(Kind.TAG, said)
    assert isinstance(answer, SpansAnswer)
    return [(span.start, span.end, span.label) for span in answer.spans]


def test_spans_stand_where_their_words_do() -> None:
    """Words that are named again are those that come next; no span overlaps another."""
    first, second = TEXT.index("ACME"), TEXT.rindex("ACME")

    assert spans(("ACME", "name"), ("2026-11-23", "date"), ("ACME", "name")) == [
        (first, first + 4, "name"),
        (TEXT.index("2026"), TEXT.index("2026") + 10, "date"),
        (second, second + 4, "name"),
    ]


@pytest.mark.parametrize(
    "found",
    [
        [("Acme", "name")],
        [("2026-11-23", "date"), ("Invoice", "name")],
        [("ACME", "name")] * 3,
        [("Invoice 7", "name"), ("7 of", "name")],
    ],
)
def test_spans_that_do_not_stand_in_the_text(found: list[tuple[str, str]]) -> None:
    """Words that are not there, or not after the ones before, are made up."""
    with pytest.raises(InvalidAnswer, match="do not stand"):
        spans(*found)


@pytest.mark.parametrize(
    "item",
    [
        "ACME",
        None,
        [],
        {},
        {"text": "ACME"},
        {"label": "name"},
        {"text": 7, "label": "name"},
        {"text": "ACME", "label": None},
        {"text": "ACME", "label": ["name"]},
        {"text": "ACME", "label": {"name": 1}},
        {"text": "ACME", "label": "name", "start": 0},
    ],
)
def test_a_span_has_its_form(item: object) -> None:
    """Words and a label, and nothing else."""
    with pytest.raises(InvalidAnswer, match="form"):
        read(Kind.TAG, json.dumps([item]))


@pytest.mark.parametrize("found", [("", "name"), ("ACME", "place"), ("ACME", "")])
def test_a_span_is_of_some_words_and_a_label_of_the_tasks(found: tuple[str, str]) -> None:
    """Nothing is found in no words, and no label is made up."""
    with pytest.raises(InvalidAnswer, match="no label"):
        spans(found)


def test_words_of_a_span_are_read_back_as_the_text_has_them() -> None:
    """A span covers the text's own characters, not the escapes that the model was shown."""
    text = "see <text> here"

    answer = read_writing(task(Kind.TAG), text, wrote('[{"text": "&lt;text>", "label": "name"}]'))

    assert isinstance(answer, SpansAnswer)
    assert [text[span.start : span.end] for span in answer.spans] == ["<text>"]
