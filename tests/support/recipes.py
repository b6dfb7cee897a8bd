"""The images' recipes as their tests see them: stages, taken apart into instructions."""

import re
from dataclasses import dataclass
from pathlib import Path

from tests.support.charts import ROOT

FILES = (ROOT / "router" / "Dockerfile", *sorted((ROOT / "workers").glob("Dockerfile.*")))


@dataclass(frozen=True)
class Stage:
    """One stage: on what it stands, its name, its instructions."""

    base: str
    name: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """Its instructions."""
        return "\n".join(self.lines)

    @property
    def sources(self) -> list[str]:
        """The stages that it copies from."""
        return re.findall(r"--from=(\S+)", self.text)


def stages(path: Path) -> list[Stage]:
    """Read a recipe, its continued lines joined, its comments dropped."""
    text = path.read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    found: list[Stage] = []
    for line in lines:
        if begun := re.fullmatch(r"FROM (\S+)(?: AS (\S+))?", line):
            found.append(Stage(begun[1], begun[2] or "", ()))
        elif found:
            last = found[-1]
            found[-1] = Stage(last.base, last.name, (*last.lines, line))
    return found


def ends(path: Path) -> list[Stage]:
    """Take the stages that no other is built on: what becomes an image."""
    every = stages(path)
    used = {name for stage in every for name in (stage.base, *stage.sources)}
    return [stage for stage in every if not stage.name or stage.name not in used]


def whole(path: Path, stage: Stage) -> Stage:
    """Put the instructions of the stages that one stands on before its own."""
    by_name = {each.name: each for each in stages(path) if each.name}
    if stage.base not in by_name:
        return stage
    base = whole(path, by_name[stage.base])
    return Stage(base.base, stage.name, (*base.lines, *stage.lines))


def shipped(path: Path) -> list[str]:
    """What each image holds that no other is built on: its instructions, with its base's."""
    return [whole(path, end).text for end in ends(path)]
