"""What a linear model before the small one is worth: jobs a second, CPU, and answers, same promise.

Cascades of one task are calibrated to the same target on rows held out of the training part: the
small model alone, a linear model first, and both with the default step in the small one's place.
Then a whole fleet on this machine answers the test rows by each, taking turns, so that a slow
minute hits all.

    python benchmarks/linear_tier.py --data DATA/banking77 --write
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import cycle, islice
from pathlib import Path

import yaml
from provenance import provenance, write_result

from smallfirst import Client, Job
from smallfirst.evaluation.intervals import of_share
from smallfirst.local.fleet import LocalFleet

_HEADINGS = (
    "cascade",
    "jobs/s, median (lowest to highest)",
    "CPU ms a job",
    "answered",
    "wrong of these",
    "by the linear model",
)
_HEADER = (f"| {' | '.join(_HEADINGS)} |", "| --- " * len(_HEADINGS) + "|")
#: The models of each step. A list of one is that model's head alone; its bare name may be a mean
#: with a linear model, chosen by itself.
CASCADES: Mapping[str, Sequence[Mapping[str, object]]] = {
    "small alone": ({"models": ["minilm"]},),
    "linear first": ({"model": "words"}, {"models": ["minilm"]}),
    "default alone": ({"model": "minilm"},),
    "linear, then default": ({"model": "words"}, {"model": "minilm"}),
}
#: One row in so many of the training part calibrates; the others are examples.
CALIBRATING = 5
READING = """\
A round sends the test rows, again from the first where they end, and stops the clock at the last
result. CPU is all that the machine's processors worked meanwhile: producer, Redis, router, workers.
Wrong is the share of answered test rows, each counted once, whose label is not the right one."""


@dataclass(frozen=True)
class Round:
    """One cascade's turn."""

    per_second: float
    cpu_ms: float
    answered: int
    wrong: int
    by_linear: int


def main() -> None:
    """Calibrate the cascades, let them take turns, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="Folder of train and test rows.")
    parser.add_argument("--jobs", type=int, default=6000, help="Jobs in each round.")
    parser.add_argument("--rounds", type=int, default=6, help="Rounds of each cascade.")
    parser.add_argument("--target", type=float, default=0.05, help="Most of answers wrong.")
    parser.add_argument("--write", action="store_true", help="Write the table of results.")
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="linear-tier-"))
    folders = {name: _calibrated(work / name.replace(" ", "-"), name, options) for name in CASCADES}
    test = _rows(options.data / "test.jsonl")
    turns = [
        {name: _round(folder, test, options.jobs) for name, folder in folders.items()}
        for _ in range(options.rounds)
    ]
    text = _page(options, turns, len(test))
    print(text)
    if options.write:
        write_result(f"linear_tier_{options.data.name}", f"{text}\n")


def _rows(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _calibrates(row: Mapping[str, str]) -> bool:
    return hashlib.sha256(row["text"].encode()).digest()[0] % CALIBRATING == 0


def _calibrated(folder: Path, name: str, options: argparse.Namespace) -> Path:
    """Write a cascade's catalogue, and calibrate it as people do."""
    folder.mkdir()
    rows = _rows(options.data / "train.jsonl")
    for file, is_chosen in (("examples.jsonl", False), ("held_out.jsonl", True)):
        chosen = (
            {"text": r["text"], "label": r["label"]} for r in rows if _calibrates(r) is is_chosen
        )
        lines = "".join(f"{json.dumps(row)}\n" for row in chosen)
        (folder / file).write_text(lines, "utf-8")
    catalogue = {
        "version": 1,
        "pools": {"cpu": {"tier": "slm", "max_parameters": "50M"}},
        "models": {
            "words": {"tier": "linear", "source": "bundled:words"},
            "minilm": {"source": "bundled:minilm"},
        },
        "tasks": {
            "task": {
                "kind": "classify",
                "labels": dict.fromkeys(sorted({row["label"] for row in rows}), "such texts"),
                "examples": "examples.jsonl",
                "cascade": [{**step, "accept": "calibrated"} for step in CASCADES[name]],
            }
        },
    }
    path = folder / "catalogue.yaml"
    path.write_text(yaml.safe_dump(catalogue, sort_keys=False), "utf-8")
    asked = [
        "calibrate",
        "task",
        "--data",
        str(folder / "held_out.jsonl"),
        "--catalogue",
        str(path),
    ]
    command = [
        sys.executable,
        "-m",
        "smallfirst",
        *asked,
        "--target-error",
        str(options.target),
        "--drop-seen",
    ]
    subprocess.run(command, check=True, stdout=sys.stderr)  # noqa: S603 - our own command
    return path


