"""What the pocket model learns from: made the same each time, apart from its tests, and right."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples"
FOLDER = EXAMPLES / "pocket_llm"
#: Run in a process of its own: the example's modules are not a package, and stay out of this one.
PROGRAM = """
import json, sys
sys.path.insert(0, sys.argv[1])
from generate_text import TASKS, conversation, demo_rows, examples
from pools import pool
from smallfirst.kinds.records import record_schema
from smallfirst_workers.prompting.prompts import as_chat, shared_messages

told = {}
for name in ("train", "heldout"):
    words = pool(name)
    made = [conversation(words, number) for number in range(150)]
    told[name] = {
        "phrases": {head: lines for head, lines in words.phrases.items()},
        "names": words.names,
        "conversations": [
            {
                "name": one.name,
                "kind": str(one.task.kind),
                "labels": list(one.task.labels),
                "schema": record_schema(one.task.fields),
                "turns": [turn.model_dump(mode="json") for turn in one.turns],
                "chat": as_chat(shared_messages(one.task, one.turns)),
            }
            for one in made
        ],
    }
told["rows"] = {name: demo_rows(name) for name in ("invoice", "tampering", "reply")}
json.dump(told, sys.stdout)
"""
#: Files of the demo's rows, by task.
FILES = {"invoice": "invoices.jsonl", "tampering": "papers.jsonl", "reply": "replies.jsonl"}
#: Heads of the support mail's own phrases that say what a mail is about.
TELLING = ("scenario ", "whole ", "detail ")


@cache
def made() -> str:
    """Make texts in a fresh process."""
    return run()


def run() -> str:
    """Run the program, with a hash seed of its own each time."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(FOLDER)], capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.fixture(scope="module")
def told() -> Any:
    """Give what was made."""
    return json.loads(made())


def turns(told: Any, pool: str, name: str) -> list[tuple[Any, Any]]:
    """Pair the turns of a pool's conversations on a task with their conversation."""
    talks = [talk for talk in told[pool]["conversations"] if talk["name"] == name]
    pairs = [(talk, turn) for talk in talks for turn in talk["turns"]]
    assert pairs
    return pairs


def test_made_the_same_each_time() -> None:
    """Another process makes the same conversations and rows."""
    assert run() == made()


def test_no_name_or_phrase_on_both_sides(told: Any) -> None:
    """What the tests are made of was never seen in training, but for the frame of a mail."""
    frame = {head for head in told["train"]["phrases"] if head.startswith(("ids ", "urgency "))}
    frame |= {"greeting", "closing", "opener", "reply", "decoy", "aside language"}
    for kind in ("names", "phrases"):
        sides = [told[side][kind] for side in ("train", "heldout")]
        for head in (sides[0].keys() & sides[1].keys()) - frame:
            assert not set(sides[0][head]) & set(sides[1][head]), head


def test_no_text_on_both_sides(told: Any) -> None:
    """No text of the held-out side is one of the training's."""
    texts = [
        {turn["text"] for talk in told[side]["conversations"] for turn in talk["turns"]}
        for side in ("train", "heldout")
    ]

    assert not texts[0] & texts[1]


def test_the_support_mails_were_not_learnt_from(told: Any) -> None:
    """None of what the demo's mails ask for stands among the phrases of training."""
    support = (EXAMPLES / "support_mail" / "data" / "phrases.txt").read_text(encoding="utf-8")
    blocks = support.split("\n== ")
    asked = {
        line for block in blocks if block.startswith(TELLING) for line in block.splitlines()[1:]
    }
    learnt = {line for lines in told["train"]["phrases"].values() for line in lines}

    assert len(asked) > 150
    assert not asked & learnt


@pytest.mark.parametrize("side", ["train", "heldout"])
def test_labels_are_those_of_the_prompt(told: Any, side: str) -> None:
    """A mail's label is always one of those its prompt lists."""
    assert all(turn["label"] in talk["labels"] for talk, turn in turns(told, side, "topic"))


@pytest.mark.parametrize("side", ["train", "heldout"])
def test_records_fit_their_schema(told: Any, side: str) -> None:
    """A record has the schema's fields in the schema's order, and its words stand in the text."""
    for talk, turn in turns(told, side, "invoice"):
        record = turn["record"]
        assert list(record) == talk["schema"]["required"]
        for name in record.keys() & {"vendor", "number", "customer"}:
            assert record[name] in turn["text"], name
        assert isinstance(record.get("total", 0.5), float)


@pytest.mark.parametrize("side", ["train", "heldout"])
def test_quotes_stand_in_their_text(told: Any, side: str) -> None:
    """Every verdict comes with a line of the text, letter by letter."""
    for _, turn in turns(told, side, "tampering"):
        assert turn["verdict"] in {"yes", "no", "unsure"}
        assert turn["quote"] in turn["text"].splitlines()


def test_answers_are_written_in_the_chat(told: Any) -> None:
    """Each conversation is the order, then texts and answers in turn."""
    for talk in told["train"]["conversations"]:
        roles = [turn["role"] for turn in talk["chat"]]
        assert roles == ["system", *["user", "assistant"] * len(talk["turns"])]


@pytest.mark.parametrize("name", FILES)
def test_the_demo_rows_can_be_made_again(told: Any, name: str) -> None:
    """The files of the demo are what the generator makes, with an id and a gold answer each."""
    written = (EXAMPLES / "support_mail" / FILES[name]).read_text(encoding="utf-8").splitlines()

    assert [json.loads(row) for row in written] == told["rows"][name]
    assert all(name in row["gold"] for row in told["rows"][name])
    assert len({row["text"] for row in told["rows"][name]}) == len(written) == 40
