"""Adding entries to a catalogue as text: other entries, comments and order stay. Pure."""

import re
from typing import Any

import yaml

from smallfirst.fitting.errors import FitError

_WORD = re.compile(r"[A-Za-z_][\w./-]*( [\w./-]+)*")
_INDENT = re.compile(r"^( +)\S")


def with_entry(text: str, section: str, name: str, entry: Any) -> str:
    """Put an entry under a section of the file, in place of one of that name.

    Args:
        text: The file.
        section: A key at its top: `tasks`.
        name: The entry's key.
        entry: As it is to be read.

    Raises:
        FitError: When the section is written in a way that cannot be added to.
    """
    lines = text.splitlines()
    start = _line_of_key(lines, section)
    if start is None:
        return _joined([*lines, *([""] if lines else []), f"{section}:", *_written(name, entry, 2)])
    end = _end_of_block(lines, start, 0)
    indent = _indent_of(lines[start + 1 : end], section, lines[start])
    old = _line_of_key(lines[start + 1 : end], name, indent)
    if old is None:
        return _joined([*lines[:end], *_written(name, entry, indent), *lines[end:]])
    old += start + 1
    return _joined(
        [*lines[:old], *_written(name, entry, indent), *lines[_end_of_block(lines, old, indent) :]]
    )


def without_entry(text: str, section: str, name: str) -> str:
    """Take an entry out of a section of the file; the same text where it is not there.

    A section of which nothing is left goes as well.

    Args:
        text: The file.
        section: A key at its top: `tasks`.
        name: The entry's key.

    Raises:
        FitError: When the section is written in a way that cannot be taken from.
    """
    lines = text.splitlines()
    start = _line_of_key(lines, section)
    if start is None:
        return text
    end = _end_of_block(lines, start, 0)
    indent = _indent_of(lines[start + 1 : end], section, lines[start])
    old = _line_of_key(lines[start + 1 : end], name, indent)
    if old is None:
        return text
    old += start + 1
    after = _end_of_block(lines, old, indent)
    left = [*lines[start + 1 : old], *lines[after:end]]
    if not any(line.strip() and not line.lstrip().startswith("#") for line in left):
        return _joined([*lines[:start], *lines[end:]])
    return _joined([*lines[:old], *lines[after:]])


def _line_of_key(lines: list[str], key: str, indent: int = 0) -> int | None:
    quoted = re.escape(key)
    pattern = re.compile(rf"^ {{{indent}}}(?:{quoted}|\"{quoted}\"|'{quoted}')\s*:(?:\s|$)")
    return next((n for n, line in enumerate(lines) if pattern.match(line)), None)


def _end_of_block(lines: list[str], start: int, indent: int) -> int:
    """The line after what belongs to a key: what is empty, or a comment after it, does not."""
    last = start
    for number in range(start + 1, len(lines)):
        line = lines[number]
        if not line.strip():
            continue
        depth = len(line) - len(line.lstrip())
        is_comment = line.lstrip().startswith("#")
        if depth <= indent and not is_comment and not _is_list_item(line, depth, indent):
            break
        if not is_comment or depth > indent:
            last = number
    return last + 1


def _is_list_item(line: str, depth: int, indent: int) -> bool:
    """Whether a line is an item of the list that a key of the same depth holds."""
    return depth == indent and line.lstrip().startswith("- ")


def _indent_of(lines: list[str], section: str, head: str) -> int:
    inner = [found for line in lines if (found := _INDENT.match(line)) and "#" not in found[0]]
    after = head.partition(":")[2].partition(" #")[0].strip()
    if after or not inner:
        raise FitError(
            f"`{section}` of the catalogue is written in one line, and cannot be added to: write"
            " each of its entries on a line of its own, or name another folder with --out"
        )
    return len(inner[0][1])


def _written(name: str, entry: Any, indent: int) -> list[str]:
    dumped = yaml.dump({name: entry}, Dumper=_Block, allow_unicode=True, sort_keys=False, width=100)
    return [f"{' ' * indent}{line}" for line in dumped.splitlines()]


class _Block(yaml.SafeDumper):
    """Writes lists two further in than their key, and quotes what is not plainly a word."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        """Never without an indent."""
        super().increase_indent(flow, indentless=False)


_Block.add_representer(
    str,
    lambda dumper, word: dumper.represent_scalar(
        "tag:yaml.org,2002:str", word, style=None if _WORD.fullmatch(word) else '"'
    ),
)


def _joined(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"
