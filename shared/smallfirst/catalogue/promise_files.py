"""Reading the promises that `accept: calibrated` stands for, and refusing those that are void.

One file a task, `calibration/TASK.json` beside the catalogue. Whether the model that answers is the
one that was calibrated shows only where it runs; the worker looks at that.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError

from smallfirst.catalogue import Catalogue, Place, Promise, Task, promise_path, step_specs
from smallfirst.catalogue.drifts import Alarm, Drift
from smallfirst.catalogue.file_stamps import StampedFiles
from smallfirst.catalogue.pools import Model
from smallfirst.catalogue.problems import problems_of

#: The largest promise that is read; one of a hundred labels has thirty kilobytes.
MAX_PROMISE_BYTES = 2_000_000


def with_promises(
    catalogue: Catalogue, path: Path, files: StampedFiles
) -> tuple[Catalogue, list[tuple[Place, str]]]:
    """Give every step that says `accept: calibrated` its promise.

    Args:
        catalogue: Read from `path`, its examples among it.
        path: Of the catalogue; promises stand beside it.
        files: Reads the promises, and so remembers to watch them.

    Returns:
        The catalogue, and what is wrong with it: the place, and the rule with its remedy.
    """
    tasks, problems = dict(catalogue.tasks), list[tuple[Place, str]]()
    for name, task in catalogue.tasks.items():
        marked = [n for n, step in enumerate(task.cascade) if step.is_calibrated]
        if not marked:
            continue
        at: Place = ("tasks", name, "cascade", marked[0], "accept")
        promise = _read(promise_path(path, name), files)
        if isinstance(promise, str):
            problems.append((at, f"{promise}; {remedy(name)}"))
            continue
        void = list(voids(promise, name, task, catalogue.models))
        if (lack := _lack(task.drift, promise)) is not None:
            at_drift: Place = ("tasks", name, "drift")
            problems.append((at_drift, f"the task's promise was made by {lack}; {remedy(name)}"))
        problems += [(at if n is None else _accept(name, n), rule) for n, rule in void]
        if not void:
            tasks[name] = _promised(task, promise)
    return catalogue.model_copy(update={"tasks": tasks}), problems


def _lack(drift: Drift | None, promise: Promise) -> str | None:
    """Say which version made a promise that lacks what a drift goes by; None where it has all."""
    if drift is None:
        return None
    if promise.reference is None:
        return "a version that did not count what rows are like"
    if drift.alarm is Alarm.RAISE_THRESHOLD and promise.cautious is None:
        return "a version that chose no thresholds for a drift"
    return None


def remedy(task: str) -> str:
    """Say what makes a promise anew."""
    return f"run `smallfirst calibrate {task} --data ROWS`"


def _accept(name: str, step: int) -> Place:
    return ("tasks", name, "cascade", step, "accept")


def _read(path: Path, files: StampedFiles) -> Promise | str:
    """Read a promise; a string says why there is none."""
    try:
        content = files.read(path, MAX_PROMISE_BYTES)
        return Promise.model_validate_json(content, strict=True)
    except FileNotFoundError:
        return f"is calibrated, and there is no {path}"
    except OSError as err:
        return f"is calibrated, and {path} cannot be read: {err.strerror or err}"
    except ValidationError as err:
        problem = problems_of(err, Promise)[0]
        return f"is calibrated, and {path} is no promise: {problem.where or 'it'}: {problem.rule}"
    except ValueError as err:
        return f"is calibrated, and {path} {err}"


def voids(
    promise: Promise, name: str, task: Task, models: Mapping[str, Model]
) -> Iterator[tuple[int | None, str]]:
    """Say why a promise does not hold of a cascade: the step, where one is to blame, and why."""
    if promise.task != name:
        yield None, f"is calibrated, and the promise is of the task {promise.task!r}"
    elif len(promise.steps) != (num_steps := len(task.machine_steps)):
        was = len(promise.steps)
        rule = f"was calibrated as a cascade of {was} steps, and there are {num_steps}"
        yield None, f"{rule}; {remedy(name)}"
    else:
        specs = step_specs(task, models)
        for index, (made_of, spec) in enumerate(zip(promise.steps, specs, strict=True)):
            if made_of.spec != spec:
                rule = "the step, its model or the task's examples changed since it was calibrated"
                yield index, f"{rule}; {remedy(name)}"


def _promised(task: Task, promise: Promise) -> Task:
    """Tell every step of the promise, those too that keep a threshold of their own.

    The promise is of the whole cascade, so a step whose model or rule is another one voids it.
    """
    pairs = zip(task.machine_steps, promise.steps, strict=True)
    steps = tuple(step.with_promise(of) for step, of in pairs)
    people = () if task.person_step is None else (task.person_step,)
    return task.with_promise(promise, (*steps, *people))
