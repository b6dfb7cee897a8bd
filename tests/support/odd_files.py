"""Files of rows that somebody might have: good ones with odd cells, and plain nonsense."""

import csv
import io
import json
import random
from collections.abc import Iterator, Sequence
from typing import Any, Final

from hypothesis import strategies as st
from tests.support.nonsense import NASTY_NUMBERS, texts, values

from smallfirst.jobs import Job
from smallfirst.kinds import EXAMPLE_KEYS

#: The ending of a file, by which it is known what it holds.
ENDINGS: Final = (".jsonl", ".csv", ".tsv")
_KEYS: Final = (*Job.model_fields, *EXAMPLE_KEYS, "gold", "Id", "TEXT", "lable", "note", "")
#: What a row has where it is as its reader wants it.
_GOOD: Final[dict[str, list[Any]]] = {
    "id": ["a", "b.1", 17, 1.0],
    "text": ["Where is my parcel?", "größe \U0001f600"],
    "task": ["topic", "pii"],
    "label": ["a", "b", None],
    "labels": [["a"], [], ["a", "a"]],
    "spans": [[{"start": 0, "end": 5, "label": "a"}], [{"start": 3, "end": 1, "label": "a"}]],
    "record": [{"n": 1}, {"n": None}],
    "verdict": ["yes", "perhaps"],
    "gold": [{"topic": "a"}, {"pii": []}, []],
    "deadline": [30, 0, 1e400, "30"],
    "metadata": [{"k": "v"}, None, {"k": 1}],
}
_NASTY_LINES: Final = (
    b"", b" ", b"{", b"[", b"[{}]", b"null", b'"text"', b"\xff\xfe{", b"\x1f\x8b", b"PK\x03\x04",
    b"\x00",
    b'{"text": "a", "text": "b"}', b'{"text": NaN}', b"[" * 3000, b'{"a":' * 3000, b'"', b'a,"b',
    b'{"text": "\\ud800"}', b"\xe2\x80\xa8", b"text,label", b"text;label", b'"a""b",c,d,e,f,g,h',
    *(f'{{"text": "a", "deadline": {number}}}'.encode() for number in NASTY_NUMBERS),
)  # fmt: skip
#: What one sign too many breaks a row with.
_SIGNS: Final = b'",;\t\n\r{}[]:\\\x00\x80\xff\xe2 0aeE+-.'
_TEXTS: Final = st.sampled_from(_GOOD.pop("text"))
_OPTIONAL: Final = {key: st.sampled_from(of) for key, of in _GOOD.items()}
#: Mostly rows as their reader wants them, but for a key or two; and some of anything.
rows = st.one_of(
    st.fixed_dictionaries({"text": _TEXTS}),
    st.fixed_dictionaries({"text": _TEXTS}, optional=_OPTIONAL),
    st.fixed_dictionaries({"text": _TEXTS, "label": texts | values}),
    st.fixed_dictionaries({"text": texts, "spans": values | _OPTIONAL["spans"]}),
    st.dictionaries(st.sampled_from(_KEYS) | texts, values, max_size=6),
)


@st.composite
def odd_files(draw: st.DrawFn) -> tuple[str, bytes]:
    """Draw a file: its ending and its content."""
    ending = draw(st.sampled_from(ENDINGS))
    meant = draw(st.lists(rows, min_size=8, max_size=24))
    content = _lines(draw, meant) if ending == ".jsonl" else _table(draw, meant, ending)
    before = draw(st.sampled_from([b"", b"", b"", b"\xef\xbb\xbf", b"\n", b"\xff\xfe"]))
    return ending, before + content


def _lines(draw: st.DrawFn, meant: Sequence[dict[str, Any]]) -> bytes:
    is_ascii = draw(st.booleans())
    lines = [
        json.dumps(row, ensure_ascii=is_ascii).encode("utf-8", "surrogatepass") for row in meant
    ]
    return _joined(draw, lines)


def _table(draw: st.DrawFn, meant: Sequence[dict[str, Any]], ending: str) -> bytes:
    """Write a table as its programs do, cells of lists and maps as JSON."""
    keys = draw(st.lists(st.sampled_from(_KEYS), min_size=1, max_size=8))
    written = io.StringIO(newline="")
    delimiter = "," if ending == ".csv" else "\t"
    table = csv.writer(written, delimiter=delimiter, escapechar=draw(st.sampled_from([None, "\\"])))
    table.writerow(["text", *keys])
    for row in meant:
        cells = [_cell(row.get(key)) for key in ("text", *keys)]
        table.writerow(cells[: draw(st.integers(0, len(cells)))] + [""] * draw(st.integers(0, 2)))
    return written.getvalue().encode("utf-8", "surrogatepass")


def _cell(value: object) -> str:
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value)
    return text.replace("\x00", "")


def _joined(draw: st.DrawFn, lines: list[bytes]) -> bytes:
    nasty = draw(st.lists(st.sampled_from(_NASTY_LINES), max_size=2))
    order = draw(st.permutations([*lines, *nasty]))
    return draw(st.sampled_from([b"\n", b"\r\n", b"\n\n"])).join(order)


def spoilt(content: bytes, seed: int, num: int) -> Iterator[bytes]:
    """Spoil a file in so many ways: a sign put in, a stretch lost or doubled, the rest cut off."""
    chance = random.Random(seed)
    for _ in range(num):
        spoiling = bytearray(content)
        for _ in range(chance.randint(1, 4)):
            at = chance.randint(0, len(spoiling))
            end = min(len(spoiling), at + chance.choice([0, 1, 1, 2, 40]))
            kept = bytes(spoiling[at:end]) * chance.choice([0, 1, 2])
            spoiling[at:end] = kept + bytes([chance.choice(_SIGNS)]) * chance.choice([0, 1, 1])
        yield bytes(spoiling[: chance.choice([None, None, chance.randint(0, len(spoiling))])])
