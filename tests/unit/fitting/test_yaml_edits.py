"""Laws of adding to a catalogue as text: the entry is there, and all else stays as it was."""

import pytest
import yaml

from smallfirst.catalogue.yaml_tree import read_yaml
from smallfirst.fitting.errors import FitError
from smallfirst.fitting.yaml_edits import with_entry

FILE = """\
# The team's own catalogue.
version: 1
tasks:
    # About mails.
    topic:      # and nothing else
        kind: classify
        labels: {a: one, b: two}
        cascade:
        - model: minilm

    urgency: {kind: classify}

# Where models run.
pools:
  cpu: {tier: slm}
"""
ENTRY = {"kind": "classify", "labels": {"yes": "", "no": "a 'no'", "1e5": "", "null": ""}}


@pytest.mark.parametrize("name", ["new", "topic", "urgency"])
def test_an_entry_is_added_or_takes_its_namesake_s_place(name: str) -> None:
    """What is read of the file is what was read before, and the entry, word for word."""
    written = with_entry(FILE, "tasks", name, ENTRY)
    before, after = read_yaml(FILE).data, read_yaml(written).data
    assert after == {**before, "tasks": {**before["tasks"], name: ENTRY}}
    assert list(after["tasks"]) == list(dict.fromkeys([*before["tasks"], name]))


def test_comments_and_lines_of_others_stay() -> None:
    """Every line that is not the entry's own stands there as before, in the same order."""
    written = with_entry(FILE, "tasks", "urgency", ENTRY).splitlines()
    kept = [line for line in FILE.splitlines() if "urgency" not in line]
    assert [line for line in written if line in kept and line.strip()] == list(filter(None, kept))


def test_a_section_that_is_not_there_is_begun() -> None:
    """A catalogue without models gets the section, at its end."""
    written = with_entry(FILE, "models", "words", {"tier": "linear", "source": "bundled:words"})
    assert read_yaml(written).data["models"] == {
        "words": {"tier": "linear", "source": "bundled:words"}
    }
    assert yaml.safe_load(written)["pools"] == {"cpu": {"tier": "slm"}}


@pytest.mark.parametrize("section", ["pools: {cpu: {tier: slm}}", "pools: &all {cpu: {tier: slm}}"])
def test_a_section_in_one_line_is_refused(section: str) -> None:
    """What cannot be added to line by line is told with what to do."""
    with pytest.raises(FitError, match="a line of its own"):
        with_entry(f"version: 1\n{section}\n", "pools", "more", {"tier": "slm"})
