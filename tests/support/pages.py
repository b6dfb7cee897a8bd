"""The code of a page of documentation, and what a reader needs to run it."""

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from smallfirst.local.redis_server import find_binary

ROOT = Path(__file__).parents[2]
_FLAGS = re.DOTALL | re.MULTILINE
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```", _FLAGS)


@dataclass(frozen=True)
class Block:
    """One fenced block of code."""

    language: str
    text: str


def blocks_of(page: Path) -> list[Block]:
    """Every block of a page that names its language, in order."""
    return [Block(*found) for found in _FENCE.findall(page.read_text("utf-8"))]


def texts_of(page: Path, language: str) -> list[str]:
    """The blocks in one language."""
    return [block.text for block in blocks_of(page) if block.language == language]


def texts_under(page: Path, heading: str, language: str) -> list[str]:
    """The blocks in one language below a heading of the second level."""
    sections = re.split(r"^## (.+)\n", page.read_text("utf-8"), flags=re.MULTILINE)
    text = dict(zip(sections[1::2], sections[2::2], strict=True))[heading]
    return [found for named, found in _FENCE.findall(text) if named == language]


def readers_path(folder: Path) -> str:
    """A search path on which the commands of this environment come first, after the folder's."""
    return f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"


def redis_cli_in(folder: Path) -> None:
    """Put a redis-cli into a folder: the one that belongs to the server which is found here."""
    server = Path(find_binary())
    cli = folder / "redis-cli"
    cli.symlink_to(server.with_name(server.name.replace("server", "cli")))


def plain_blocks_of(page: Path) -> list[str]:
    """The blocks that name no language: what is only shown."""
    return re.findall(r"^```\n(.*?)^```", _FENCE.sub("", page.read_text("utf-8")), _FLAGS)
