"""Where the files that a catalogue names lie in a bundle, and the catalogue that names them there.

Whatever lies below the catalogue's folder stays where it is, and a catalogue all of whose files do
is carried byte for byte. The last part of a model's path stays as it is: a promise is of it. Pure.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from os.path import normpath
from pathlib import Path, PurePosixPath
from typing import Any, Final

import yaml

from smallfirst.catalogue.named_paths import absolute_path
from smallfirst.catalogue.yaml_tree import Place

#: Where the catalogue lies in a bundle.
CATALOGUE: Final = "catalogue"
#: The hub's cache in a bundle.
HUB: Final = "models/hub"
#: Where other files lie, by the key that names them.
_FOLDERS: Final = {"examples": "rows", "golden": "rows", "ca_file": "certificates"}


@dataclass
class Relocation:
    """Finds places for the files that a catalogue names; two of one name get places of their own.

    Attributes:
        base: The catalogue's folder, absolute.
        places: Where each file or folder lies in the bundle, by its absolute path.
        written: What the catalogue has to say instead, by key; only where that is something else.
    """

    base: Path
    places: dict[Path, str] = field(default_factory=dict)
    written: dict[Place, str] = field(default_factory=dict)

    def add(self, place: Place, written: str) -> Path:
        """Find a place for what one key names; return where it is now."""
        path = absolute_path(written, self.base)
        is_below = self.base in path.parents
        if path not in self.places:
            self.places[path] = (
                f"{CATALOGUE}/{path.relative_to(self.base).as_posix()}"
                if is_below
                else self._free(_FOLDERS.get(str(place[-1]), "models"), path.name)
            )
        if not (is_below and _stays_below(written)):
            self.written[place] = _from_catalogue(self.places[path])
        return path

    def _free(self, folder: str, name: str) -> str:
        candidates = (f"{folder}/{n}/{name}" if n else f"{folder}/{name}" for n in range(10**6))
        return next(each for each in candidates if not self._is_taken(each))

    def _is_taken(self, place: str) -> bool:
        """Whether something else is there, or below, or a folder of models' cache would be."""
        taken = (*self.places.values(), HUB)
        inner = PurePosixPath(place)
        return any(
            inner == (other := PurePosixPath(each))
            or inner in other.parents
            or other in inner.parents
            for each in taken
        )


def _stays_below(written: str) -> bool:
    return not written.startswith(("/", "~")) and normpath(written).split("/")[0] != ".."


def _from_catalogue(place: str) -> str:
    inner = place.removeprefix(f"{CATALOGUE}/")
    return f"./{inner}" if inner != place else f"../{place}"


def with_paths(text: str, written: Mapping[Place, str]) -> str:
    """Write other paths into a catalogue; all else, comments among it, stays as it stands.

    Args:
        text: The catalogue, which can be read.
        written: The new path of each key.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    edits = dict[tuple[int, int], str]()
    for place, path in written.items():
        node = _node_at(root, place)
        edits[node.start_mark.index, node.end_mark.index] = path
    for (start, end), path in sorted(edits.items(), reverse=True):
        text = f"{text[:start]}{json.dumps(path, ensure_ascii=False)}{text[end:]}"
    return text


def _node_at(node: Any, place: Place) -> Any:
    for key in place:
        node = next(value for name, value in _pairs(node) if name == key)
    return node


def _pairs(node: Any) -> Iterator[tuple[str, Any]]:
    """A mapping's own keys, and then those that `<<` brings."""
    merged = [value for key, value in node.value if key.value == "<<"]
    yield from ((key.value, value) for key, value in node.value if key.value != "<<")
    for each in merged:
        for offered in each.value if isinstance(each, yaml.SequenceNode) else [each]:
            yield from _pairs(offered)
