"""How many jobs a second a whole fleet answers: Redis, routers, workers, producer on one machine.

With `--against CHECKOUT` another checkout of the product, in its own environment, takes turns with
this one, so that a slow minute of the machine hits both. Prints Markdown.

    python benchmarks/fleet_throughput.py --data ROWS.jsonl --against ../before
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

CATALOGUE = """
version: 1
pools: {cpu: {tier: slm, max_parameters: 50M}}
models: {minilm: {source: "bundled:minilm"}}
tasks:
  intent:
    kind: classify
    labels: {LABELS}
    examples: examples.jsonl
    cascade: [{model: minilm}]
"""
#: Examples that the head is fitted to, for each label.
EXAMPLES_PER_LABEL = 3


def main() -> None:
    """Let both checkouts take turns, or answer once for the one that asks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="labelled texts, JSON Lines")
    parser.add_argument("--jobs", type=int, default=10_000, help="jobs in each round")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each checkout")
    parser.add_argument("--against", type=Path, help="another checkout, with its environment")
    parser.add_argument("--once", action="store_true", help="measure this process's own checkout")
    options = parser.parse_args()
    if options.once:
        print(json.dumps(measure(options.data, options.jobs)))
        return
    checkouts = [Path(sys.prefix).parent, *([options.against] if options.against else [])]
    rounds = [[_asked(each, options) for each in checkouts] for _ in range(options.rounds)]
    print(table(checkouts, rounds))


def _asked(checkout: Path, options: argparse.Namespace) -> dict[str, float]:
    """Run one round in a checkout's own environment."""
    python = checkout / ".venv" / "bin" / "python"
    data = str(options.data.resolve())
    command = [str(python), __file__, "--once", "--data", data, "--jobs", str(options.jobs)]
    environment = {**os.environ, "PYTHONPATH": ""}
    done = subprocess.run(  # noqa: S603 - this very file, in an environment of the caller's
        command, check=True, capture_output=True, text=True, cwd=checkout, env=environment
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(data: Path, num_jobs: int) -> dict[str, float]:
    """Send jobs through a fleet, and count the seconds of the clock and of all its processors."""
    from smallfirst import Client, Job  # noqa: PLC0415 - of whichever checkout runs this
    from smallfirst.local.fleet import LocalFleet  # noqa: PLC0415 - the same

    rows = [json.loads(line) for line in data.read_text("utf-8").splitlines()]
    folder = Path(tempfile.mkdtemp(prefix="fleet-throughput-"))
    write_catalogue(folder, rows)
    fleet = LocalFleet(folder / "catalogue.yaml", folder / "fleet", flower=False, persistent=False)
    with fleet:
        fleet.wait_ready(timedelta(minutes=10))
        with Client(fleet.redis_url) as client:
            texts = [rows[n % len(rows)]["text"] for n in range(num_jobs)]
            list(client.map(Job(task="intent", text=text) for text in texts[:500]))
            began, busy = time.perf_counter(), _machine_seconds()
            jobs = (Job(task="intent", text=text) for text in texts)
            answered = sum(r.is_answered for r in client.map(jobs, max_in_flight=5000))
            seconds, cpu = time.perf_counter() - began, _machine_seconds() - busy
    return {"answered": answered, "per_second": num_jobs / seconds, "cpu_ms": cpu / num_jobs * 1e3}


def _machine_seconds() -> float:
    """Seconds that the machine's processors have worked, since it started."""
    fields = Path("/proc/stat").read_text("ascii").split("\n", 1)[0].split()[1:]
    user, nice, system = (int(field) for field in fields[:3])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def write_catalogue(folder: Path, rows: list[dict[str, str]]) -> None:
    """Write the catalogue of one task, and a few examples of each label beside it."""
    by_label: dict[str, list[str]] = {}
    for row in rows:
        by_label.setdefault(row["label"], []).append(row["text"])
    labels = json.dumps(dict.fromkeys(by_label, ""))
    (folder / "catalogue.yaml").write_text(CATALOGUE.replace("{LABELS}", labels), "utf-8")
    examples = [
        {"text": text, "label": label}
        for label, texts in by_label.items()
        for text in texts[:EXAMPLES_PER_LABEL]
    ]
    lines = "".join(f"{json.dumps(example)}\n" for example in examples)
    (folder / "examples.jsonl").write_text(lines, "utf-8")


def table(checkouts: list[Path], rounds: list[list[dict[str, float]]]) -> str:
    """Lay the rounds out, with each checkout's median and the ratio of the first to the second."""
    lines = ["| round | " + " | ".join(f"{each.name}: jobs/s, CPU ms a job" for each in checkouts)]
    lines[0] += " |"
    lines.append("|---" * (len(checkouts) + 1) + "|")
    for number, found in enumerate(rounds, 1):
        cells = (f"{each['per_second']:.0f}, {each['cpu_ms']:.3f}" for each in found)
        lines.append(f"| {number} | {' | '.join(cells)} |")
    if len(checkouts) > 1:
        for name in ("per_second", "cpu_ms"):
            ratios = sorted(ours[name] / theirs[name] for ours, theirs in rounds)
            middle = statistics.median(ratios)
            lines.append(f"{name}: ratio {middle:.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
