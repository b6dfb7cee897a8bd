"""Nonsense in the catalogue: it is served, or its problems are named, and nothing else happens."""

import copy
import random
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.nonsense import values
from tests.support.odd_catalogues import as_bytes, odd_catalogue, read_sources

from smallfirst.catalogue import Catalogue
from smallfirst.catalogue.checking import check_catalogue
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.errors import CatalogueError

#: Two hundred here and in CI, ten thousand in the long form (`make fuzz`).
NUM_CHANGED = 5 * settings().max_examples
DEMO = Path(__file__).parents[2] / "examples" / "support_mail" / "catalogue.yaml"
WHOLE: Any = yaml.safe_load(DEMO.read_text("utf-8"))


def places(tree: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of a tree, as the keys that lead there."""
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree)
    found = []
    for key, value in inner:
        found.append((*above, key))
        if isinstance(value, dict | list):
            found += places(value, (*above, key))
    return found


def changed(at: tuple[Any, ...], value: object, *, is_gone: bool) -> Any:
    """The demo's catalogue with one place otherwise."""
    whole = copy.deepcopy(WHOLE)
    parent = whole
    for key in at[:-1]:
        parent = parent[key]
    if is_gone:
        del parent[at[-1]]
    else:
        parent[at[-1]] = value
    return whole


def read(path: Path) -> Catalogue | CatalogueError:
    """Read a catalogue; any error but its own is a failure."""
    try:
        return load_catalogue(path)
    except CatalogueError as error:
        return error


@given(
    at=st.sampled_from(places(WHOLE)),
    value=st.one_of(values, st.sampled_from(["", "never", -1, 10**30, "bundled:minilm", "rule"])),
    is_gone=st.booleans(),
)
def test_a_changed_catalogue_is_served_or_named(
    tmp_path: Path, at: tuple[Any, ...], value: object, *, is_gone: bool
) -> None:
    """One value wrong, or one key gone: every problem says where it stands."""
    path = tmp_path / "catalogue.yaml"
    written = yaml.safe_dump(changed(at, value, is_gone=is_gone), sort_keys=False)
    path.write_bytes(written.encode("utf-8", errors="surrogatepass"))
    found = read(path)
    if isinstance(found, CatalogueError):
        assert found.problems
        assert all(problem.path for problem in found.problems)
        assert str(found)


@given(raw=st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)))
def test_what_is_no_catalogue_is_refused(tmp_path: Path, raw: bytes) -> None:
    """Bytes of any kind are refused in words."""
    path = tmp_path / "catalogue.yaml"
    path.write_bytes(raw)
    assert isinstance(read(path), CatalogueError)


def test_a_bomb_of_anchors_is_refused(tmp_path: Path) -> None:
    """A few lines that unfold to billions of entries cost no memory."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    path = tmp_path / "catalogue.yaml"
    path.write_text("\n".join(lines))
    assert isinstance(read(path), CatalogueError)


def test_what_all_are_made_from_is_served(tmp_path: Path) -> None:
    """Else it would be no wonder that those that are changed are refused."""
    for number, tree in enumerate(read_sources()):
        path = tmp_path / f"{number}.yaml"
        path.write_text(yaml.safe_dump(tree, sort_keys=False))
        assert check_catalogue(path).fatal == ()


def test_changed_catalogues_are_checked_whatever_they_say(tmp_path: Path) -> None:
    """Real catalogues with some things changed: all is found by name, and nothing raises."""
    sources, path = read_sources(), tmp_path / "catalogue.yaml"
    for seed in range(NUM_CHANGED):
        chance = random.Random(seed)
        path.write_bytes(as_bytes(chance, odd_catalogue(chance, sources)))
        try:
            checked = check_catalogue(path)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {path.read_bytes()[:2000]!r}") from error
        assert checked.catalogue is not None or checked.fatal, seed
        assert all(finding.problem.rule for finding in checked.findings), seed
