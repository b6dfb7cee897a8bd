"""Runs uv with what pip was told on this machine: where packages are, and whom to trust.

uv reads none of pip's settings, and whoever has set pip up for an index of their own has done it
once. What is set for uv itself comes first. Only the standard library is here: nothing else is
installed yet.

    python requirements/uv.py pip install -r requirements/lock.txt
"""

import ast
import os
import subprocess
import sys
from pathlib import Path

#: What uv calls pip's settings, and what stands between several values there.
NAMES = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "constraint": ("UV_CONSTRAINT", " "),
    "cert": ("SSL_CERT_FILE", " "),
}


def settings() -> dict[str, str]:
    """Say pip's settings in uv's words, the best version of any place among them, as with pip."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - ours
    return {"UV_INDEX_STRATEGY": "unsafe-best-match", **translated(told)}


def for_command(found: dict[str, str], arguments: list[str]) -> dict[str, str]:
    """Leave constraints out where every version and hash is named: uv refuses looser ones there."""
    if "--require-hashes" not in arguments:
        return found
    return {name: value for name, value in found.items() if name != "UV_CONSTRAINT"}


def translated(told: str) -> dict[str, str]:
    """Say in uv's words what `pip config list` prints: a name and a Python string on each line."""
    found = {}
    for line in told.splitlines():
        name, _, value = line.partition("=")
        if ours := NAMES.get(name.rpartition(".")[2]):
            variable, between = ours
            found[variable] = between.join(ast.literal_eval(value).split())
    return found


if __name__ == "__main__":
    uv = Path(sys.executable).with_name("uv")
    own = {"VIRTUAL_ENV": sys.prefix, "UV_NO_CACHE": "1"}
    os.execve(  # noqa: S606 - it takes this process's place
        uv,
        [str(uv), *sys.argv[1:]],
        {**for_command(settings(), sys.argv), **own, **os.environ},
    )
