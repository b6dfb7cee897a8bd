"""What eight tasks about a text cost beside one: each is a head on the same encoder.

python benchmarks/many_tasks.py --data DATA/banking77 --write
python benchmarks/many_tasks.py --data DATA/banking77 --quick
"""

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import yaml
from provenance import provenance, write_result

from smallfirst import Client, Job
from smallfirst.local.fleet import LocalFleet

sys.path.insert(0, str(Path(__file__).parent / "contestants"))
from contest import timed

#: Folders of public rows; see examples/public_data.
DATA = Path(os.environ.get("SMALLFIRST_DATA", "../shared/data"))
#: Tasks about every text. Each tells its labels in another way.
NUM_TASKS = 8
#: Labels of each.
NUM_LABELS = 4
#: Rows that each learns from.
NUM_EXAMPLES = 400
IN_FLIGHT = 5000
Order = Callable[[Sequence[str]], list[Job]]


@dataclass(frozen=True)
class Round:
    """One order's turn: of all its jobs together."""

    per_second: float
    worker_seconds: float
    num_jobs: int


def main() -> None:
    """Let the orders take turns, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=DATA / "banking77", help="Folder of train rows."
    )
    parser.add_argument("--texts", type=int, default=1_000, help="Texts of a round.")
    parser.add_argument("--rounds", type=int, default=5, help="Rounds.")
    parser.add_argument("--quick", action="store_true", help="One small round, to see it run.")
    parser.add_argument("--write", action="store_true", help="Write the table of results.")
    options = parser.parse_args()
    if options.quick:
        options.texts, options.rounds = 200, 1
    rows = [json.loads(line) for line in (options.data / "train.jsonl").open(encoding="utf-8")]
    random.Random(0).shuffle(rows)
    texts = list(dict.fromkeys(row["text"] for row in rows[NUM_EXAMPLES:]))[: options.texts]
    with tempfile.TemporaryDirectory(prefix="many-tasks-") as folder:
        catalogue = _write_catalogue(Path(folder), rows[:NUM_EXAMPLES])
        rounds = [
            {name: _round(catalogue, order(texts)) for name, order in ORDERS.items()}
            for _ in range(options.rounds)
        ]
    text = _page(len(texts), rounds)
    print(text)
    if options.write:
        write_result("many_tasks", text)


def _one_task(texts: Sequence[str]) -> list[Job]:
    return [Job(task="task-0", text=text) for text in texts]


def _text_by_text(texts: Sequence[str]) -> list[Job]:
    return [Job(task=f"task-{n}", text=text) for text in texts for n in range(NUM_TASKS)]


def _task_by_task(texts: Sequence[str]) -> list[Job]:
    return [Job(task=f"task-{n}", text=text) for n in range(NUM_TASKS) for text in texts]


#: In which order the same texts come.
ORDERS: Mapping[str, Order] = {
    "one task": _one_task,
    "eight tasks, text by text": _text_by_text,
    "eight tasks, one after the other": _task_by_task,
}


def _write_catalogue(folder: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    tasks = {}
    for number in range(NUM_TASKS):
        examples = [
            {
                "text": row["text"],
                "label": f"group-{(hash_of(row['label']) >> number) % NUM_LABELS}",
            }
            for row in rows
        ]
        tasks[f"task-{number}"] = {
            "kind": "classify",
            "labels": {f"group-{label}": "such texts" for label in range(NUM_LABELS)},
            "examples": examples,
            "cascade": [{"models": ["minilm"]}],
        }
    catalogue = {
        "version": 1,
        "pools": {"cpu": {"tier": "slm", "max_parameters": "50M"}},
        "models": {"minilm": {"source": "bundled:minilm"}},
        "tasks": tasks,
    }
    path = folder / "catalogue.yaml"
    path.write_text(yaml.safe_dump(catalogue, sort_keys=False), "utf-8")
    return path


def hash_of(label: str) -> int:
    """A number of a label that is the same in every run."""
    return sum(ord(char) * 31**place for place, char in enumerate(label)) & 0xFFFFFF


def _round(catalogue: Path, jobs: Sequence[Job]) -> Round:
    with (
        tempfile.TemporaryDirectory(prefix="many-tasks-fleet-") as folder,
        LocalFleet(catalogue, Path(folder), flower=False) as fleet,
    ):
        fleet.wait_ready(timedelta(minutes=10))
        children = fleet.children().items()
        workers = [child.pid for name, child in children if name.startswith("worker")]
        with Client(fleet.redis_url) as client:
            list(client.map(Job(task="task-1", text=f"warm {n}") for n in range(200)))
            with timed({"workers": workers}) as timing:
                for result in client.map(jobs, max_in_flight=IN_FLIGHT):
                    assert result.is_answered
    return Round(len(jobs) / timing.seconds, timing.cpu_seconds["workers"], len(jobs))


def _page(num_texts: int, rounds: Sequence[Mapping[str, Round]]) -> str:
    lines = [
        "# Eight tasks on one encoder",
        "",
        f"{num_texts:,} distinct texts, {len(rounds)} rounds in turns; CPU of the workers.",
        "",
        "| | jobs/s | CPU of the workers, s | times one task | CPU us a job |",
        "|---|---|---|---|---|",
        *(_line(name, rounds) for name in ORDERS),
        "",
        provenance("celery", "openvino"),
    ]
    return "\n".join(lines)


def _line(name: str, rounds: Sequence[Mapping[str, Round]]) -> str:
    turns = [each[name] for each in rounds]
    ratios = sorted(each[name].worker_seconds / each["one task"].worker_seconds for each in rounds)
    seconds = statistics.median(turn.worker_seconds for turn in turns)
    cells = (
        name,
        f"{statistics.median(turn.per_second for turn in turns):,.0f}",
        f"{seconds:.2f}",
        f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})",
        f"{seconds / turns[0].num_jobs * 1e6:,.0f}",
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
