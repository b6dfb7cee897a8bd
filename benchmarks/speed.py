"""The fleet beside its ceiling and its rivals: jobs a second, CPU a job, labels compared.

All answer the same texts with the same encoder and the same head, on the same cores, taking turns.
Each runs in an environment of its own, made once under `.cache/contestants`.

    python benchmarks/speed.py --quick
    python benchmarks/speed.py --write
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from provenance import provenance, write_numbers, write_result

from smallfirst.catalogue import Catalogue
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.catalogue.model_files import model_folder
from smallfirst_workers.heads.heads import LinearHead
from smallfirst_workers.slm.engine import SlmEngine

#: Folders of public rows; see examples/public_data.
DATA = Path(os.environ.get("SMALLFIRST_DATA", "../shared/data"))
_HERE = Path(__file__).parent
_CONTESTANTS = _HERE / "contestants"
_ENVIRONMENTS = _HERE.parent / ".cache" / "contestants"
_TORCH = ("torch==2.13.0", "sentence-transformers==6.2.0", "numpy")
_INFINITY = ("infinity-emb[server,torch]==0.0.78", "torch==2.13.0", "aiohttp==3.14.5", "numpy<2")
_CELERY = ("celery[redis]==5.7.0", *_TORCH)


@dataclass(frozen=True)
class Contestant:
    """Who answers, and in what environment.

    Attributes:
        script: Its file among the contestants.
        about: What it is, for the table.
        packages: What its environment holds; none for the product's own.
    """

    script: str
    about: str
    packages: tuple[str, ...] = ()


#: By the name that `--only` takes. The first is what all others are compared with.
CONTESTANTS: Mapping[str, Contestant] = {
    "fleet": Contestant("fleet", "this fleet: client, Redis, router, a worker a core"),
    "bare-loop": Contestant(
        "bare_loop", "ceiling: a bare OpenVINO loop a core, sorted by tokens beforehand, no queue"
    ),
    "bare-loop-int8": Contestant("bare_loop_int8", "the same ceiling in int8"),
    "naive-celery": Contestant(
        "naive_celery", "Celery, one text a task, sentence-transformers", _CELERY
    ),
    "celery-batches": Contestant(
        "gathering_celery",
        "celery-batches, 64 gathered in the worker, torch in bfloat16",
        # It cannot be installed beside Celery 5.7.
        ("celery[redis]<5.7", "celery-batches==0.11", *_TORCH),
    ),
    "celery-64": Contestant(
        "message_of_64", "Celery, 64 texts a message, cut beforehand, torch in bfloat16", _CELERY
    ),
    "ray-serve": Contestant(
        "ray_serve",
        "Ray Serve, `@serve.batch` of 64, a replica a core, torch in bfloat16",
        ("ray[serve]==2.60.0", *_TORCH),
    ),
    "infinity": Contestant(
        "infinity", "Infinity, a server a core, one text a request, torch in bfloat16", _INFINITY
    ),
    "infinity-64": Contestant(
        "infinity_64", "the same, 64 texts a request, cut beforehand", _INFINITY
    ),
    "vllm-pooling": Contestant(
        "vllm_pooling", "vLLM's pooling runner offline in bfloat16, all texts known, no queue"
    ),
    "offline": Contestant(
        "offline", "sentence-transformers offline in bfloat16, sorted beforehand, no queue", _TORCH
    ),
}
#: Which texts become a document of as many texts as fill a pass of the encoder: every so many.
EVERY: Mapping[str, int] = {"short": 0, "mixed": 10, "long": 1}
#: Characters that are enough for a document, some 230 tokens: nobody cuts any of it off.
_DOCUMENT_CHARS = 900
ABOUT_LENGTH: Mapping[str, str] = {
    "short": "",
    "mixed": f" Every tenth text is a document of {_DOCUMENT_CHARS} characters.",
    "long": f" Each text is a document of {_DOCUMENT_CHARS} characters.",
}
_USUAL = ("short", "auto")
#: A contestant that takes longer than this is ended, and the benchmark with it.
_TIMEOUT_SECONDS = 1800


@dataclass(frozen=True)
class Turn:
    """What one contestant did in one round."""

    per_second: float
    cpu_us: Mapping[str, float]
    labels: Sequence[str]

    @property
    def cpu_us_in_all(self) -> float:
        """CPU a text, of all its processes, in microseconds."""
        return sum(self.cpu_us.values())


def main() -> None:
    """Prepare the work, let the contestants take turns, print the table."""
    options = _options()
    names = ["fleet", *(name for name in options.only or CONTESTANTS if name != "fleet")]
    with tempfile.TemporaryDirectory(prefix="speed-") as folder:
        prepare(Path(folder), options)
        pythons = {name: _environment(name, CONTESTANTS[name]) for name in names}
        rounds = [
            {name: _turn(name, pythons[name], Path(folder)) for name in names}
            for _ in range(options.rounds)
        ]
    text = page(options, rounds)
    print(text)
    if options.write:
        # Of another precision or length than usual is another table.
        odd = [each for each in (options.length, options.precision) if each not in _USUAL]
        name = "_".join(["speed", options.data.name, *odd])
        write_result(name, f"{text}\n")
        write_numbers(name, numbers(rounds))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=DATA / "banking77", help="Folder of train and test rows."
    )
    parser.add_argument("--texts", type=int, default=4000, help="Distinct texts of a round.")
    parser.add_argument(
        "--length", choices=[*EVERY], default="short", help="Which of the texts are long."
    )
    parser.add_argument("--rounds", type=int, default=5, help="Turns of each contestant.")
    parser.add_argument("--only", nargs="*", choices=CONTESTANTS, help="Whom the fleet meets.")
    parser.add_argument("--precision", default="auto", help="Of the encoder in the fleet.")
    parser.add_argument("--quick", action="store_true", help="One small round, to see it run.")
    parser.add_argument("--write", action="store_true", help="Write the table of results.")
    options = parser.parse_args()
    if options.quick:
        options.texts, options.rounds = min(options.texts, 600), 1
    return options


def prepare(folder: Path, options: argparse.Namespace) -> None:
    """Write the catalogue of the fleet, and what it has learned, for all others to use."""
    rows = [json.loads(line) for line in (options.data / "train.jsonl").open(encoding="utf-8")]
    distinct = list({row["text"]: row for row in rows}.values())
    # Every fourth row is learned from; the texts of a round are others.
    examples = distinct[::4]
    unseen = [row["text"] for number, row in enumerate(distinct) if number % 4]
    texts = lengthened(unseen, EVERY[options.length])[: options.texts]
    path = _write_catalogue(folder, examples, options.precision)
    catalogue = load_catalogue(path)
    head, source = _head(catalogue)
    np.savez(folder / "head.npz", weights=head.weights, bias=head.bias)
    work = {"model": str(source), "texts": texts, "labels": head.labels}
    (folder / "work.json").write_text(json.dumps(work), "utf-8")


def lengthened(texts: Sequence[str], every: int) -> list[str]:
    """The same texts, of which every so many are documents; none where `every` is 0."""
    if not every:
        return list(texts)
    return [
        text if number % every else _document(texts, number) for number, text in enumerate(texts)
    ]


def _document(texts: Sequence[str], first: int) -> str:
    """As many texts one after the other as are enough, from one on."""
    parts: list[str] = []
    while sum(map(len, parts)) + len(parts) < _DOCUMENT_CHARS:
        parts.append(texts[(first + len(parts)) % len(texts)])
    return " ".join(parts)[:_DOCUMENT_CHARS]


def _write_catalogue(folder: Path, rows: Sequence[Mapping[str, str]], precision: str) -> Path:
    (folder / "examples.jsonl").write_text(
        "".join(json.dumps({"text": row["text"], "label": row["label"]}) + "\n" for row in rows),
        "utf-8",
    )
    catalogue = {
        "version": 1,
        "pools": {"cpu": {"tier": "slm", "max_parameters": "50M"}},
        "models": {"minilm": {"source": "bundled:minilm", "precision": precision}},
        "tasks": {
            "intent": {
                "kind": "classify",
                "labels": dict.fromkeys(sorted({row["label"] for row in rows}), "such texts"),
                "examples": "examples.jsonl",
                # A list of one is the head alone: everybody answers by the same weights.
                "cascade": [{"models": ["minilm"]}],
            }
        },
    }
    path = folder / "catalogue.yaml"
    path.write_text(yaml.safe_dump(catalogue, sort_keys=False), "utf-8")
    return path


def _head(catalogue: Catalogue) -> tuple[LinearHead, Path]:
    """Train the head that all answer by, and say where the encoder's files are."""
    model = catalogue.models["minilm"]
    source = model_folder(model)
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "smallfirst"
    engine = SlmEngine.load("minilm", model, source, cache=cache, threads=os.cpu_count() or 1)
    engine.prepare(catalogue.tasks, catalogue.models)
    [step] = catalogue.tasks["intent"].cascade
    head = engine.head_of("intent", step.options)
    assert isinstance(head, LinearHead)
    return head, source


