"""What people answered, kept as rows for training: the text with its answer, and who said so when.

One file a task, added to at the end, before the answer is settled: so an answer that has its result
is never missing, and one that is settled twice may stand there twice. `smallfirst export` reads it,
and `smallfirst forget` takes rows out of it meanwhile.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from smallfirst.agreement.answer_keys import answer_key
from smallfirst.answers import (
    Answer,
    LabelAnswer,
    LabelsAnswer,
    RecordAnswer,
    SpansAnswer,
    TextAnswer,
)
from smallfirst.catalogue.locked_files import locked
from smallfirst.ledger.checks import Check
from smallfirst.ledger.decisions import Decided, Decision
from smallfirst.ledger.held_jobs import HeldJob
from smallfirst.results import at

#: The right answer as an example has it, by the form of the answer.
_AS_EXAMPLE: Final[Mapping[type, Callable[[Any], dict[str, Any]]]] = MappingProxyType(
    {
        LabelAnswer: lambda answer: {"label": answer.label},
        LabelsAnswer: lambda answer: {"labels": list(answer.labels)},
        SpansAnswer: lambda answer: {
            "spans": [
                {"start": each.start, "end": each.end, "label": each.label} for each in answer.spans
            ]
        },
        RecordAnswer: lambda answer: _of_record(answer.record),
        TextAnswer: lambda answer: {"reply": answer.text},
    }
)


def row_of(held: HeldJob, decisions: Sequence[Decision]) -> dict[str, Any]:
    """Write what stands as a row: an example of its task, with where it is from under `human`.

    Args:
        held: The job.
        decisions: Of all who answered, in order. What two gave stands, else the last.
    """
    machines = [attempt.model for attempt in held.slip.trail]
    keys = [answer_key(each.answer) for each in decisions]
    stands = next((n for n, key in enumerate(keys) if keys.count(key) > 1), len(keys) - 1)
    decision = decisions[stands]
    return {
        "id": held.job.id,
        "text": held.job.text,
        **as_example(decision.answer),
        "human": {
            "producer": held.slip.producer,
            "person": decision.person,
            "at": at(decision.decided_ms).isoformat(),
            "seconds": round(decision.seconds, 1),
            # Whoever answered saw what these had said, and nobody what another person had.
            "saw": machines,
            "asked": len(keys),
            "agreed": keys.count(keys[stands]),
            **({"people": [each.person for each in decisions]} if len(keys) > 1 else {}),
        },
    }


def blind_row_of(
    held: HeldJob, decisions: Sequence[Decision], check: Check, chance: float
) -> dict[str, Any]:
    """Write an answer to a blind check as a row: nobody who answered saw what a machine said.

    Such rows are a sample of all accepted answers, in which each counts for `1 / chance` of them.
    """
    row = row_of(held, decisions)
    blind = {"blind": True, "chance": chance, "step": check.step, "model": check.model, "saw": []}
    return row | {"human": row["human"] | blind}


def as_example(answer: Answer) -> dict[str, Any]:
    """The keys of an example that hold an answer."""
    return _AS_EXAMPLE[type(answer)](answer)


def _of_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """Write a verdict as a verdict; any other record is one."""
    if set(record) == {"verdict", "quote"}:
        return {
            "verdict": record["verdict"],
            **({"quote": record["quote"]} if record["quote"] else {}),
        }
    return {"record": dict(record)}


class AnswersKept:
    """The files of a folder.

    Args:
        folder: Where they lie; None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def open(self) -> None:
        """Make the folder; only its owner may look into it.

        Raises:
            OSError: When it cannot be made or written.
        """
        if self._folder is not None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            probe = self._folder / ".writable"
            probe.touch()
            probe.unlink()

    def keep(self, decided: Sequence[Decided]) -> None:
        """Add answers to the files of their tasks.

        Raises:
            OSError: When a file cannot be written; then nothing is settled yet.
        """
        self._add((each.held.job.task, row_of(each.held, each.decisions)) for each in decided)

    def keep_blind(
        self, held: HeldJob, decisions: Sequence[Decision], check: Check, chance: float
    ) -> None:
        """Add the answer to a blind check to the file of its task.

        Raises:
            OSError: When the file cannot be written; then nothing is recorded yet.
        """
        self._add([(held.job.task, blind_row_of(held, decisions, check, chance))])

    def _add(self, rows: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        if self._folder is None:
            return
        by_task: dict[str, list[str]] = {}
        for task, row in rows:
            by_task.setdefault(task, []).append(json.dumps(row, ensure_ascii=False))
        for task, lines in by_task.items():
            with locked(self._folder / f"{task}.jsonl", "ab") as file:
                file.write("".join(f"{line}\n" for line in lines).encode("utf-8"))
