"""What the demo's cascade is worth: its topics beside everything else its models could do.

Runs `smallfirst evaluate` on the demo's own mails, with the catalogue as it is. Prints Markdown;
`--write` also writes it to `benchmarks/results/demo_mail.md`.

    python benchmarks/demo_mail.py --write --html demo_mail.html
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from provenance import provenance, write_result

FOLDER = Path(__file__).resolve().parents[1] / "examples" / "support_mail"
COLUMNS = (
    "alternative", "right, of all", "wrong, of answered", "answered", "per million jobs",
    "worker seconds a job", "latency, mean s",
)  # fmt: skip


def main() -> None:
    """Evaluate, print, and write where asked to."""
    options = _options()
    found = _evaluate(options)
    text = "\n\n".join(_parts(found, options.task))
    print(text)
    if options.write:
        write_result("demo_mail", text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="topic")
    parser.add_argument("--data", type=Path, default=FOLDER / "mails.jsonl")
    parser.add_argument("--html", type=Path, help="gets the page with the figures")
    parser.add_argument("--write", action="store_true")
    return parser.parse_args()


def _evaluate(options: argparse.Namespace) -> dict[str, Any]:
    """Ask the command itself, so that the figures are those that a user gets."""
    command = [sys.executable, "-m", "smallfirst", "evaluate", options.task, "--json"]
    command += ["--data", str(options.data), "--catalogue", str(FOLDER / "catalogue.yaml")]
    command += ["--html", str(options.html)] if options.html else []
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)  # noqa: S603 - our own
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _parts(found: dict[str, Any], task: str) -> Iterator[str]:
    yield f"# The demo's mails: what its cascade for `{task}` is worth"
    yield found["headline"]
    yield "\n".join(f"- {sentence}" for sentence in found["sentences"])
    yield _table([found["cascade"], *found["alternatives"]], found["currency"])
    yield "## The steps at work"
    yield _steps(found["steps"], found["currency"])
    yield "## How far confidence means what it says"
    yield "\n".join(_reliability(found["reliability"]))
    yield "## How this was measured"
    about = (pair for pair in found["measured"].items() if pair[0] != "machine")
    measured = "\n".join(f"- {name}: {value}" for name, value in about)
    yield f"{measured}\n{provenance('scipy', 'openvino', 'transformers')}"
    yield (
        "The mails are composed, not customers': what is shown is the method and the ratio of costs"
        " on one machine, under placeholder prices. The page with the figures is made by\n"
        f"`smallfirst evaluate {task} --catalogue examples/support_mail/catalogue.yaml"
        " --data examples/support_mail/mails.jsonl --html report.html`."
    )


def _table(lines: list[dict[str, Any]], currency: str) -> str:
    rows = [
        (
            line["name"],
            _with_interval(line["accuracy"], line["accuracy_interval"]),
            _with_interval(line["error"], line["error_interval"]),
            _share(line["coverage"]),
            f"{currency} {line['cost_per_million']:.3g}",
            f"{line['worker_seconds']:.3g}",
            f"{line['latency_seconds']:.3g}",
        )
        for line in lines
    ]
    return _markdown(COLUMNS, rows)


def _steps(steps: list[dict[str, Any]], currency: str) -> str:
    columns = (
        "step", "tier", "model", "revision", "threshold", "asked", "answered", "right",
        "per million asked",
    )  # fmt: skip
    rows = [
        (
            str(step["index"]),
            step["tier"],
            step["model"],
            step["revision"][:12],
            "-" if step["threshold"] is None else f"{step['threshold']:.3g}",
            str(step["asked"]),
            str(step["answered"]),
            _share(step["right"] / step["answered"] if step["answered"] else None),
            f"{currency} {step['cost_per_million_asked']:.3g}",
        )
        for step in steps
    ]
    return _markdown(columns, rows)


def _reliability(found: list[dict[str, Any]]) -> Iterator[str]:
    for each in found:
        answers = sum(place["count"] for place in each["bins"])
        yield f"- {each['name']}: expected calibration error {each['error']:.3f}, {answers} answers"


def _markdown(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [columns, ("---",) * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _with_interval(value: float | None, interval: dict[str, float] | None) -> str:
    if interval is None:
        return _share(value)
    return f"{_share(value)} ({interval['low'] * 100:.1f} to {interval['high'] * 100:.1f})"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value * 100:.1f} %"


if __name__ == "__main__":
    main()