def _environment(name: str, contestant: Contestant) -> Path:
    """The Python of a contestant, its environment made first where it is not there."""
    if not contestant.packages:
        return Path(sys.executable)
    folder = _ENVIRONMENTS / name
    python = folder / "bin" / "python"
    done = folder / "packages.txt"
    wanted = "\n".join(contestant.packages)
    if not done.is_file() or done.read_text("utf-8") != wanted:
        uv = [sys.executable, str(_HERE.parent / "requirements" / "uv.py")]
        subprocess.run([*uv, "venv", "--quiet", "--clear", str(folder)], check=True)  # noqa: S603
        install = [*uv, "pip", "install", "--quiet", "--python", str(python)]
        subprocess.run([*install, *contestant.packages], check=True)  # noqa: S603
        done.write_text(wanted, "utf-8")
    return python


def _turn(name: str, python: Path, work: Path) -> Turn:
    script = _CONTESTANTS / f"{CONTESTANTS[name].script}.py"
    answer = work / "told.json"
    answer.unlink(missing_ok=True)
    done = subprocess.run(  # noqa: S603 - scripts of this repository
        [str(python), str(script), str(work)],
        check=False,
        stdout=sys.stderr,
        timeout=_TIMEOUT_SECONDS,
    )
    # A library that falls over while it ends has answered all the same.
    if not answer.exists():
        raise RuntimeError(f"{name} ended with {done.returncode} and told nothing")
    told = json.loads(answer.read_text("utf-8"))
    num_texts = len(told["labels"])
    cpu_us = {part: spent / num_texts * 1e6 for part, spent in told["cpu_seconds"].items()}
    turn = Turn(num_texts / told["seconds"], cpu_us, told["labels"])
    print(f"{name}: {turn.per_second:,.0f}/s, {turn.cpu_us_in_all:,.0f} us", file=sys.stderr)
    return turn


