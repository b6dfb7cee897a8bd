"""Serving a catalogue without those candidates in shadow that cannot be, and with the others.

Live tasks come first: what is wrong with a candidate stops none of them, and no other candidate.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog

from smallfirst.catalogue import Catalogue
from smallfirst.errors import CatalogueError, ModelFilesError

log = structlog.get_logger()

Outcome = TypeVar("Outcome")


@dataclass(frozen=True)
class Served(Generic[Outcome]):
    """What came of serving a catalogue.

    Attributes:
        outcome: Of the last try, which went well.
        catalogue: What was served.
        left_out: What was wrong with each candidate that was left out, by its name.
    """

    outcome: Outcome
    catalogue: Catalogue
    left_out: Mapping[str, Exception]


def serve_sound(
    catalogue: Catalogue,
    serve: Callable[[Catalogue], Outcome],
    *,
    errors: tuple[type[Exception], ...],
    passing: tuple[type[Exception], ...] = (),
) -> Served[Outcome]:
    """Serve a catalogue; where that fails for candidates in shadow, without them, and say which.

    An error leaves out the candidates that it speaks of, and where it speaks of none, all: then
    nobody can tell which is to blame.

    Args:
        catalogue: With its candidates.
        serve: Serves one, or raises.
        errors: What it raises where something is wrong with a catalogue.
        passing: What ends by itself: it is raised, whoever's it is.

    Raises:
        Exception: Of these errors, where live tasks cannot be served either.
    """
    kept, left_out = frozenset(catalogue.shadows), dict[str, Exception]()
    while True:
        tried = catalogue.without_shadows(kept)
        try:
            return Served(serve(tried), tried, left_out)
        except passing:
            raise
        except errors as error:
            broken = blamed(tried, error) or kept
            if not broken:
                raise
            left_out |= dict.fromkeys(sorted(broken), error)
            kept -= broken


def blamed(catalogue: Catalogue, error: Exception) -> frozenset[str]:
    """The candidates in shadow that an error speaks of: by a task, a model or a model's source."""
    names = frozenset(_named(error, catalogue))
    tasks = {name: catalogue.tasks[name] for name in catalogue.shadows}
    return frozenset(
        name
        for name, task in tasks.items()
        if f"tasks.{name}" in names or names & {f"models.{model}" for model in task.asks}
    )


def _named(error: Exception, catalogue: Catalogue) -> Iterator[str]:
    """The tasks and models that an error names, as `tasks.topic` and `models.minilm`."""
    if isinstance(error, CatalogueError):
        for problem in error.problems:
            yield ".".join(problem.where.partition("[")[0].split(".")[:2])
    if isinstance(error, ModelFilesError):
        for name, model in catalogue.models.items():
            if error.source == model.source:
                yield f"models.{name}"
    # Errors of routers and workers carry fields, too, and are no business of the contract.
    for section in ("task", "model"):
        if named := getattr(error, section, None):
            yield f"{section}s.{named}"


def tell_left_out(catalogue: Catalogue, left_out: Mapping[str, Exception]) -> None:
    """Log which candidates are not served, and why."""
    for name, error in left_out.items():
        shadow = catalogue.tasks[name].shadow
        task = shadow.of if shadow else name
        log.warning(
            "shadow.left_out",
            candidate=name,
            task=task,
            error=str(error),
            consequence="it is not asked here; live tasks and other candidates are served",
            remedy=f"mend it, or take it out: smallfirst shadow stop {task}",
        )