def _round(catalogue: Path, test: Sequence[Mapping[str, str]], num_jobs: int) -> Round:
    """Answer the test rows by a fleet of this catalogue."""
    folder = Path(tempfile.mkdtemp(prefix="linear-tier-fleet-"))
    right = [row["label"] for row in test]
    with LocalFleet(catalogue, folder, flower=False, persistent=False) as fleet:
        fleet.wait_ready(timedelta(minutes=10))
        with Client(fleet.redis_url) as client:
            asked = [Job(task="task", text=row["text"]) for row in test[:500]]
            list(client.map(asked))
            began, busy = time.perf_counter(), _machine_seconds()
            texts = islice(cycle(row["text"] for row in test), num_jobs)
            jobs = (Job(id=str(n), task="task", text=text) for n, text in enumerate(texts))
            results = {int(r.id): r for r in client.map(jobs, max_in_flight=5000)}
            seconds, cpu = time.perf_counter() - began, _machine_seconds() - busy
    once = {n: results[n] for n in range(min(num_jobs, len(test))) if results[n].is_answered}
    return Round(
        per_second=num_jobs / seconds,
        cpu_ms=cpu / num_jobs * 1e3,
        answered=len(once),
        wrong=sum(result.answer.label != right[n] for n, result in once.items()),
        by_linear=sum(result.tier == "linear" for result in once.values()),
    )


def _machine_seconds() -> float:
    """Seconds that the machine's processors have worked, since it started."""
    fields = Path("/proc/stat").read_text("ascii").split("\n", 1)[0].split()[1:]
    user, nice, system = (int(field) for field in fields[:3])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def _page(options: argparse.Namespace, turns: list[dict[str, Round]], num_test: int) -> str:
    first, *others = CASCADES
    rounds = f"{options.jobs:,} jobs in each of {options.rounds} rounds"
    about = (
        f"{num_test:,} test rows, {rounds}; at most {options.target:.0%} of answers wrong,"
        " promised with 95 % confidence for each."
    )
    lines = [f"# A linear model first: {options.data.name}", "", about, "", *_HEADER]
    lines += [_line(name, [turn[name] for turn in turns], num_test) for name in CASCADES]
    for name in others:
        lines += ["", f"{name} / {first}: {_ratios(turns, name, first)}."]
    return "\n".join([*lines, "", READING, "", provenance("scikit-learn", "openvino")])


def _ratios(turns: list[dict[str, Round]], name: str, first: str) -> str:
    """Compare two cascades within each turn."""
    told = []
    for what, key in (("jobs/s", "per_second"), ("CPU a job", "cpu_ms")):
        ratios = sorted(getattr(turn[name], key) / getattr(turn[first], key) for turn in turns)
        told.append(f"{what} {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")
    return ", ".join(told)


def _line(name: str, rounds: list[Round], num_test: int) -> str:
    speeds = sorted(each.per_second for each in rounds)
    last = rounds[-1]
    interval = of_share(last.wrong, last.answered)
    wrong = f"{last.wrong / last.answered:.2%} ({interval.low:.2%} to {interval.high:.2%})"
    cells = (
        name,
        f"{statistics.median(speeds):,.0f} ({speeds[0]:,.0f} to {speeds[-1]:,.0f})",
        f"{statistics.median(each.cpu_ms for each in rounds):.3f}",
        f"{last.answered / num_test:.1%}",
        wrong,
        f"{last.by_linear / num_test:.1%}",
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
