"""What each entry of the catalogue is: closed, immutable, with problems that name their place."""

from collections.abc import Iterable
from typing import Final

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticCustomError

#: Type of the error that carries several problems, each with its place, in its context.
PROBLEMS: Final = "catalogue_problems"

#: Where in the catalogue: keys and indexes, from the outside in.
Place = tuple[str | int, ...]


class Entry(BaseModel):
    """Base of everything in the catalogue: closed and immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def refuse(problems: Iterable[tuple[Place, str]]) -> None:
    """Raise all the problems at once, each with its place below the model that is validated."""
    found = tuple(problems)
    if found:
        summary = "; ".join(f"{place_text(at)}: {rule}" for at, rule in found)
        raise PydanticCustomError(PROBLEMS, "{summary}", {"summary": summary, "problems": found})


def place_text(at: Place) -> str:
    """Write a place as people do: `tasks.topic.cascade[0].accept`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in at)
    return "".join(parts).removeprefix(".")
