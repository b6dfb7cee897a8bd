"""The demo's support mail: it can be made again, and its gold answers are right."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[3] / "examples" / "support_mail"
TOPICS = {"billing", "delivery", "return", "product_question", "account", "complaint", "other"}
URGENCIES = {"high", "normal", "low"}
ID_LABELS = {"ssn", "card", "iban"}
PII_LABELS = ID_LABELS | {"person", "email", "phone", "address"}
#: Shapes of ids, checked or not. An IBAN's length depends on its country.
SSN = re.compile(r"(?<![\w-])(\d{3})-(\d{2})-(\d{4})(?![\w-])")
CARD = re.compile(r"(?<![\w-])\d(?:[ -]?\d){12,18}(?![\w-])")
IBAN = re.compile(
    r"\b(?:DE(?: ?\d){20}|GB\d\d ?[A-Z]{4}(?: ?\d){14}|NL\d\d ?[A-Z]{4}(?: ?\d){10}"
    r"|IE\d\d ?[A-Z]{4}(?: ?\d){14}|AT(?: ?\d){18}|CH(?: ?\d){19}|DK(?: ?\d){16}|PT(?: ?\d){23})\b"
)

Row = dict[str, Any]
Found = tuple[int, int, str]


def rows(name: str) -> list[Row]:
    """Read a committed file of the example."""
    return [json.loads(line) for line in (FOLDER / name).read_text("utf-8").splitlines()]


MAILS = rows("mails.jsonl")
PII_EXAMPLES = rows("examples/pii.jsonl")
LABELLED = {name: rows(f"examples/{name}.jsonl") for name in ("topic", "urgency")}
SPANNED = [(row["text"], row["gold"][task]) for row in MAILS for task in ("ids", "pii")] + [
    (row["text"], row["spans"]) for row in PII_EXAMPLES
]


def is_ssn(text: str) -> bool:
    """Tell whether the number could have been given out."""
    area, group, serial = text.split("-")
    return not (area in {"000", "666"} or area[0] == "9" or group == "00" or serial == "0000")


def is_card(text: str) -> bool:
    """Tell whether the digits pass the Luhn check."""
    digits = [int(letter) for letter in reversed(text) if letter.isdigit()]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def is_iban(text: str) -> bool:
    """Tell whether the remainder modulo 97 is 1."""
    bare = text.replace(" ", "")
    return int("".join(str(int(letter, 36)) for letter in bare[4:] + bare[:4])) % 97 == 1


CHECKS = {"ssn": (SSN, is_ssn), "card": (CARD, is_card), "iban": (IBAN, is_iban)}


def id_shapes(text: str) -> Iterator[tuple[Found, bool]]:
    """Yield whatever is shaped like an id, and whether it passes its check."""
    for label, (shape, is_valid) in CHECKS.items():
        for match in shape.finditer(text):
            yield (match.start(), match.end(), label), is_valid(match[0])


def spans_of(spans: list[Row], labels: set[str]) -> list[Found]:
    """Return the spans that bear one of the labels."""
    return [(s["start"], s["end"], s["label"]) for s in spans if s["label"] in labels]


@pytest.mark.parametrize("name", ["mails.jsonl", "examples/pii.jsonl"])
def test_regenerating_gives_the_committed_bytes(name: str, tmp_path: Path) -> None:
    """The generator writes the same bytes whenever and wherever it runs."""
    script = FOLDER / "generate_mails.py"
    split = "pii" if "pii" in name else "mails"
    command = [sys.executable, "-B", str(script), "--split", split, "--out", str(tmp_path)]

    subprocess.run(command, check=True, timeout=60)

    assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()


def test_spans_lie_in_their_text_in_order() -> None:
    """A span is a piece of its text without blanks around it, and no two spans overlap."""
    for text, spans in SPANNED:
        for span in spans:
            entity = text[span["start"] : span["end"]]
            assert 0 <= span["start"] < span["end"] <= len(text)
            assert entity == entity.strip()
            assert span["label"] in PII_LABELS
        assert all(before["end"] <= after["start"] for before, after in pairwise(spans))


def test_gold_ids_are_all_that_is_valid_and_nothing_else() -> None:
    """Whatever has the shape of an id and passes its check is gold; a decoy is not."""
    for text, spans in SPANNED:
        valid = sorted(found for found, is_valid in id_shapes(text) if is_valid)
        assert valid == spans_of(spans, ID_LABELS), text


def test_each_kind_of_id_has_decoys() -> None:
    """The mails hold enough numbers that only look like an id to catch a rule without checks."""
    decoys = Counter(
        label for row in MAILS for (_, _, label), is_valid in id_shapes(row["text"]) if not is_valid
    )
    assert all(decoys[label] >= 5 for label in ID_LABELS), decoys


def test_ids_are_part_of_pii() -> None:
    """A mail's ids are among its personal data, at the same places."""
    for row in MAILS:
        gold = row["gold"]
        assert spans_of(gold["pii"], ID_LABELS) == spans_of(gold["ids"], ID_LABELS)


