"""A cascade taken apart: every step a task of its own, and nothing else changed."""

from pathlib import Path

import pytest

from smallfirst.catalogue import Catalogue, ModelStep
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.evaluation.errors import UnaskableError
from smallfirst.evaluation.single_step_catalogue import (
    EXAMPLES_FILE,
    as_yaml,
    check_askable,
    taken_apart,
)

CATALOGUE = """\
version: 1
pools: {cpu: {tier: slm, max_parameters: 50M}}
models:
  mini: {source: bundled:minilm}
  idle: {source: bundled:minilm}
tasks:
  pii:
    kind: tag
    labels: {"no": 'Says "no": {it}.', "1e3": "A number.", email: "An # address."}
    examples:
      - {text: call 1e3, spans: [{start: 5, end: 8, label: "1e3"}]}
    cascade:
      - rule: {find: [email]}
        accept: never
      - model: mini
        accept: 0.5
  similar:
    kind: embed
    cascade: [{model: mini}]
"""


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    """A catalogue with words that YAML likes to read as something else."""
    path = tmp_path / "catalogue.yaml"
    path.write_text(CATALOGUE)
    return load_catalogue(path)


def derived(catalogue: Catalogue, folder: Path) -> Catalogue:
    """Take the task apart, write it as the fleet gets it, and read it as the fleet does."""
    (folder / "apart").mkdir()
    path = folder / "apart" / "catalogue.yaml"
    path.write_text(as_yaml(taken_apart(catalogue, "pii")))
    rows = (row.model_dump_json(exclude_unset=True) for row in catalogue.tasks["pii"].examples)
    (path.parent / EXAMPLES_FILE).write_text("\n".join(rows))
    return load_catalogue(path)


def test_every_step_is_a_task_of_the_same_labels_and_examples(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    """What a model learns and reads of the task stays the same, down to words like `no`."""
    task, steps = catalogue.tasks["pii"], derived(catalogue, tmp_path).tasks
    assert list(steps) == ["step-0", "step-1"]
    assert all(step.labels == task.labels for step in steps.values())
    assert all(step.examples == task.examples for step in steps.values())


def test_a_models_every_answer_stands_and_adds_to_what_rules_found(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    """The model's own task keeps the rule before it whose spans are kept."""
    keeper, step = derived(catalogue, tmp_path).tasks["step-1"].cascade
    assert keeper == catalogue.tasks["pii"].cascade[0]
    assert isinstance(step, ModelStep)
    assert (step.name, step.accept) == ("mini", None)


def test_models_that_are_not_asked_are_left_out(catalogue: Catalogue, tmp_path: Path) -> None:
    """Nobody loads what the task does not use."""
    assert list(derived(catalogue, tmp_path).models) == ["mini"]


def test_what_cannot_be_scored_is_refused(catalogue: Catalogue) -> None:
    """A vector is not right or wrong."""
    with pytest.raises(UnaskableError, match="of kind embed, which cannot be scored"):
        check_askable(catalogue, "similar")


def test_a_candidate_in_shadow_is_taken_apart_like_any_task(tmp_path: Path) -> None:
    """The task in whose shadow it runs is not there; nothing is watched or copied."""
    live = CATALOGUE.replace("  pii:", "  live:").replace("email: An # address.", "email: One.")
    candidate = CATALOGUE.partition("tasks:\n")[2].partition("  similar:")[0]
    path = tmp_path / "catalogue.yaml"
    path.write_text(f"{live}{candidate}    shadow: {{of: live}}\n")
    found = derived(load_catalogue(path), tmp_path)
    assert (len(found.tasks), found.shadows) == (2, ())
