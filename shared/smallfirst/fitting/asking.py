"""Asking candidates about rows, through a real fleet: its workers, batches and prices.

Each candidate is a task for each part of the rows, whose examples are what that part has learned
from; so one fleet answers all of a cross-validation, and every answer is one that would be served.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Self

from smallfirst.catalogue import Catalogue, Model, Pool, Task
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.client import Client
from smallfirst.evaluation.errors import UnansweredError
from smallfirst.evaluation.rows import Row
from smallfirst.evaluation.scoring_run import (
    MAX_IN_FLIGHT,
    MAX_WORKERS,
    ProgressObserver,
    has_failed,
    said_of,
    unanswered,
)
from smallfirst.evaluation.single_step_catalogue import as_yaml
from smallfirst.fitting.candidates import Candidate, Offer
from smallfirst.fitting.drafting import Written
from smallfirst.fitting.measured import Measurements, Told
from smallfirst.jobs import Job, Result, Tier
from smallfirst.kinds import KINDS
from smallfirst.local import LocalFleet
from smallfirst.local.cores import usable_cores
from smallfirst.settings import RouterSettings, load_settings

#: Rows that are asked and kept together: few of a large model, whose answers take long.
_LOT, _DEAR_LOT = 200, 8
#: The share of rows, and the number in any case, on which a candidate may fail.
_MAX_FAILED_SHARE, _MAX_FAILED = 0.05, 3


@dataclass(frozen=True)
class Part:
    """Rows, and what whoever is asked about them has learned from."""

    name: str
    taught: tuple[Row, ...]
    rows: tuple[Row, ...]


class Asking:
    """Candidates, and the parts that they are asked about; the fleet starts when it is needed.

    Args:
        offer: Whom to ask.
        written: The task, without cascade and examples.
        parts: By their names.
        kept: What was said before.
        onlooker: Who watches the fleet at it.
        slm_processes: Workers; one a core, up to four, where None.
    """

    def __init__(
        self,
        offer: Offer,
        written: Written,
        parts: Sequence[Part],
        kept: Measurements,
        *,
        onlooker: ProgressObserver,
        slm_processes: int | None = None,
    ) -> None:
        self._offer = offer
        self._written = written
        self._parts = {part.name: part for part in parts}
        self._kept = kept
        self._onlooker = onlooker
        self._slm_processes = slm_processes
        self._resources = ExitStack()
        self._client: Client | None = None
        self._fleet: LocalFleet | None = None
        self._advance: Callable[[int, int | None], None] = lambda _done, _total: None
        self._digests = {part.name: _digest(_taught(part)) for part in parts}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._resources.__exit__(kind, error, trace)

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Whom it asks."""
        return self._offer.candidates

    def ask(
        self, candidate: Candidate, part: str, *, until: float | None = None
    ) -> tuple[Told, ...]:
        """Ask a candidate about the rows of a part, the first of them where time runs out.

        Args:
            candidate: One of the offer.
            part: The name of a part.
            until: No more rows are begun at this time of `time.monotonic`; None: all are asked.

        Raises:
            LocalFleetError: When the fleet does not come up.
            UnansweredError: When the candidate fails on too many of them.
        """
        rows = self._parts[part].rows
        size = _DEAR_LOT if candidate.tier is Tier.LLM else _LOT
        told: list[Told] = []
        for lot in _lots(rows, size):
            key = self._key(candidate, part, lot)
            found: Sequence[Told] | None = self._kept.get(key)
            if found is None:
                if until is not None and monotonic() >= until:
                    break
                found = self._answers(candidate, part, lot)
                self._kept.keep(key, found)
            told += found
            self._advance(len(told), len(rows))
        return tuple(told)

    def _key(self, candidate: Candidate, part: str, lot: Sequence[Row]) -> str:
        """Hash all that decides what a candidate says of rows, and what it costs."""
        written = {name: self._offer.base["models"][name] for name in candidate.models}
        model = [_plain(Model.model_validate(each)) for each in written.values()]
        pools = [_plain(Pool.model_validate(each)) for each in self._offer.base["pools"].values()]
        base = [pools, *(self._offer.base.get(key) for key in ("router", "currency"))]
        asked = [[row.example.text, example_of(row)] for row in lot]
        made_of = [version("smallfirst"), self._written, candidate.step, candidate.task, model]
        return _digest([*made_of, base, self._digests[part], asked])

    def _answers(self, candidate: Candidate, part: str, lot: Sequence[Row]) -> list[Told]:
        client, fleet = self._opened()
        task = _task_name(self._offer, candidate, part)
        texts = list(dict.fromkeys(row.example.text for row in lot))
        # A temperature is fitted to the probability of every label.
        jobs = (
            Job(id=f"{task}.{_digest(text)[:24]}", task=task, text=text, whole_distribution=True)
            for text in texts
        )
        found: dict[str, Result] = {}
        results = client.map(jobs, max_in_flight=MAX_IN_FLIGHT)
        for text, result in zip(texts, results, strict=True):
            fleet.check()
            found[text] = result
        return self._told(candidate, lot, [found[row.example.text] for row in lot])

    def _told(
        self, candidate: Candidate, lot: Sequence[Row], results: Sequence[Result]
    ) -> list[Told]:
        task = Task.model_validate({**self._written, "cascade": [candidate.step]})
        failed = [(row, each) for row, each in zip(lot, results, strict=True) if not each.trail]
        failed += [(row, each) for row, each in zip(lot, results, strict=True) if has_failed(each)]
        if len(failed) > max(_MAX_FAILED, int(_MAX_FAILED_SHARE * len(lot))) or any(
            not each.trail for _, each in failed
        ):
            assert self._fleet is not None, "somebody was asked"
            raise UnansweredError((unanswered(0, *failed[0]),), len(failed), self._fleet.logs)
        golds = [KINDS[task.kind].gold_of(row.example) for row in lot]
        return [
            Told(said_of(task.cascade[0], task.kind, each, gold), each.trail[-1].revision)
            for each, gold in zip(results, golds, strict=True)
        ]

    def _opened(self) -> tuple[Client, LocalFleet]:
        """The fleet's client; the fleet is started for the first question."""
        if self._client is None or self._fleet is None:
            folder = self._resources.enter_context(temporary_folder())
            written = served(self._offer, self._written, list(self._parts.values()))
            (folder / "catalogue.yaml").write_text(as_yaml(written), encoding="utf-8")
            for part in self._parts.values():
                _write_examples(folder, part)
            self._train_linear(folder / "catalogue.yaml")
            self._fleet = LocalFleet(
                folder / "catalogue.yaml",
                folder / "fleet",
                slm_processes=self._slm_processes or min(MAX_WORKERS, usable_cores()),
                flower=False,
                persistent=False,
            )
            enter = self._resources.enter_context
            enter(self._onlooker.around(self._fleet))
            enter(self._fleet)
            self._advance = enter(self._onlooker.asking(self._fleet))
            self._client = enter(Client(self._fleet.redis_url))
        return self._client, self._fleet

    def _train_linear(self, path: Path) -> None:
        """Train all linear models here: a router would start a process of seconds for each."""
        from smallfirst.linear.fitting import train  # noqa: PLC0415 - by whom it is needed

        catalogue = load_catalogue(path)
        cache = load_settings(RouterSettings).cache_dir
        asked = [each for each in self._offer.candidates if each.tier is Tier.LINEAR]
        for candidate in asked:
            for part in self._parts:
                name = _task_name(self._offer, candidate, part)
                train(name, catalogue.tasks[name], cache)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that stays behind when something went wrong, for its logs."""
    folder = Path(tempfile.mkdtemp(prefix="smallfirst-fit-"))
    try:
        yield folder
    except KeyboardInterrupt:
        shutil.rmtree(folder)
        raise
    shutil.rmtree(folder)


def served(offer: Offer, written: Written, parts: Sequence[Part]) -> Written:
    """The catalogue of the fleet: a task for each candidate and part, whose every answer stands."""
    tasks = {
        _task_name(offer, each, part.name): {
            **written,
            **each.task,
            "examples": _examples_file(part.name),
            "cascade": [each.step],
        }
        for each in offer.candidates
        for part in parts
    }
    return {**offer.base, "tasks": tasks}


def _task_name(offer: Offer, candidate: Candidate, part: str) -> str:
    return f"candidate-{offer.candidates.index(candidate)}-{part}"


def _examples_file(part: str) -> str:
    return f"{part}.jsonl"


def _write_examples(folder: Path, part: Part) -> None:
    lines = (json.dumps(each) + "\n" for each in _taught(part))
    (folder / _examples_file(part.name)).write_text("".join(lines), encoding="utf-8")


def _taught(part: Part) -> list[Mapping[str, Any]]:
    return [example_of(row) for row in part.taught]


def example_of(row: Row) -> dict[str, Any]:
    """A row as a file of examples has it: text and right answer."""
    return row.example.model_dump(mode="json", exclude_none=True, exclude={"id"})


def _plain(entry: Model | Pool) -> dict[str, Any]:
    """An entry in the one form that does not tell how it was written."""
    return entry.model_dump(mode="json", exclude_defaults=True)


def _lots(rows: Sequence[Row], size: int) -> Iterator[Sequence[Row]]:
    for first in range(0, len(rows), size):
        yield rows[first : first + size]


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def catalogue_of(offer: Offer, name: str, task: Written) -> Catalogue:
    """A catalogue with one task, for whoever decides by it; no file stands for it."""
    return Catalogue.model_validate_json(json.dumps({**offer.base, "tasks": {name: task}}))