def test_every_email_address_is_gold() -> None:
    """No e-mail address, in a signature or a quoted header, is missing from the gold answers."""
    for row in MAILS:
        emails = [match.span() for match in re.finditer(r"[\w.+-]+@[\w.-]+\w", row["text"])]
        gold = spans_of(row["gold"]["pii"], {"email"})
        assert emails == [(start, end) for start, end, _ in gold]


def test_mails_are_many_and_of_every_kind() -> None:
    """There are 300 mails and more, 40 of each topic, 60 of each urgency, a fifth with an id."""
    topics = Counter(row["gold"]["topic"] for row in MAILS)
    urgencies = Counter(row["gold"]["urgency"] for row in MAILS)
    num_with_ids = sum(bool(row["gold"]["ids"]) for row in MAILS)

    assert len(MAILS) >= 300
    assert topics.keys() == TOPICS
    assert min(topics.values()) >= 40
    assert urgencies.keys() == URGENCIES
    assert min(urgencies.values()) >= 60
    assert num_with_ids >= len(MAILS) / 5


def test_mails_are_short_and_long() -> None:
    """Lengths range from a line to more than 600 words with a quoted thread."""
    num_words = [len(row["text"].split()) for row in MAILS]
    long_mails = [row["text"] for row, words in zip(MAILS, num_words, strict=True) if words > 600]

    assert min(num_words) < 20
    assert len(long_mails) >= 5
    assert any("\n> " in text for text in long_mails)


@pytest.mark.parametrize(("task", "labels"), [("topic", TOPICS), ("urgency", URGENCIES)])
def test_each_label_has_examples(task: str, labels: set[str]) -> None:
    """Each label of a task is taught by a dozen examples or more, and no other label is."""
    counts = Counter(row["label"] for row in LABELLED[task])

    assert counts.keys() == labels
    assert min(counts.values()) >= 12


def test_pii_examples_are_enough_and_some_are_empty() -> None:
    """There are short texts and letters, a dozen spans of each label, and texts without any."""
    counts = Counter(span["label"] for row in PII_EXAMPLES for span in row["spans"])

    assert len(PII_EXAMPLES) >= 400
    assert sum("\n" in row["text"] for row in PII_EXAMPLES) >= 150
    assert counts.keys() == PII_LABELS
    assert min(counts.values()) >= 12
    assert sum(not row["spans"] for row in PII_EXAMPLES) >= 30


def test_mails_and_examples_share_no_text() -> None:
    """What a model is taught is never what it's asked: no text stands twice anywhere."""
    examples = [*LABELLED["topic"], *PII_EXAMPLES]
    mails = [row["text"] for row in MAILS]

    assert len(set(mails)) == len(mails)
    assert not {row["text"] for row in [*examples, *LABELLED["urgency"]]} & set(mails)
    assert len({row["text"] for row in examples}) == len(examples)


def test_mails_and_pii_examples_share_no_full_name() -> None:
    """A name learnt from the examples never helps in a mail: full names are different ones."""

    def full_names(texts: list[tuple[str, list[Row]]]) -> set[str]:
        found = (text[s:e] for text, spans in texts for s, e, _ in spans_of(spans, {"person"}))
        return {name.casefold() for name in found if " " in name}

    in_mails = full_names([(row["text"], row["gold"]["pii"]) for row in MAILS])
    in_examples = full_names([(row["text"], row["spans"]) for row in PII_EXAMPLES])
    assert in_mails
    assert in_examples
    assert not in_mails & in_examples
