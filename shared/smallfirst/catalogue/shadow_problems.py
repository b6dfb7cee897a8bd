"""What keeps a task from running in shadow of another: their answers could not be compared."""

from collections.abc import Iterator, Mapping

from smallfirst.catalogue.comparing import Difference, difference_of
from smallfirst.catalogue.tasks import Task
from smallfirst.kinds.entries import Place
from smallfirst.wording import did_you_mean


def shadow_problems(tasks: Mapping[str, Task]) -> Iterator[tuple[Place, str]]:
    """Say which tasks cannot run in shadow of those that they name."""
    first: dict[str, str] = {}
    for name, task in tasks.items():
        if task.shadow is None:
            continue
        of, at = task.shadow.of, ("tasks", name, "shadow", "of")
        if of == name or of not in tasks:
            near = did_you_mean(of, tasks.keys() - {name})
            yield at, f"{of!r} is not another one of `tasks`{near}"
            continue
        for rule in _unlike(task, tasks[of], of):
            yield at, rule
        if (earlier := first.setdefault(of, name)) != name:
            yield at, f"{earlier!r} runs in shadow of {of!r} already; keep one of the two"


def _unlike(task: Task, live: Task, of: str) -> Iterator[str]:
    """Say why the answers of two tasks cannot be compared."""
    if live.shadow is not None:
        yield f"{of!r} runs in shadow itself, and has no jobs of its own; name {live.shadow.of!r}"
    match difference_of(live, task):
        case None:
            return
        case Difference(key="kind"):
            yield f"{of!r} is {live.kind}, and this one {task.kind}; only like can be compared"
        case Difference(key="max_chars"):
            most = f"{live.max_chars:,}"
            yield f"{of!r} takes texts of {most} characters; set `max_chars` here to that"
        case Difference(key=key) as apart:
            alone = f"{apart.words} stand in one of the two tasks alone"
            yield f"{alone}; a candidate has the {key} of {of!r}"
