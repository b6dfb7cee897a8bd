"""The README's code, run as it stands there."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.pages import ROOT, environment_of, texts_of

from smallfirst.catalogue.loading import load_catalogue
from smallfirst.local.fleet import LocalFleet

pytestmark = pytest.mark.timeout(300)

README = ROOT / "README.md"


@pytest.mark.parametrize("number", range(len(texts_of(README, "python"))))
def test_each_python_snippet_runs(fleet: LocalFleet, tmp_path: Path, number: int) -> None:
    """A producer can paste it, and it prints an answer."""
    snippet = texts_of(README, "python")[number]
    done = subprocess.run(
        [sys.executable, "-c", snippet],
        check=False,
        env=environment_of(fleet.redis_url, tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("number", range(len(texts_of(README, "sh"))))
def test_each_shell_snippet_runs(fleet: LocalFleet, tmp_path: Path, number: int) -> None:
    """The commands exist and do what the text beside them says."""
    mails = ROOT / "examples" / "support_mail" / "mails.jsonl"
    rows = [json.loads(line) for line in mails.read_text().splitlines()[:20]]
    (tmp_path / "mails.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = subprocess.run(
        ["sh", "-ec", texts_of(README, "sh")[number]],
        check=False,
        env=environment_of(fleet.redis_url, tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_the_catalogue_is_one(tmp_path: Path) -> None:
    """The YAML that the README shows is valid, down to its labels."""
    [text] = texts_of(README, "yaml")
    rows = (ROOT / "examples" / "support_mail" / "examples" / "pii.jsonl").read_text().splitlines()
    kept = [row for row in rows if labels_of(row) <= {"card", "person"}]
    (tmp_path / "pii.jsonl").write_text("\n".join(kept))
    (tmp_path / "catalogue.yaml").write_text(text)
    assert set(load_catalogue(tmp_path / "catalogue.yaml").tasks) == {"pii"}


def labels_of(row: str) -> set[str]:
    """The labels of an example's spans."""
    return {span["label"] for span in json.loads(row)["spans"]}
