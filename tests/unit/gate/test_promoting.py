"""What a promotion writes into the live catalogue, without a fleet."""

from pathlib import Path

import pytest

from smallfirst.catalogue.loading import load_catalogue
from smallfirst.gate.errors import CandidateError
from smallfirst.gate.promoting import promote

CATALOGUE = """
version: 1
pools:
  far: {{tier: llm, remote: true}}
models:
  large: {{tier: llm, source: a, endpoint: "http://127.0.0.1:9/v1", parameters: {size}}}
tasks:
  topic:
    kind: classify
    labels: {{billing: money, delivery: parcels}}
    cascade: [{{model: large, accept: {accept}}}]
"""


def written(folder: Path, size: str, accept: float) -> Path:
    """Write a catalogue."""
    folder.mkdir()
    path = folder / "catalogue.yaml"
    path.write_text(CATALOGUE.format(size=size, accept=accept))
    return path


def test_a_model_is_the_same_however_its_file_writes_it(tmp_path: Path) -> None:
    """People write `8B`, and what is fitted writes the number."""
    live, candidate = (
        written(tmp_path / "live", "8B", 0.5),
        written(tmp_path / "candidate", "8000000000", 0.7),
    )
    assert promote("topic", live, candidate, load_catalogue(candidate)) == 1
    [step] = load_catalogue(live).tasks["topic"].cascade
    assert step.acceptance.threshold == 0.7


def test_another_model_of_the_same_name_is_refused(tmp_path: Path) -> None:
    """Other tasks may ask the live one; nothing is written."""
    live, candidate = (
        written(tmp_path / "live", "8B", 0.5),
        written(tmp_path / "candidate", "9B", 0.7),
    )
    before = live.read_text()
    with pytest.raises(CandidateError, match=r"models\.large"):
        promote("topic", live, candidate, load_catalogue(candidate))
    assert live.read_text() == before
