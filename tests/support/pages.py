"""The code of a page of documentation, and what a reader needs to run it."""

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from smallfirst.local.redis_server import find_binary

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)


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


def readers_path(folder: Path) -> str:
    """A search path on which the commands of this environment come first, after the folder's."""
    return f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"


def environment_of(redis_url: str, folder: Path) -> dict[str, str]:
    """What a reader has: the commands, and a fleet that they find, redis-cli included."""
    server = Path(find_binary())
    cli = folder / "redis-cli"
    real = server.with_name(server.name.replace("server", "cli"))
    cli.write_text(f'#!/bin/sh\nexec {real} -u {redis_url} "$@"\n')
    cli.chmod(0o755)
    return {**os.environ, "PATH": readers_path(folder), "SMALLFIRST_REDIS_URL": redis_url}
