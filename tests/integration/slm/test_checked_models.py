"""What `smallfirst check` says of a model's folder, and what the engine says that has to serve it.

The models are tiny, random, and made here.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from smallfirst.catalogue.checking import check_catalogue
from smallfirst.errors import ModelFilesError
from smallfirst_workers.errors import WorkerError
from smallfirst_workers.slm.engine import SlmEngine

Load = Callable[..., SlmEngine]
Tiny = Callable[..., Path]
NAMED = {"id2label": {0: "good", 1: "bad"}, "label2id": {"good": 0, "bad": 1}}
TAGS = {"id2label": {0: "O", 1: "B-good", 2: "I-good", 3: "B-bad"}, "label2id": {"O": 0}}
#: Three of each label.
ROWS = [
    {"text": f"{word} {start}", "label": label}
    for label, word in (("good", "good"), ("bad", "bad"))
    for start in ("ada wrote", "grace wrote", "to paris")
]
MISSING = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")


@dataclass(frozen=True)
class Case:
    """A model's folder, and what is asked of it."""

    verdict: Literal["served", "refused"]
    head: str = "Model"
    settings: Mapping[str, Any] = field(default_factory=dict)
    task: Mapping[str, Any] = field(default_factory=dict)
    rows: int | None = None
    model: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    torn: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


