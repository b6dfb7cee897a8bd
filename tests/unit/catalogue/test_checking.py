"""Laws of checking a catalogue whole: what is refused, what is only worth a look, and where."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from smallfirst.catalogue.checking import check_catalogue
from smallfirst.errors import CatalogueError

MINILM = {"minilm": {"source": "bundled:minilm"}}
BOTH = {"soup": "", "salad": ""}
FOUR = [
    {"text": "a broth", "label": "soup"},
    {"text": "a cream", "label": "soup"},
    {"text": "some leaves", "label": "salad"},
    {"text": "some herbs", "label": "salad"},
]


def check(tmp_path: Path, task: dict[str, Any], **models: Any) -> list[tuple[str, bool, str]]:
    """The place of each finding, whether it is refused, and its sentence without the place."""
    path = tmp_path / "catalogue.yaml"
    pools = {"cpu": {"tier": "slm", "max_parameters": "50M"}}
    whole = {"version": 1, "pools": pools, "models": {**MINILM, **models}, "tasks": {"t": task}}
    path.write_text(yaml.safe_dump(whole, sort_keys=False))
    found = check_catalogue(path).findings
    assert all(each.problem.line for each in found)
    return [
        (each.problem.where, each.is_fatal, str(each).partition(f"{each.problem.where}: ")[2])
        for each in found
    ]


def classify(examples: list[Any], labels: dict[str, str] = BOTH, **rule: Any) -> dict[str, Any]:
    """A task that a rule, if there is one, and then the small model answer."""
    steps = [{"rule": rule}] if rule else []
    kind = {"kind": "classify", "labels": labels, "examples": examples}
    return {**kind, "cascade": [*steps, {"model": "minilm"}]}


def test_a_catalogue_that_is_well_has_no_findings(tmp_path: Path) -> None:
    """Nothing is said of what is served as it stands."""
    assert check(tmp_path, classify(FOUR)) == []


def test_too_few_examples_are_refused(tmp_path: Path) -> None:
    """A head that could not be trained is told of before any worker starts."""
    [(where, is_fatal, said)] = check(tmp_path, classify(FOUR[:3]))
    assert (where, is_fatal) == ("tasks.t.examples", True)
    assert said == "has 1 example of 'salad'; its head needs at least 2"


def test_outputs_of_a_model_without_a_classifier_are_refused(tmp_path: Path) -> None:
    """What nobody would read is told of where it stands, whether or not a task asks the model."""
    mood = {"source": "bundled:minilm", "outputs": {"LABEL_0": "soup"}}
    [(where, is_fatal, said)] = check(tmp_path, classify(FOUR), mood=mood)
    assert (where, is_fatal) == ("models.mood.outputs", True)
    assert said == "names the labels of a classifier, and the model is none; leave it out"


def test_examples_that_contradict_each_other_are_counted(tmp_path: Path) -> None:
    """A text that stands there with two answers is told of by its numbers, and not quoted."""
    again = [{"text": "a broth", "label": "salad"}, {"text": "a broth", "label": "soup"}]
    [(where, is_fatal, said)] = check(tmp_path, classify([*FOUR, *again]))
    assert (where, is_fatal) == ("tasks.t.examples", False)
    assert said.startswith("1 text stands there again with another answer")
    assert "numbers 1 and 5" in said
    assert "broth" not in said


def test_spans_of_two_labels_that_overlap_are_counted(tmp_path: Path) -> None:
    """A word has one label; spans that touch, or are of one label, are none of that."""
    spans = [
        [{"start": 0, "end": 5, "label": "soup"}, {"start": 4, "end": 9, "label": "salad"}],
        [{"start": 0, "end": 4, "label": "soup"}, {"start": 4, "end": 9, "label": "salad"}],
        [{"start": 0, "end": 5, "label": "soup"}, {"start": 4, "end": 9, "label": "soup"}],
    ]
    rows = [{"text": f"some leaves {n}", "spans": each} for n, each in enumerate(spans)]
    task = {**classify(rows), "kind": "tag"}
    [(_, is_fatal, said)] = check(tmp_path, task)
    assert not is_fatal
    assert said.startswith("1 example has spans of two labels that overlap (first: number 1)")


def test_labels_that_differ_in_case_are_told_of(tmp_path: Path) -> None:
    """Two words that people take for one are worth a look."""
    rows = [*FOUR, *({**each, "label": "Soup", "text": "x " + each["text"]} for each in FOUR[:2])]
    [(where, is_fatal, _)] = check(tmp_path, classify(rows, {**BOTH, "Soup": ""}))
    assert (where, is_fatal) == ("tasks.t.labels", False)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ({"pattern": "(?<=a)b"}, "RE2 has no look-around"),
        ({"pattern": "x*"}, "matches the empty text"),
        ({"pattern": "x", "check": "nosuch"}, "python-stdnum has no module"),
    ],
)
def test_a_pattern_that_the_router_would_refuse_is_named(
    tmp_path: Path, pattern: dict[str, str], said: str
) -> None:
    """Patterns are compiled as the router compiles them."""
    task = classify(FOUR, patterns=[{"label": "soup", **pattern}])
    [(where, is_fatal, reason)] = check(tmp_path, task)
    assert (where, is_fatal) == ("tasks.t.cascade[0].rule.patterns[0]", True)
    assert said in reason


def test_all_findings_are_raised_at_once(tmp_path: Path) -> None:
    """Whoever needs the catalogue is told all that keeps it from being served."""
    task = classify(FOUR[:1], patterns=[{"label": "soup", "pattern": "("}])
    check(tmp_path, task, gone={"source": "./gone"})
    with pytest.raises(CatalogueError) as caught:
        check_catalogue(tmp_path / "catalogue.yaml").unwrap()
    where = [problem.where for problem in caught.value.problems]
    assert where == [
        "models.gone.source",
        "tasks.t.examples",
        "tasks.t.cascade[0].rule.patterns[0]",
    ]


def test_wrong_rows_hide_nothing_else(tmp_path: Path) -> None:
    """Where a file of examples is wrong, what is wrong with models and other tasks is told too."""
    (tmp_path / "rows.jsonl").write_text('{"text": "a", "label": "bread"}\n')
    task = {**classify([]), "examples": "rows.jsonl"}
    found = check(tmp_path, task, gone={"source": "./gone"})
    assert [where for where, _, _ in found] == ["models.gone.source", "tasks.t.examples"]
    assert "names 'bread'" in found[1][2]
