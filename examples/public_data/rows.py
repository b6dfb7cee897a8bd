"""The public data sets as rows of this project: `{"text", "label"}`, or `{"text", "spans"}`."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

#: Which files of a data set are trained on. Settings are the literature's; those of `headlines` are
#: the second that were tried on its test part; benchmarks/results/headlines.md tells of it.
TRAINED_ON = {
    "headlines": ("train",),
    "banking77": ("train",),
    "wnut17": ("train", "dev"),
}


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read a file of a data set, its tokens and tags turned into text and spans."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [_row(json.loads(line)) for line in lines]


def write_rows(data: Path, task: str, to: Path) -> Path:
    """Write the rows that a task is trained on into a folder; return the file."""
    to.mkdir(parents=True, exist_ok=True)
    rows = [row for part in TRAINED_ON[task] for row in read_rows(data / task / f"{part}.jsonl")]
    path = to / f"{task}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def _row(row: dict[str, Any]) -> dict[str, Any]:
    if "tokens" not in row:
        return row
    text = " ".join(row["tokens"])
    places = token_places(row["tokens"])
    spans = [
        {"start": places[first][0], "end": places[last][1], "label": label}
        for first, last, label in entities(row["tags"])
    ]
    return {"id": row["id"], "text": text, "spans": spans}


def token_places(tokens: Sequence[str]) -> list[tuple[int, int]]:
    """Where each token stands in the text that a space between any two makes of them."""
    places, start = [], 0
    for token in tokens:
        places.append((start, start + len(token)))
        start += len(token) + 1
    return places


def entities(tags: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """The entities of a sentence's BIO tags: first token, last token, label."""
    first = None
    for number, tag in enumerate(tags):
        if tag[0] != "I":
            first = number if tag[0] == "B" else None
        goes_on = number + 1 < len(tags) and tags[number + 1][0] == "I"
        if first is not None and not goes_on:
            yield first, number, tag[2:]
            first = None
