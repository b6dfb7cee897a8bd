"""Producers of a long drill: jobs of mixed kinds at an even pace, submitted until confirmed."""

import random
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from time import monotonic
from typing import Any

from redis.exceptions import RedisError
from tests.support.invariants import digests
from tests.support.mortal_worker import POISON

from smallfirst import Client, Job
from smallfirst.errors import FleetUnreachable
from smallfirst.jobs import Priority

POCKET = Path(__file__).parents[2] / "examples" / "pocket_llm"
#: Shares of the tasks: most are answered by a rule or a small model, few are for the large one.
TASKS = {"ids": 60, "urgency": 24, "topic": 6, "pii": 6, "similar": 2, "invoice": 1, "reply": 1}
#: Each text holds it; where it is found beside texts and results, a text has leaked.
CANARY = "canary-7f3e91"
#: What the ledger's scripts decide by, as one job in ten has it in fields of its own.
WIRE_WORDS = {"status": "refused", "fingerprint": "0", "origin": "0-1", '","status":"refused': "\n"}
_WORDED_SHARE = 0.1
#: Characters of a document of digits, over which a rule sits for long; one job in so many is one,
#: and they come one after the other.
_DOCUMENT_CHARS, _JOBS_PER_DOCUMENT = 190_000, 250
_CHUNK_JOBS = 50
_PAUSE_SECONDS = 0.5


def texts_of(seed: int, count: int = 400) -> list[str]:
    """Make support mail that no model was trained on."""
    sys.path.insert(0, str(POCKET))
    generate_text, pools = (import_module(name) for name in ("generate_text", "pools"))
    words: Any = pools.pool("heldout")
    made = [one.text for one in generate_text.examples("topic", words, count)]
    random.Random(seed).shuffle(made)
    return made


def jobs_of(seed: int, name: str, count: int, texts: list[str], num_poison: int) -> Iterator[Job]:
    """Make jobs of mixed kinds, the same for the same seed; no two texts are alike."""
    dice = random.Random(f"{seed}-{name}")
    deadly = set(dice.sample(range(count // 2), num_poison))
    first = dice.randrange(count // 2)
    documents = set(range(first, first + count // _JOBS_PER_DOCUMENT)) - deadly
    names, weights = list(TASKS), list(TASKS.values())
    for number in range(count):
        is_deadly, is_document = number in deadly, number in documents
        text = _document(dice) if is_document else dice.choice(texts)
        task = "ids" if is_document else dice.choices(names, weights)[0]
        kind = "deadly" if is_deadly else f"document-{name}" if is_document else name
        yield Job(
            id=f"{kind}-{seed}-{number}",
            # A task whose first step asks a model: no rule may answer it before.
            task="similar" if is_deadly else task,
            text=f"{text}\n({number}, {CANARY}) {POISON if is_deadly else ''}",
            priority=Priority.INTERACTIVE if dice.random() < 0.1 else Priority.BULK,
            metadata=WIRE_WORDS if dice.random() < _WORDED_SHARE else {},
            reply_to=name,
        )


def _document(dice: random.Random) -> str:
    return "".join(dice.choices("0123456789 ", k=_DOCUMENT_CHARS))


@dataclass
class Producer:
    """Submits jobs evenly over a time. What is not confirmed is submitted again, by its id."""

    url: str
    jobs: list[Job]
    seconds: float
    num_slices: int = 1
    confirmed: list[str] = field(default_factory=list)
    num_repeats: int = 0

    @property
    def confirmed_jobs(self) -> list[Job]:
        """Those that the fleet has taken."""
        return self.jobs[: len(self.confirmed)]

    def start(self) -> threading.Thread:
        """Run in a thread of its own."""
        thread = threading.Thread(target=self.run, name="producer", daemon=True)
        thread.start()
        return thread

    def run(self) -> None:
        """Submit everything."""
        pause = threading.Event()
        begun = monotonic()
        with Client(self.url, slices=self.num_slices) as client:
            while len(self.confirmed) < len(self.jobs):
                due = len(self.jobs) * (monotonic() - begun) / self.seconds
                if len(self.confirmed) + _CHUNK_JOBS > due < len(self.jobs):
                    pause.wait(_PAUSE_SECONDS)
                    continue
                self._submit(client, self.jobs[len(self.confirmed) :][:_CHUNK_JOBS])

    def _submit(self, client: Client, chunk: list[Job]) -> None:
        try:
            self.confirmed += client.submit_many(chunk)
        except FleetUnreachable:
            self.num_repeats += 1


class Results:
    """Asks for the result of each job that was confirmed, and keeps the digest it first had."""

    def __init__(self, redis: Any, producers: Sequence[Producer]) -> None:
        self._redis = redis
        self._producers = producers
        self._num_slices = producers[0].num_slices
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="results", daemon=True)
        self.digests: dict[str, str] = {}

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after a last look."""
        self._stop.set()
        self._thread.join()
        self._look()

    def _follow(self) -> None:
        while not self._stop.wait(0.5):
            try:
                self._look()
            except RedisError:
                continue

    def _look(self) -> None:
        confirmed = [name for producer in self._producers for name in list(producer.confirmed)]
        unseen = [name for name in confirmed if name not in self.digests]
        for start in range(0, len(unseen), 1000):
            self.digests |= digests(self._redis, unseen[start : start + 1000], self._num_slices)
