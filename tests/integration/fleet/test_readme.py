"""The README's code, run as it stands there."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from smallfirst.catalogue.loading import load_catalogue
from smallfirst.local.fleet import LocalFleet
from smallfirst.local.redis_server import find_binary

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """The README's code blocks in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)


def environment(fleet: LocalFleet, folder: Path) -> dict[str, str]:
    """What a reader has: the commands on the path, and a fleet that is found."""
    server = Path(find_binary())
    cli = folder / "redis-cli"
    real = server.with_name(server.name.replace("server", "cli"))
    cli.write_text(f'#!/bin/sh\nexec {real} -u {fleet.redis_url} "$@"\n')
    cli.chmod(0o755)
    path = f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "SMALLFIRST_REDIS_URL": fleet.redis_url}


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_each_python_snippet_runs(fleet: LocalFleet, tmp_path: Path, number: int) -> None:
    """A producer can paste it, and it prints an answer."""
    snippet = blocks("python")[number]
    done = subprocess.run(
        [sys.executable, "-c", snippet],
        check=False,
        env=environment(fleet, tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("number", range(len(blocks("sh"))))
def test_each_shell_snippet_runs(fleet: LocalFleet, tmp_path: Path, number: int) -> None:
    """The commands exist and do what the text beside them says."""
    mails = ROOT / "examples" / "support_mail" / "mails.jsonl"
    rows = [json.loads(line) for line in mails.read_text().splitlines()[:20]]
    (tmp_path / "mails.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = subprocess.run(
        ["sh", "-ec", blocks("sh")[number]],
        check=False,
        env=environment(fleet, tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_the_catalogue_is_one(tmp_path: Path) -> None:
    """The YAML that the README shows is valid, down to its labels."""
    [text] = blocks("yaml")
    rows = (ROOT / "examples" / "support_mail" / "examples" / "pii.jsonl").read_text().splitlines()
    kept = [row for row in rows if labels_of(row) <= {"card", "person"}]
    (tmp_path / "pii.jsonl").write_text("\n".join(kept))
    (tmp_path / "catalogue.yaml").write_text(text)
    assert set(load_catalogue(tmp_path / "catalogue.yaml").tasks) == {"pii"}


def labels_of(row: str) -> set[str]:
    """The labels of an example's spans."""
    return {span["label"] for span in json.loads(row)["spans"]}
