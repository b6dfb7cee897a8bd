"""A catalogue finds in a bundle what it named where it was made."""

from pathlib import Path

import pytest
import yaml

from smallfirst.bundling.relocating import Relocation, with_paths
from smallfirst.catalogue.yaml_tree import Place

BASE = Path("/srv/fleet")


@pytest.mark.parametrize("written", ["./models/m", "models/../models/m/"])
def test_what_lies_below_the_catalogue_stays(written: str) -> None:
    """Its place is the same, and nothing has to be written."""
    relocation = Relocation(BASE)
    assert relocation.add(("models", "m", "source"), written) == BASE / "models" / "m"
    assert relocation.places == {BASE / "models" / "m": "catalogue/models/m"}
    assert relocation.written == {}


@pytest.mark.parametrize("written", ["/srv/fleet/models/m", "../fleet/models/m"])
def test_a_way_round_is_written_anew(written: str) -> None:
    """What lies below, but is named by a path that holds here alone."""
    relocation = Relocation(BASE)
    relocation.add(("models", "m", "source"), written)
    assert relocation.written == {("models", "m", "source"): "./models/m"}


def test_what_lies_elsewhere_keeps_its_name() -> None:
    """A promise is of a model's last name; two of one name get folders of their own."""
    relocation = Relocation(BASE)
    names = {"a": "/store/1/topic", "b": "/store/2/topic", "c": "/store/1/topic", "d": "../hub"}
    for model, written in names.items():
        relocation.add(("models", model, "source"), written)
    relocation.add(("models", "a", "ca_file"), "/etc/ours.crt")
    relocation.add(("tasks", "t", "audit", "golden"), "../golden.jsonl")
    assert list(relocation.places.values()) == [
        "models/topic",
        "models/1/topic",
        "models/1/hub",
        "certificates/ours.crt",
        "rows/golden.jsonl",
    ]
    assert relocation.written["models", "c", "source"] == "../models/topic"


def test_the_folder_of_the_catalogue_itself_is_a_model_elsewhere() -> None:
    """It is carried a second time, so that the model's revision is the same."""
    relocation = Relocation(BASE)
    relocation.add(("models", "m", "source"), ".")
    assert relocation.written == {("models", "m", "source"): "../models/fleet"}


TEXT = """\
# Ours. ä
version: 1
defaults: &llm {tier: llm, source: /old/large}   # shared
models:
  large: *llm
  other: {<<: *llm, parameters: 1B}
  own:
    "source": '/old/own'
tasks: {topic: {examples: /old/rows.jsonl, labels: {a: "/old/own"}}}
"""


def test_a_path_is_written_in_its_place_alone() -> None:
    """Comments, quotes and all else stay; what an alias brings is written where it stands."""
    written: dict[Place, str] = {
        ("models", "large", "source"): "../models/large",
        ("models", "other", "source"): "../models/large",
        ("models", "own", "source"): '../models/o"ä',
        ("tasks", "topic", "examples"): "../rows/rows.jsonl",
    }
    found = with_paths(TEXT, written)
    assert found == (
        TEXT.replace("/old/large}", '"../models/large"}')
        .replace("'/old/own'", '"../models/o\\"ä"')
        .replace("/old/rows.jsonl", '"../rows/rows.jsonl"')
    )
    read = yaml.safe_load(found)
    assert read["models"]["own"]["source"] == '../models/o"ä'
    assert read["models"]["other"] == {
        "tier": "llm",
        "source": "../models/large",
        "parameters": "1B",
    }
    assert read["tasks"]["topic"]["labels"] == {"a": "/old/own"}
