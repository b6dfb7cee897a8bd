"""Compares locked packages with published advisories, without a network.

The advisories are those of OSV, which gathers PyPA's and GitHub's: the file `PyPI/all.zip` of its
public export, fetched by whoever may and carried to wherever this runs. What is known and does no
harm here stands in `accepted.toml`, with the reason and the day on which it is looked at again.

    python requirements/advisories.py all.zip requirements/lock.txt requirements/images/llm.txt

Ends with 1 where an advisory concerns a locked version and is not accepted, or is no longer; with
2 where there is no such file.
Source: https://ossf.github.io/osv-schema/#affectedranges-field, and its section on evaluation.
"""

import json
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

ACCEPTED = Path(__file__).with_name("accepted.toml")

Record = Mapping[str, Any]


@dataclass(frozen=True, order=True)
class Finding:
    """One advisory that concerns one locked version.

    Attributes:
        names: The advisory's id, and those that others gave it.
        fixed: The first version above the locked one that is told to be free of it; empty: none is.
    """

    package: str
    version: str
    names: tuple[str, ...]
    summary: str
    fixed: str

    def __str__(self) -> str:
        """One line: which, what, and what to do."""
        remedy = f"fixed in {self.fixed}" if self.fixed else "no fixed version is known"
        return f"{self.package}=={self.version}: {', '.join(self.names)}: {self.summary} ({remedy})"


def locked(text: str) -> dict[str, str]:
    """Read a lock: versions by name."""
    pairs = re.findall(r"^([\w.-]+)==([^\s;\\]+)", text, re.MULTILINE)
    return {canonicalize_name(name): version for name, version in pairs}


def records(archive: Path) -> Iterator[Record]:
    """Read every advisory of an export.

    Raises:
        ValueError: When there is none, which would look as if all were well, or one is no JSON.
    """
    with ZipFile(archive) as opened:
        names = [name for name in opened.namelist() if name.endswith(".json")]
        if not names:
            raise ValueError("it holds no advisory")
        for name in names:
            yield json.loads(opened.read(name))


def findings(advisories: Iterable[Record], packages: Mapping[str, str]) -> list[Finding]:
    """List what concerns the locked versions, by package; withdrawn advisories do not."""
    found = []
    for record in advisories:
        if "withdrawn" in record:
            continue
        for affected in record.get("affected", ()):
            package = affected.get("package", {})
            name = canonicalize_name(str(package.get("name", "")))
            version = packages.get(name)
            if package.get("ecosystem") == "PyPI" and version and concerns(affected, version):
                found.append(_finding(record, affected, name, version))
    return sorted(set(found))


def concerns(affected: Record, version: str) -> bool:
    """Whether a version is among those listed, or within a range; a range's end is not in it."""
    return version in affected.get("versions", ()) or any(
        _is_within(events, Version(version)) for events in _ranges(affected)
    )


def _ranges(affected: Record) -> Iterator[list[Mapping[str, str]]]:
    """Give the events of each range of versions; others are of commits."""
    for each in affected.get("ranges", ()):
        if each["type"] == "ECOSYSTEM":
            yield each["events"]


def _is_within(events: Iterable[Mapping[str, str]], version: Version) -> bool:
    """Walk the events in the order of versions: the last one at or below decides."""
    is_in = False
    for at, kind in sorted(_ordered(events)):
        if kind == "introduced" and version >= at:
            is_in = True
        elif (kind == "fixed" and version >= at) or (kind == "last_affected" and version > at):
            is_in = False
    return is_in


def _ordered(events: Iterable[Mapping[str, str]]) -> Iterator[tuple[Version, str]]:
    for event in events:
        for kind, told in event.items():
            try:
                yield Version(told), kind
            except InvalidVersion:
                # Of no version that a lock could name. Source: PyPI takes none but PEP 440's.
                continue


def _finding(record: Record, affected: Record, package: str, version: str) -> Finding:
    events = [event for each in _ranges(affected) for event in each]
    later = [at for at, kind in _ordered(events) if kind == "fixed" and at > Version(version)]
    text = str(record.get("summary") or record.get("details") or "no summary")
    return Finding(
        package,
        version,
        (str(record["id"]), *map(str, record.get("aliases", ()))),
        text.partition("\n")[0][:120],
        str(min(later)) if later else "",
    )


def unaccepted(
    found: Iterable[Finding], accepted: Mapping[str, Record], today: date
) -> list[Finding]:
    """Leave out what is accepted, under any of its names, until its day."""
    still = {name for name, entry in accepted.items() if today <= entry["until"]}
    return [each for each in found if not still & set(each.names)]


def idle(found: Iterable[Finding], accepted: Mapping[str, Record]) -> list[str]:
    """Name what is accepted and concerns nothing any more."""
    names = {name for each in found for name in each.names}
    return sorted(accepted.keys() - names)


def main(arguments: list[str]) -> int:
    """Compare, and say what there is."""
    archive, *locks = map(Path, arguments)
    accepted = tomllib.loads(ACCEPTED.read_text("utf-8"))
    try:
        advisories = list(records(archive))
    except (OSError, BadZipFile, ValueError) as error:
        sys.stderr.write(f"{archive} is no export of OSV: {error}\n")
        return 2
    found = {
        each for lock in locks for each in findings(advisories, locked(lock.read_text("utf-8")))
    }
    today = datetime.now(UTC).date()
    told = [str(each) for each in sorted(unaccepted(found, accepted, today))]
    told += [f"accepted.toml: {name} concerns nothing any more" for name in idle(found, accepted)]
    sys.stdout.writelines(f"{line}\n" for line in told)
    sys.stdout.write(f"{len(advisories)} advisories, {len(told)} to look at\n")
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
