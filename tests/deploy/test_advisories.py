"""Published advisories against what is locked, as OSV writes them; nothing asks a network."""

import json
import subprocess
import sys
import tomllib
from datetime import date
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from requirements import advisories
from tests.support.charts import ROOT

LOCK = "jinja2==3.1.5 \\\n    --hash=sha256:aa\nPy_YAML==6.0 \\\n    --hash=sha256:bb\n"


def record(name: str, *ranges: dict[str, str], **more: Any) -> dict[str, Any]:
    """Write an advisory as OSV does."""
    package = {"ecosystem": more.pop("ecosystem", "PyPI"), "name": name}
    affected: dict[str, Any] = {"package": package}
    if ranges:
        affected["ranges"] = [{"type": "ECOSYSTEM", "events": list(ranges)}]
    affected |= {key: more.pop(key) for key in ("versions",) if key in more}
    return {"id": "GHSA-1", "summary": "Bad.", "affected": [affected]} | more


@pytest.mark.parametrize(
    ("events", "version", "concerned"),
    [
        ([{"introduced": "0"}, {"fixed": "3.1.6"}], "3.1.5", True),
        ([{"introduced": "0"}, {"fixed": "3.1.6"}], "3.1.6", False),
        ([{"introduced": "0"}, {"fixed": "3.1.6"}], "3.1.6rc1", True),
        ([{"introduced": "3.0"}, {"fixed": "3.1.6"}], "2.9", False),
        ([{"introduced": "0"}, {"last_affected": "3.1.5"}], "3.1.5", True),
        ([{"introduced": "0"}, {"last_affected": "3.1.5"}], "3.1.5.post1", False),
        ([{"introduced": "0"}], "99", True),
        # Out of order, and with a second stretch; 3.10 comes after 3.9.
        ([{"fixed": "2"}, {"introduced": "3.9"}, {"introduced": "0"}], "3.10", True),
        ([{"fixed": "2"}, {"introduced": "3.9"}, {"introduced": "0"}], "2.5", False),
        ([{"introduced": "0"}, {"fixed": "not-a-version"}], "1", True),
    ],
)
def test_a_version_is_within_a_range(
    events: list[dict[str, str]], version: str, *, concerned: bool
) -> None:
    """The order is that of versions, and where a range ends is outside of it."""
    (affected,) = record("jinja2", *events)["affected"]
    assert advisories.concerns(affected, version) is concerned


def test_what_concerns_a_locked_version_is_found() -> None:
    """Under whichever spelling of its name; with the version that is free of it."""
    found = advisories.findings(
        [
            record("Jinja2", {"introduced": "0"}, {"fixed": "3.1.6"}, aliases=["CVE-1"]),
            record("py.yaml", versions=["6.0"], id="PYSEC-2"),
            record("jinja2", versions=["3.1.4"], id="other version"),
            record("jinja2", versions=["3.1.5"], id="other registry", ecosystem="npm"),
            record("jinja2", versions=["3.1.5"], id="withdrawn", withdrawn="2026-01-01T00:00:00Z"),
        ],
        advisories.locked(LOCK),
    )
    assert [str(one) for one in found] == [
        "jinja2==3.1.5: GHSA-1, CVE-1: Bad. (fixed in 3.1.6)",
        "py-yaml==6.0: PYSEC-2: Bad. (no fixed version is known)",
    ]


def test_a_range_of_commits_is_no_version() -> None:
    """A hash of digits alone would be a high version."""
    told = record("jinja2", versions=["3.1.5"])
    told["affected"][0]["ranges"] = [{"type": "GIT", "events": [{"fixed": "4" * 40}]}]
    (found,) = advisories.findings([told], advisories.locked(LOCK))
    assert found.fixed == ""


def test_what_is_accepted_is_until_its_day() -> None:
    """Under any of its names; afterwards it is told again, and what concerns nothing is told."""
    told = [record("jinja2", versions=["3.1.5"], aliases=["CVE-1"])]
    found = advisories.findings(told, advisories.locked(LOCK))
    accepted = {"CVE-1": {"because": "It is not used.", "until": date(2026, 5, 1)}}
    assert advisories.unaccepted(found, accepted, date(2026, 5, 1)) == []
    assert advisories.unaccepted(found, accepted, date(2026, 5, 2)) == found
    assert advisories.idle(found, accepted) == []
    assert advisories.idle([], accepted) == ["CVE-1"]


def run(tmp_path: Path, *told: dict[str, Any], names: str = "{}.json") -> Any:
    """Run the script on an export with these advisories and one locked package."""
    archive, lock = tmp_path / "all.zip", tmp_path / "lock.txt"
    with ZipFile(archive, "w") as opened:
        opened.writestr("README", "")
        for number, one in enumerate(told):
            opened.writestr(names.format(number), json.dumps(one))
    lock.write_text(LOCK, "utf-8")
    command = [sys.executable, "requirements/advisories.py", str(archive), str(lock)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_command_fails_where_there_is_one(tmp_path: Path) -> None:
    """And ends well where there is none."""
    done = run(tmp_path, record("jinja2", versions=["3.1.5"]), record("other", versions=["1"]))
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "2 advisories, 1 to look at")
    done = run(tmp_path, record("other", versions=["1"]))
    assert (done.returncode, done.stdout) == (0, "1 advisories, 0 to look at\n")


def test_an_empty_export_is_no_good_news(tmp_path: Path) -> None:
    """What holds no advisory is refused: it would look as if all were well."""
    done = run(tmp_path)
    assert done.returncode == 2
    assert "holds no advisory" in done.stderr


def test_what_is_no_export_is_refused() -> None:
    """A lock in its place, as where the file's name was forgotten."""
    command = [
        sys.executable,
        "requirements/advisories.py",
        "requirements/lock.txt",
        "requirements",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("requirements/lock.txt is no export of OSV")


def test_each_that_is_accepted_says_why() -> None:
    """A reason is a sentence, and has a day."""
    accepted = tomllib.loads(advisories.ACCEPTED.read_text("utf-8"))
    for name, entry in accepted.items():
        assert entry["because"].endswith("."), name
        assert isinstance(entry["until"], date), name
