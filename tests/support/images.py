"""The images without a container engine: each recipe is followed here, instruction by instruction.

A folder stands for the root of the file system, the same one for all stages of a recipe. What
builds the environment runs as it stands there, with little on its path but that environment and a
Python: no compiler of this machine. Not followed: the base itself, packages of the distribution,
the user.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from string import Template
from typing import Any

from requirements import uv
from tests.support.charts import ROOT
from tests.support.recipes import Stage, stages, whole

#: Each image's recipe, and its last stage's name.
RECIPES = {
    "router": ("router/Dockerfile", "router"),
    "flower": ("router/Dockerfile", "flower"),
    "desk": ("workers/Dockerfile.desk", "desk"),
    "slm": ("workers/Dockerfile.slm", "slm"),
    "llm": ("workers/Dockerfile.llm", "llm"),
}
#: How this machine finds packages, which the one that builds an image finds in its own way.
OF_THE_MACHINE = re.compile(r"(?i)(PIP|UV)_\w+|\w+_PROXY|SSL_CERT_\w+|REQUESTS_CA_BUNDLE|HOME")
#: Seconds that one instruction may take.
PATIENCE = 1800


class RecipeError(Exception):
    """Raised when an instruction fails, or is one that nobody here can follow."""


@dataclass
class Image:
    """One image as it comes out: its folder, and what its recipe says of how it is run."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    workdir: Path = Path("/")
    command: tuple[str, ...] = ()

    @property
    def venv(self) -> Path:
        """Its environment of Python."""
        return self.folder / "venv"

    @property
    def packages(self) -> dict[str, str]:
        """What it says is in it: versions by name, as the index writes names."""
        listed = json.loads((self.venv / "packages.json").read_text("utf-8"))
        return {re.sub(r"[-_.]+", "-", one["name"]).lower(): one["version"] for one in listed}

    def start(
        self, command: Sequence[str], log: Path, variables: Mapping[str, str]
    ) -> "subprocess.Popen[bytes]":
        """Start a command with the image's environment, these variables, and nothing else.

        But that modules are compiled once, and kept apart from the image: who builds it has that
        done by COMPILE.
        """
        first, *others = command
        compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": f"{self.folder}/pyc"}
        with log.open("wb") as file:
            return subprocess.Popen(
                [str(self.venv / "bin" / first), *others],
                env={**self.environment, **compiled, **variables},
                cwd=self.workdir,
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    def finish(self, command: Sequence[str], log: Path, **variables: str) -> tuple[int, str]:
        """Run a command to its end; return its exit status and what it said."""
        process = self.start(command, log, variables)
        try:
            return process.wait(240), log.read_text("utf-8")
        finally:
            process.kill()


def follow(name: str, folder: Path, *, compiles: bool = False) -> Image:
    """Follow an image's recipe in an empty folder.

    Args:
        name: Of the image.
        folder: Where its root is laid.
        compiles: Whether its modules are compiled, as who builds it has it done. What is tried here
            imports a small part of most images, so that all else would be compiled for nobody.

    Raises:
        RecipeError: When an instruction fails, with the end of what it said.
    """
    path, target = RECIPES[name]
    every = {stage.name: stage for stage in stages(ROOT / path)}
    _lay_out(folder)
    machine = {key: each for key, each in os.environ.items() if OF_THE_MACHINE.fullmatch(key)}
    settings = uv.for_command(uv.settings(), ["--require-hashes"])
    if name == "llm":
        # Where torch for processors may lie, under the version of the one for GPUs that is locked.
        settings.pop("UV_FIND_LINKS", None)
        machine.pop("UV_FIND_LINKS", None)
    told = {"COMPILE": "1"} if compiles else {}
    build = Image(folder, {**settings, **machine, **told, "PATH": str(folder / "bin")})
    built: dict[str, Image] = {}
    last = whole(ROOT / path, every[target])
    for source in last.sources:
        _build(every, source, build, built)
    # What is shipped knows nothing of this machine; its RUN is for the distribution's packages.
    return _followed(last, Image(folder, {"PATH": str(folder / "bin")}), skipped={"RUN"})


def _lay_out(folder: Path) -> None:
    """Make what the base brings: its folders, a Python, and what a line of shell may call."""
    for name in ("bin", "tmp", "src"):
        (folder / name).mkdir(parents=True)
    python = folder / "bin" / "python"
    python.write_text(
        f'#!/bin/sh\nexec {shlex.quote(str(Path(sys.executable).resolve()))} "$@"\n', "utf-8"
    )
    python.chmod(0o755)
    for name in ("cat", "chmod", "cp", "ln", "mkdir", "mv", "rm", "sed"):
        if found := shutil.which(name):
            (folder / "bin" / name).symlink_to(found)


def _build(every: Mapping[str, Stage], name: str, start: Image, built: dict[str, Image]) -> Image:
    """Follow a stage, and first those that it stands on and copies from, each once."""
    if name not in built:
        stage = every[name]
        base = _build(every, stage.base, start, built) if stage.base in every else start
        for source in stage.sources:
            _build(every, source, start, built)
        built[name] = _followed(stage, base, skipped=set())
    return built[name]


def _followed(stage: Stage, base: Image, *, skipped: set[str]) -> Image:
    image = replace(base, environment=dict(base.environment))
    for line in stage.lines:
        instruction, rest = line.split(" ", 1)
        if instruction not in skipped:
            _obey(image, instruction, _moved(rest, image.folder))
    return image


def _moved(text: str, folder: Path) -> str:
    """Have the root's folders be those of this one."""
    return re.sub(r"(?<![\w./])/(?=(venv|uv|src|own|tmp)\b)", f"{folder}/", text)


def _obey(image: Image, instruction: str, rest: str) -> None:
    match instruction:
        case "ENV":
            for one in shlex.split(rest):
                key, value = one.split("=", 1)
                image.environment[key] = Template(value).safe_substitute(image.environment)
        case "WORKDIR":
            image.workdir = Path(rest)
        case "COPY":
            *sources, target = rest.split()
            if sources[0].startswith("--from="):
                _copy_over(Path(sources[1]), Path(target))
            else:
                _copy(sources, image.workdir / target)
        case "RUN":
            _run(image, rest)
        case "CMD":
            image.command = tuple(json.loads(rest))
        case "ARG" | "LABEL" | "USER":
            pass
        case _:
            raise RecipeError(f"nobody here can follow {instruction}")


def _copy(sources: list[str], target: Path) -> None:
    """Copy as a builder does: a folder's content into the target, a file into it or as it."""
    for name in sources:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, target, ignore=ignored)
        else:
            place = target / Path(name).name if len(sources) > 1 or target.is_dir() else target
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, place)


def _copy_over(source: Path, target: Path) -> None:
    """Copy a folder of another stage; where it goes to the same place, it lies there already."""
    if not source.is_dir():
        raise RecipeError(f"no stage made {source}")
    if source != target:
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)


def _run(image: Image, line: str) -> None:
    done: Any = subprocess.run(
        ["/bin/sh", "-c", line],
        env=image.environment,
        cwd=image.workdir,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    if done.returncode != 0:
        raise RecipeError(f"{line}\n{done.stdout[-3000:]}")
