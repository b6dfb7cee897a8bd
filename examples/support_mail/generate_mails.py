"""Writes the demo's support mail, and the short texts that teach a model to find personal data.

    python generate_mails.py                  # mails.jsonl and examples/pii.jsonl
    python generate_mails.py --split pii      # only the one
    python generate_mails.py --out FOLDER     # somewhere else

The same seed gives the same bytes. Each mail has a random stream of its own, so that a mail more
or less leaves the others as they were. ``examples/topic.jsonl`` and ``examples/urgency.jsonl``
were written by hand and aren't touched. Needs the standard library only.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

from composing import TOPICS, URGENCIES, Composer, Draft, requests
from entities import Values
from letters import LetterComposer, with_joined_names, within_a_letter
from markup import Span, choose, join, phrase_lists, pieces, sections
from noise import Style, pick_style, plain

HERE = Path(__file__).parent
DATA = HERE / "data"
#: One seed for each split, so that their values are drawn independently.
SEEDS = {"mails": "ladle", "pii": "larch"}
NUM_COMPOSED_PER_TOPIC = 42
NUM_LONG_PER_TOPIC = 2
#: How many texts are made from one phrase of ``data/pii_phrases.txt``.
NUM_TEXTS_PER_PHRASE = {"entities": 3, "hard": 1}
#: How many whole letters stand beside them.
NUM_LETTERS = 200
#: The labels a rule can find; a gold answer repeats them among all personal data.
ID_LABELS = {"ssn", "card", "iban"}

Row = dict[str, Any]


def main() -> None:
    """Read the command line and write the files asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--split", choices=["all", "mails", "pii"], default="all")
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write to")
    arguments = parser.parse_args()
    if arguments.split in {"all", "mails"}:
        write_rows(arguments.out / "mails.jsonl", mail_rows())
    if arguments.split in {"all", "pii"}:
        write_rows(arguments.out / "examples" / "pii.jsonl", pii_rows())


def mail_rows() -> list[Row]:
    """Make all mails, hand-written and composed, in a mixed but fixed order."""
    names = names_of("mail")
    rows = [
        mail_row(draft, Values(rng, names, has_writer=True), style, rng)
        for draft, style, rng in [*drafts_by_hand(), *composed_drafts()]
    ]
    assert len({row["text"] for row in rows}) == len(rows), "two mails are the same"
    random.Random(SEEDS["mails"]).shuffle(rows)
    return [{"id": f"mail-{number:04}", **row} for number, row in enumerate(rows, start=1)]


def drafts_by_hand() -> Iterator[tuple[Draft, Style, random.Random]]:
    """Yield the mails that were written one by one; how they are typed stays as it is."""
    for head, body in sections(DATA / "mails_by_hand.txt"):
        topic, urgency = head.split()
        assert (topic, urgency) in product(TOPICS, URGENCIES), head
        yield Draft(body, topic, urgency), plain, stream("mails", body)


def composed_drafts() -> Iterator[tuple[Draft, Style, random.Random]]:
    """Yield as many mails of each topic, every request in turn, the first few of them long."""
    phrases = phrase_lists(DATA / "phrases.txt")
    for topic in TOPICS:
        turn = requests(topic, phrases)
        stream("mails", topic).shuffle(turn)
        turn.sort(key=lambda request: request.is_whole_mail)
        for number in range(NUM_COMPOSED_PER_TOPIC):
            rng = stream("mails", f"{topic} {number}")
            is_long = number < NUM_LONG_PER_TOPIC
            composer = Composer(topic, rng, phrases)
            draft = composer.compose(turn[number % len(turn)], is_long=is_long)
            yield draft, plain if is_long else pick_style(rng), rng


def mail_row(draft: Draft, values: Values, style: Style, rng: random.Random) -> Row:
    """Fill in a draft; the gold spans are those of its labelled pieces."""
    parts = (style(part, rng) for part in pieces(draft.marked_up, values.fill))
    text, spans = join(parts)
    gold = {
        "topic": draft.topic,
        "urgency": draft.urgency,
        "ids": [vars(span) for span in spans if span.label in ID_LABELS],
        "pii": [vars(span) for span in spans],
    }
    return {"text": text, "gold": gold}


def pii_rows() -> list[Row]:
    """Make the example texts for personal data, sentences and letters, without repeats."""
    rows: dict[str, Row] = {}
    for text, spans in [*sentences(), *letters()]:
        rows[text] = {"text": text, "spans": [vars(span) for span in spans]}
    mixed = list(rows.values())
    random.Random(SEEDS["pii"]).shuffle(mixed)
    return mixed


def sentences() -> Iterator[tuple[str, list[Span]]]:
    """Fill in phrase by phrase, each a text of its own."""
    names = names_of("example")
    for kind, phrases in phrase_lists(DATA / "pii_phrases.txt").items():
        for phrase, number in product(phrases, range(NUM_TEXTS_PER_PHRASE[kind])):
            rng = stream("pii", f"{phrase} {number}")
            yield fill_example(phrase, Values(rng, names, has_writer=False), rng)


def letters() -> Iterator[tuple[str, list[Span]]]:
    """Write whole letters around such phrases."""
    phrases = within_a_letter(phrase_lists(DATA / "pii_phrases.txt"))
    phrases |= phrase_lists(DATA / "letter_phrases.txt")
    names = letter_names()
    for number in range(NUM_LETTERS):
        rng = stream("pii", f"letter {number}")
        letter = LetterComposer(phrases, rng).compose()
        yield fill_example(letter, Values(rng, names, has_writer=True), rng)


def letter_names() -> dict[str, list[str]]:
    """The names of the examples, their parts joined anew, and more streets and towns."""
    names, more = names_of("example"), names_of("letter")
    joined = {kind: [*names[kind], *more.get(kind, [])] for kind in names}
    return joined | {"people": with_joined_names(names["people"], stream("pii", "names"))}


def fill_example(phrase: str, values: Values, rng: random.Random) -> tuple[str, list[Span]]:
    """Fill in one phrase with names that no mail knows."""
    style = pick_style(rng)
    return join(style(part, rng) for part in pieces(choose(phrase, rng), values.fill))


def names_of(split: str) -> dict[str, list[str]]:
    """Read the names that belong to a split: people, agents, streets, cities, products."""
    lists = phrase_lists(DATA / "names.txt")
    heads = (head.split() for head in lists)
    return {kind: lists[f"{owner} {kind}"] for owner, kind in heads if owner == split}


def stream(split: str, name: str) -> random.Random:
    """Return a random stream that depends on nothing but the split's seed and a name."""
    return random.Random(f"{SEEDS[split]} {name}")


def write_rows(path: Path, rows: list[Row]) -> None:
    """Write one JSON object a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
