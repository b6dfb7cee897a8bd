"""Writes the table of values into the chart's README, from the comments of values.yaml.

`python helm/values_table.py` writes it; a test checks that it is current. A value without a comment
above it is an error, as is a comment that stands above nothing.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parent / "smallfirst"
START, END = "<!-- values: written by helm/values_table.py -->", "<!-- end of values -->"
_KEY = re.compile(r"(?P<indent> *)(?P<key>[A-Za-z][\w-]*):(?P<rest>.*)")
#: The longest default that is shown; a longer one is to be read in values.yaml.
MAX_DEFAULT_CHARS = 110
#: A value's keys, from the top.
Path_ = tuple[str, ...]


class UndocumentedError(Exception):
    """Raised when a value has no comment above it."""


@dataclass(frozen=True)
class Row:
    """One value: where it stands, what it is unless said, and what it means."""

    path: str
    default: str
    meaning: str

    def line(self) -> str:
        """One line of a Markdown table."""
        meaning = self.meaning.replace("|", "\\|")
        return f"| `{self.path}` | {self.default} | {meaning} |"


def rows(text: str) -> list[Row]:
    """Read values with their comments, in their order.

    Raises:
        UndocumentedError: When one has none, and is no part of one that has.
    """
    values = yaml.safe_load(text)
    comments = dict(_commented(text))
    for path, comment in comments.items():
        if not comment and not _is_understood(path, comments):
            raise UndocumentedError(".".join(path))
    return [
        Row(".".join(path), _shown(_at(values, path)), comment)
        for path, comment in comments.items()
        if comment
    ]


def _commented(text: str) -> Iterator[tuple[Path_, str]]:
    """Give each key's path, and the comment above it."""
    path: list[tuple[int, str]] = []
    comment: list[str] = []
    block: int | None = None
    for line in text.splitlines():
        stripped, indent = line.strip(), len(line) - len(line.lstrip())
        if block is not None and (not stripped or indent > block):
            continue
        block = None
        if stripped.startswith("#"):
            comment.append(stripped.removeprefix("#").strip())
            continue
        if key := _KEY.fullmatch(line):
            path = [*(one for one in path if one[0] < indent), (indent, key["key"])]
            yield tuple(name for _, name in path), " ".join(comment)
            block = indent if key["rest"].strip() == "|" else None
        comment = []


def _is_understood(path: Path_, comments: dict[Path_, str]) -> bool:
    """Whether a key needs no comment: it only holds others, or is part of what is told as one."""
    if _holds_told(path, comments):
        return True
    above = [path[:end] for end in range(1, len(path)) if comments.get(path[:end])]
    return bool(above) and not _holds_told(above[-1], comments)


def _holds_told(path: Path_, comments: dict[Path_, str]) -> bool:
    return any(
        comment and other != path and other[: len(path)] == path
        for other, comment in comments.items()
    )


def _at(values: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        values = values[key]
    return values


def _shown(value: Any) -> str:
    text = json.dumps(value)
    if len(text) <= MAX_DEFAULT_CHARS:
        return f"`{text}`"
    return "" if isinstance(value, dict) else "see values.yaml"


def table(text: str) -> str:
    """Write the whole table."""
    lines = ["| value | unless said | meaning |", "|---|---|---|", *(r.line() for r in rows(text))]
    return "\n".join(lines)


def written() -> str:
    """What the README must hold, all of it."""
    readme = (CHART / "README.md").read_text("utf-8")
    before, rest = readme.split(START)
    _, after = rest.split(END)
    values = (CHART / "values.yaml").read_text("utf-8")
    return f"{before}{START}\n{table(values)}\n{END}{after}"


if __name__ == "__main__":
    (CHART / "README.md").write_text(written(), "utf-8")
