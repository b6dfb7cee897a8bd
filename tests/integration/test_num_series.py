"""How many series a fleet of many tasks and workers makes, counted on the real metrics."""

import re
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry
from tests.support.shapes import attempt_for, result_for

from smallfirst.jobs import Outcome, Status
from smallfirst.ledger.settlements import Finish
from smallfirst_router.metrics import DECISIONS, RouterMetrics
from smallfirst_workers.metrics import WorkerMetrics

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "architecture.md"
TASKS, STEPS, WORKERS, ROUTERS, POOLS, MODELS = 50, 2, 40, 3, 5, 4
#: How the jobs of a task end in a router: those that no worker answered.
IN_A_ROUTER = (Status.ANSWERED, Status.ABSTAINED, Status.EXPIRED, Status.FAILED)


def tasks() -> Iterator[str]:
    """Their names."""
    return (f"task-{number}" for number in range(TASKS))


def end(task: str, status: Status) -> Finish:
    """A job of a task that ends so."""
    return Finish(entry="1-1", producer="default", result=result_for(status=status, task=task))


def num_series(registry: CollectorRegistry) -> int:
    """What a scrape of ours finds; what libraries tell of a process is some 40 more."""
    return sum(len(family.samples) for family in registry.collect())


def one_worker() -> int:
    """The series of a worker that has served every task, by two steps, with all that can happen."""
    metrics = WorkerMetrics("cpu", lambda: "0123456789ab")
    for task in tasks():
        for step in range(STEPS):
            for outcome in Outcome:
                metrics.count_attempt(task, attempt_for(step=step, outcome=outcome, confidence=0.5))
        metrics.count_endings([end(task, Status.ANSWERED), end(task, Status.EXPIRED)])
    for model in range(MODELS):
        metrics.count_batch(f"model-{model}", num_jobs=1, num_fenced=0, seconds=0.0)
        metrics.count_positions(f"model-{model}", tokens=1, positions=2)
        for ended in ("settled", "given_back", "failed", "broken"):
            metrics.count_outcome(f"model-{model}", ended)
    return num_series(metrics.registry)


def one_router() -> int:
    """The series of a router that has seen every task end in every way, and every pool."""
    metrics = RouterMetrics()
    metrics.tell_catalogue(lambda: "0123456789ab")
    metrics.count_endings([end(task, status) for task in tasks() for status in IN_A_ROUTER])
    for decision in DECISIONS.values():
        metrics._decisions.labels(decision)
    for pool in range(POOLS):
        for model in range(MODELS):
            metrics.count_batch(f"pool-{pool}", f"model-{model}", fill=0.5)
        metrics.count_recovered(f"pool-{pool}", 1)
        metrics.count_republished(f"pool-{pool}", 1)
        metrics.count_lost(f"pool-{pool}", 1)
    return num_series(metrics.registry)


def test_what_a_large_fleet_makes_is_as_the_page_says() -> None:
    """50 tasks by two steps, 40 workers that serve all of them: the figures are those of today."""
    of_worker, of_router = one_worker(), one_router()
    told = {
        name: int(figure.replace(",", ""))
        for name, figure in re.findall(
            r"^\| ((?:one|\d+) (?:workers?|routers?)) \|.* ([\d,]+) \|$",
            PAGE.read_text("utf-8"),
            flags=re.MULTILINE,
        )
    }
    assert told == {
        "one worker": of_worker,
        f"{WORKERS} workers": WORKERS * of_worker,
        "one router": of_router,
        f"{ROUTERS} routers": ROUTERS * of_router,
    }


def test_no_metric_has_a_series_for_each_job() -> None:
    """Whatever jobs say, and however many there are, only their tasks and ends count."""
    metrics = WorkerMetrics("cpu")
    metrics.count_endings([end("task", Status.ANSWERED)])
    few = num_series(metrics.registry)
    for number in range(100):
        result = result_for(f"job-{number}", task="task", metadata={"patient": str(number)})
        metrics.count_endings([Finish(entry=f"{number}-1", producer=f"p{number}", result=result)])
    assert num_series(metrics.registry) == few