def numbers(rounds: Sequence[Mapping[str, Turn]]) -> list[dict[str, object]]:
    """What was measured of each contestant, for whoever draws it."""
    return [
        {
            "name": name,
            "about": CONTESTANTS[name].about,
            "per_second": [each[name].per_second for each in rounds],
            "cpu_us": [each[name].cpu_us for each in rounds],
        }
        for name in rounds[0]
    ]


def page(options: argparse.Namespace, rounds: Sequence[Mapping[str, Turn]]) -> str:
    """Write the table: each contestant with its rates, and the fleet's ratio to it by turns."""
    num_texts = len(rounds[0]["fleet"].labels)
    about = (
        f"{num_texts:,} distinct texts a round, {len(rounds)} rounds in turns, {os.cpu_count()}"
        f" cores for everything; the fleet's encoder at precision {options.precision}."
        + ABOUT_LENGTH[options.length]
    )
    lines = [
        f"# The fleet and others: {options.data.name}",
        "",
        about,
        "",
        "| who | texts/s | CPU us a text | fleet is | same label as the fleet |",
        "|---|---|---|---|---|",
        *(_line(name, rounds) for name in rounds[0]),
        "",
        f"CPU of the fleet, us a text: {_parts(rounds)}.",
        "",
        provenance("celery", "openvino", "torch"),
    ]
    return "\n".join(lines)


def _line(name: str, rounds: Sequence[Mapping[str, Turn]]) -> str:
    turns = [each[name] for each in rounds]
    ratios = sorted(each["fleet"].per_second / each[name].per_second for each in rounds)
    pairs = zip(turns[0].labels, rounds[0]["fleet"].labels, strict=True)
    same = statistics.fmean(mine == fleets for mine, fleets in pairs)
    speeds = sorted(turn.per_second for turn in turns)
    cells = (
        CONTESTANTS[name].about,
        f"{statistics.median(speeds):,.0f} ({speeds[0]:,.0f} to {speeds[-1]:,.0f})",
        f"{statistics.median(turn.cpu_us_in_all for turn in turns):,.0f}",
        f"{statistics.median(ratios):.2f} times ({ratios[0]:.2f} to {ratios[-1]:.2f})",
        f"{same:.2%}",
    )
    return f"| {' | '.join(cells)} |"


def _parts(rounds: Sequence[Mapping[str, Turn]]) -> str:
    fleet = [each["fleet"].cpu_us for each in rounds]
    medians = {part: statistics.median(each[part] for each in fleet) for part in fleet[0]}
    return ", ".join(f"{part} {spent:,.0f}" for part, spent in medians.items())


if __name__ == "__main__":
    main()
