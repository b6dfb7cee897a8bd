"""Whether answers of two tasks can be compared: one rule, for a shadow as for a promotion. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from smallfirst.catalogue.tasks import Task

#: The keys of a task's entry in which a candidate has to be like the live task.
Key = Literal["kind", "labels", "fields", "question", "max_chars"]


@dataclass(frozen=True)
class Difference:
    """Why the answers of a candidate cannot be compared with those of the live task.

    Attributes:
        key: Of the task's entry.
        apart: What stands in one of the two alone, such as labels.
    """

    key: Key
    apart: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """What stands in one alone, for people."""
        return ", ".join(map(repr, self.apart))


def difference_of(live: Task, candidate: Task) -> Difference | None:
    """Say what keeps two tasks from being compared; None where nothing does.

    Both have to give answers of one kind and to say the same of a text, and the candidate has to
    take each text that the live task takes.
    """
    return next(_differences(live, candidate), None)


def _differences(live: Task, candidate: Task) -> Iterator[Difference]:
    if live.kind != candidate.kind:
        yield Difference("kind")
    said: dict[Key, tuple[frozenset[str], frozenset[str]]] = {
        "labels": (frozenset(live.labels), frozenset(candidate.labels)),
        "fields": (frozenset(live.fields), frozenset(candidate.fields)),
        "question": (_question_of(live), _question_of(candidate)),
    }
    for key, (was, would_be) in said.items():
        if apart := was ^ would_be:
            yield Difference(key, tuple(sorted(apart)))
    if candidate.max_chars < live.max_chars:
        yield Difference("max_chars")


def _question_of(task: Task) -> frozenset[str]:
    return frozenset({task.question} if task.question else ())
