"""What a promotion writes into the live catalogue, without a fleet."""

from pathlib import Path

import pytest

from smallfirst.catalogue import Catalogue
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.errors import CatalogueError
from smallfirst.gate.errors import CandidateError
from smallfirst.gate.promoting import check_comparable, promote

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


def test_a_folder_is_not_left_behind_where_the_catalogue_would_be_wrong(tmp_path: Path) -> None:
    """Here the candidate's model fits no pool of the live fleet: nothing at all is written."""
    live = written(tmp_path / "live", "8B", 0.5)
    candidate = written(tmp_path / "candidate", "8B", 0.5)
    (candidate.parent / "words").mkdir()
    (candidate.parent / "words" / "model.json").write_text("{}")
    candidate.write_text(
        candidate.read_text()
        .replace("pools:\n", "pools:\n  near: {tier: slm, max_parameters: 5M}\n")
        .replace("models:\n", "models:\n  words: {source: ./words, parameters: 1M}\n")
        .replace("[{model: large", "[{model: words}, {model: large")
    )
    before = live.read_text()
    with pytest.raises(CatalogueError, match=r"models\.words: there is no slm pool to run it"):
        promote("topic", live, candidate, load_catalogue(candidate))
    assert live.read_text() == before
    assert not (live.parent / "words").exists()
    assert not (live.parent / "versions").exists()


@pytest.mark.parametrize(
    ("was", "would_be", "reason"),
    [
        ({"kind": "judge", "question": "Is it paid?"}, {"question": "Is it due?"}, "another ques"),
        (
            {"kind": "extract", "fields": {"sum": {"type": "number"}}},
            {"fields": {"date": {"type": "date"}}},
            "'date', 'sum' stand in one catalogue alone; a task with another field",
        ),
        (
            {"kind": "classify", "labels": {"a": "one", "b": "two"}},
            {"labels": {"a": "one", "c": "three"}},
            "'b', 'c' stand in one catalogue alone; a task with another label",
        ),
        (
            {"kind": "classify", "labels": {"a": "one", "b": "two"}},
            {"max_chars": 100},
            "takes texts of 200,000 characters",
        ),
    ],
)
def test_what_is_asked_otherwise_cannot_be_compared(
    was: dict[str, object], would_be: dict[str, object], reason: str
) -> None:
    """By the rule that a shadow goes by, too."""
    live, candidate = (asked_by_large(each) for each in (was, was | would_be))
    with pytest.raises(CandidateError, match=reason):
        check_comparable("topic", live, candidate)
    check_comparable("topic", live, live)


def asked_by_large(task: dict[str, object]) -> Catalogue:
    """A catalogue with one task and the model that it asks."""
    return Catalogue.model_validate(
        {
            "version": 1,
            "pools": {"far": {"tier": "llm", "remote": True}},
            "models": {
                "large": {
                    "tier": "llm",
                    "source": "a",
                    "endpoint": "http://127.0.0.1:9/v1",
                    "parameters": "8B",
                }
            },
            "tasks": {"topic": {**task, "cascade": [{"model": "large"}]}},
        }
    )
