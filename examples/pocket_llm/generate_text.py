"""Makes what the pocket model learns from and is tested on: conversations, and demo rows.

    python generate_text.py --show 3                # a few conversations
    python generate_text.py --rows ../support_mail  # the demo's rows, from the held-out pool

The same seed gives the same text. Train and held-out draw from pools that share no phrase and no
name (`pools`). Prompts are written by the worker's own `prompts`, so the model is trained on
exactly what the fleet will ask.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import invoices
import replies
import tampering
import topics
from pools import SUPPORT_MAIL, Pool, pool

from smallfirst.catalogue import Example, Task

TASKS = {
    "topic": topics.demo_task,
    "invoice": invoices.demo_task,
    "tampering": tampering.demo_task,
    "reply": replies.demo_task,
}
#: How often a conversation is about each task: up to which number of it, in turn. Topics come
#: first, since a guide teaches them fast (`train`); records have most to learn.
STAGES: tuple[tuple[float, dict[str, int]], ...] = (
    (5000, {"topic": 55, "invoice": 25, "tampering": 16, "reply": 4}),
    (10_000_000, {"topic": 24, "invoice": 44, "tampering": 27, "reply": 5}),
    # What is left to learn then: papers, a guide beside them, and nothing of the rest forgotten.
    (math.inf, {"topic": 9, "invoice": 12, "tampering": 74, "reply": 5}),
)
#: Turns of a conversation; several share one prompt, as few-shot examples do.
NUM_TURNS = {
    "topic": (1, 3, 6, 9),
    "invoice": (1, 2, 3, 4),
    "tampering": (1, 2, 3, 4),
    "reply": (1, 2),
}
#: After so many characters a conversation takes no further text.
MAX_CHARS = 1200
#: The first conversations hold mostly bare requests: more labels for the same time.
NUM_EARLY, P_SHORT_EARLY = 6000, 0.9
NUM_ROWS = 40


@dataclass(frozen=True)
class Conversation:
    """A task, and texts with their right answers."""

    name: str
    task: Task
    turns: tuple[Example, ...]
    #: What each mail is about, whatever the list of labels calls it; empty where no mail is read.
    topics: tuple[str, ...] = ()


def conversation(words: Pool, number: int) -> Conversation:
    """Make the conversation of a number; it does not depend on any other one."""
    rng = words.stream(f"conversation {number}")
    weights = next(weights for until, weights in STAGES if number < until)
    name = rng.choices(list(weights), list(weights.values()))[0]
    num_turns = rng.choice(NUM_TURNS[name])
    is_early = number < NUM_EARLY
    task, turn = _asked(name, words, rng, P_SHORT_EARLY if is_early else topics.P_SHORT_MAIL)
    turns: list[tuple[Example, str]] = []
    while len(turns) < num_turns and sum(len(each.text) for each, _ in turns) < MAX_CHARS:
        turns.append(turn())
    told = tuple(topic for _, topic in turns if topic)
    return Conversation(name, task, tuple(each for each, _ in turns), told)


def example(name: str, words: Pool, rng: random.Random) -> Example:
    """Make one text with its answer, as the demo asks for it."""
    if name == "topic":
        topic = rng.choice(topics.TOPICS)
        return topics.mail_example(words, topic, topic, rng)
    if name == "invoice":
        return invoices.invoice_example(words, invoices.demo_task(), rng)
    if name == "tampering":
        return tampering.paper_example(words, rng)
    return replies.reply_example(words, rng.choice(topics.TOPICS), rng)


def examples(name: str, words: Pool, count: int) -> Iterator[Example]:
    """Make different texts with answers, as the demo asks for them."""
    rng, seen = words.stream(f"examples {name}"), set()
    while len(seen) < count:
        made = example(name, words, rng)
        if made.text not in seen:
            seen.add(made.text)
            yield made


def _asked(name: str, words: Pool, rng: random.Random, p_short: float) -> tuple[Task, Any]:
    """Choose how the task is put, and how its texts are made."""
    if name == "topic":
        task, names = topics.any_task(rng)

        def one_mail() -> tuple[Example, str]:
            topic = rng.choice(list(names))
            return topics.mail_example(words, topic, names[topic], rng, p_short), topic

        return task, one_mail
    if name == "reply":

        def one_reply() -> tuple[Example, str]:
            topic = rng.choice(topics.TOPICS)
            return replies.reply_example(words, topic, rng), topic

        return replies.demo_task(), one_reply
    if name == "invoice":
        task = invoices.any_task(rng)
        return task, lambda: (invoices.invoice_example(words, task, rng), "")
    return tampering.any_task(rng), lambda: (tampering.paper_example(words, rng), "")


def demo_rows(name: str) -> list[dict[str, Any]]:
    """Make rows for the demo: an id, a text, and what is right under the task's name."""
    made = examples(name, pool("heldout"), NUM_ROWS)
    return [
        {"id": f"{name}-{number:04}", "text": each.text, "gold": _gold(name, each)}
        for number, each in enumerate(made, start=1)
    ]


def _gold(name: str, made: Example) -> dict[str, Any]:
    if name == "invoice":
        return {"invoice": made.record}
    if name == "tampering":
        return {"tampering": made.verdict, "quote": made.quote}
    return {name: made.reply}


def main() -> None:
    """Read the command line; show conversations or write the demo's rows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--show", type=int, default=0, help="print this many conversations")
    parser.add_argument("--pool", choices=["train", "heldout"], default="train")
    parser.add_argument("--rows", type=Path, metavar="FOLDER", help=f"such as {SUPPORT_MAIL.name}")
    arguments = parser.parse_args()
    for number in range(arguments.show):
        print(conversation(pool(arguments.pool), number), end="\n\n")
    if arguments.rows:
        for name, file in {
            "invoice": "invoices",
            "tampering": "papers",
            "reply": "replies",
        }.items():
            lines = [json.dumps(row, ensure_ascii=False) for row in demo_rows(name)]
            path = arguments.rows / f"{file}.jsonl"
            path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