CLASSIFIER, TAGGER = "ForSequenceClassification", "ForTokenClassification"
SEVERAL = {**NAMED, "problem_type": "multi_label_classification"}
CASES = {
    "encoder with examples": Case("served", rows=6),
    "encoder without examples": Case("refused"),
    "encoder with one example of a label": Case("refused", rows=4),
    "encoder for vectors": Case("served", task={"kind": "embed"}),
    "classifier": Case("served", CLASSIFIER, NAMED),
    "classifier, labels turned round": Case(
        "served", CLASSIFIER, NAMED, task={"labels": {"bad": "", "good": ""}}
    ),
    "classifier, labels in upper case": Case(
        "refused", CLASSIFIER, NAMED, task={"labels": {"GOOD": "", "BAD": ""}}
    ),
    "classifier, more labels": Case(
        "refused", CLASSIFIER, NAMED, task={"labels": {"good": "", "bad": "", "ugly": ""}}
    ),
    "classifier, outputs without names": Case("refused", CLASSIFIER),
    "classifier, outputs without names in the task": Case(
        "served", CLASSIFIER, task={"labels": {"LABEL_0": "", "LABEL_1": ""}}
    ),
    "classifier, outputs named": Case(
        "served", CLASSIFIER, model={"outputs": {"LABEL_0": "bad", "LABEL_1": "good"}}
    ),
    "classifier, outputs that it lacks": Case(
        "refused", CLASSIFIER, NAMED, model={"outputs": {"LABEL_0": "good"}}
    ),
    "classifier, outputs in one": Case(
        "served",
        CLASSIFIER,
        {"num_labels": 3},
        model={"outputs": {"LABEL_0": "bad", "LABEL_1": "good", "LABEL_2": "bad"}},
    ),
    "classifier of several labels, outputs in one": Case(
        "refused",
        CLASSIFIER,
        {"num_labels": 3, "problem_type": "multi_label_classification"},
        task={"kind": "multilabel"},
        model={"outputs": {"LABEL_0": "bad", "LABEL_1": "good", "LABEL_2": "bad"}},
    ),
    "encoder, outputs named": Case("refused", rows=6, model={"outputs": {"LABEL_0": "good"}}),
    "tagger, outputs named": Case(
        "served",
        TAGGER,
        TAGS,
        task={"kind": "tag"},
        model={"outputs": {"good": "bad", "bad": "good"}},
    ),
    "classifier for vectors": Case("refused", CLASSIFIER, NAMED, task={"kind": "embed"}),
    "classifier for several labels": Case(
        "refused", CLASSIFIER, NAMED, task={"kind": "multilabel"}
    ),
    "classifier of several labels": Case(
        "served", CLASSIFIER, SEVERAL, task={"kind": "multilabel"}
    ),
    "classifier of several labels for one": Case("refused", CLASSIFIER, SEVERAL),
    "regression": Case(
        "refused",
        CLASSIFIER,
        {"num_labels": 1, "problem_type": "regression"},
        task={"kind": "multilabel", "labels": {"LABEL_0": ""}},
    ),
    "score of two texts": Case(
        "refused", CLASSIFIER, {"num_labels": 1}, task={"labels": {"LABEL_0": "", "x": ""}}
    ),
    "tagger": Case("served", TAGGER, TAGS, task={"kind": "tag"}),
    "tagger for whole texts": Case("refused", TAGGER, TAGS),
    "no tokenizer": Case("refused", rows=6, missing=MISSING),
    "another model's tokenizer": Case("refused", settings={"vocab_size": 400}, rows=6),
    "larger tokenizer": Case("refused", settings={"vocab_size": 12}, rows=6),
    "window too long": Case("refused", rows=6, model={"max_tokens": 64}),
    "window": Case("served", rows=6, model={"max_tokens": 16}),
    "code of its own": Case("refused", rows=6, config={"auto_map": {"AutoModel": "evil.Model"}}),
    "outputs that are no names": Case("refused", CLASSIFIER, NAMED, config={"id2label": ["good"]}),
    "torn weights": Case("refused", rows=6, torn=("model.safetensors",)),
    "torn configuration": Case("refused", rows=6, torn=("config.json",)),
    "no configuration": Case("refused", rows=6, missing=("config.json",)),
    "pickled weights": Case(
        "refused", rows=6, missing=("model.safetensors",), model={"parameters": 9}
    ),
    "another way of pooling": Case("refused", rows=6, model={"pooling": "last"}),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_check_approves_the_engine_serves(
    tmp_path: Path, load: Load, tiny: Tiny, case: Case
) -> None:
    """A folder and a task that one of the two refuses, the other refuses too."""
    folder = spoiled(tiny(case.head, **case.settings), case)
    path = tmp_path / "catalogue.yaml"
    path.write_text(json.dumps(catalogue_of(folder, case)))
    checked = check_catalogue(path)
    is_right = case.verdict == "served"
    assert (not checked.fatal) == is_right, [str(each) for each in checked.findings]
    if checked.catalogue is not None:
        assert is_served(checked.catalogue, folder, load) == is_right


def spoiled(folder: Path, case: Case) -> Path:
    """The folder with what the case wants changed."""
    about = folder / "config.json"
    about.write_text(json.dumps({**json.loads(about.read_text()), **case.config}))
    for name in case.missing:
        (folder / name).unlink(missing_ok=True)
    for name in case.torn:
        (folder / name).write_bytes((folder / name).read_bytes()[:-100])
    return folder


def catalogue_of(folder: Path, case: Case) -> Mapping[str, Any]:
    """A catalogue of one task that asks the model."""
    task = {"kind": "classify", "labels": {"good": "", "bad": ""}, **case.task}
    if task["kind"] == "embed":
        del task["labels"]
    if case.rows:
        task["examples"] = ROWS[: case.rows]
    return {
        "version": 1,
        "pools": {"cpu": {"tier": "slm", "max_parameters": "1M"}},
        "models": {"minilm": {"source": str(folder), **case.model}},
        "tasks": {"mood": {**task, "cascade": [{"model": "minilm"}]}},
    }


def is_served(catalogue: Any, folder: Path, load: Load) -> bool:
    """Whether the engine loads the model and prepares the task."""
    said = catalogue.models["minilm"].model_dump(exclude_unset=True, exclude={"source"})
    try:
        load(folder, **{**said, "runtime": "torch"}).prepare(catalogue.tasks)
    except (WorkerError, ModelFilesError):
        return False
    return True
