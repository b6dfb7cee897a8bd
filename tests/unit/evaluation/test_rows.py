"""Labelled rows: told apart by their text, refused where a model has seen them."""

import json
from pathlib import Path

import pytest

from smallfirst.answers import Answer, LabelAnswer, LabelsAnswer, RecordAnswer, Span, SpansAnswer
from smallfirst.catalogue import Catalogue, Example, Kind, Task
from smallfirst.catalogue.examples import TRAINED_ON
from smallfirst.catalogue.likeness import text_key
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.evaluation.errors import RowsError, SeenRowsError
from smallfirst.evaluation.rows import (
    Repeats,
    Row,
    doubts_of,
    is_right,
    read_rows,
    repeats_of,
    seen_keys,
    unseen_rows,
)
from smallfirst.kinds import KINDS

CATALOGUE = """\
version: 1
pools: {cpu: {tier: slm, max_parameters: 50M}}
models:
  own: {source: ./own, parameters: 1M}
tasks:
  topic:
    kind: classify
    labels: {a: A., b: B.}
    examples:
      - {text: an example, label: a}
      - {text: another, label: b}
    cascade: [{model: own}]
"""


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    """A catalogue whose model says what it was trained on."""
    path = tmp_path / "catalogue.yaml"
    path.write_text(CATALOGUE)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / TRAINED_ON).write_text(f"{text_key('learned')}\n")
    return load_catalogue(path)


def task_of(catalogue: Catalogue) -> Task:
    """The only task."""
    return catalogue.tasks["topic"]


def write(path: Path, *texts: str) -> Path:
    """Write rows of these texts, all of label `a`, with a blank line before the last."""
    rows = [json.dumps({"text": text, "label": "a"}) for text in texts]
    path.write_text("\n".join([*rows[:-1], "", *rows[-1:]]))
    return path


def test_a_text_that_stands_twice_counts_twice(catalogue: Catalogue, tmp_path: Path) -> None:
    """Every row is a draw of its own, and knows its line in the file."""
    rows = read_rows(write(tmp_path / "r.jsonl", "x", "y", "x", "z"), "topic", task_of(catalogue))
    assert [(row.line, row.example.text) for row in rows] == [
        (1, "x"),
        (2, "y"),
        (3, "x"),
        (5, "z"),
    ]
    assert repeats_of(rows, task_of(catalogue)) == Repeats(1, 2, ())


def test_rows_of_one_text_that_do_not_agree_are_named(catalogue: Catalogue, tmp_path: Path) -> None:
    """Of each text with several right answers the first line is told; case makes no other text."""
    path = tmp_path / "r.jsonl"
    labels = [("Thanks!", "a"), ("thanks", "b"), ("thanks ", "b"), ("y", "a"), ("y", "a")]
    path.write_text("".join(json.dumps({"text": t, "label": a}) + "\n" for t, a in labels))

    found = repeats_of(read_rows(path, "topic", task_of(catalogue)), task_of(catalogue))

    assert found == Repeats(2, 5, (1,))
    assert "the rows of 1 of them do not agree on the right answer" in str(found)
    assert "Thanks" not in str(found)


def test_an_id_may_be_a_number(catalogue: Catalogue, tmp_path: Path) -> None:
    """One file serves `run`, which takes such ids, and examples and evaluation alike."""
    path = tmp_path / "r.jsonl"
    path.write_text(
        '{"text": "x", "label": "a", "id": 17}\n{"text": "y", "label": "b", "id": "b"}\n'
    )
    rows = read_rows(path, "topic", task_of(catalogue))
    assert [row.example.id for row in rows] == ["17", "b"]


def test_a_row_may_say_that_no_label_is_right(catalogue: Catalogue, tmp_path: Path) -> None:
    """`null` is a right answer that every label fails; a row without the key is a mistake."""
    path = tmp_path / "r.jsonl"
    path.write_text('{"text": "x", "label": null}\n')
    (row,) = read_rows(path, "topic", task_of(catalogue))
    gold = KINDS[Kind.CLASSIFY].gold_of(row.example)
    assert not is_right(LabelAnswer(label="a", confidence=1.0), gold)


TAG = Task.model_validate(
    {
        "kind": "tag",
        "labels": {"who": "A person.", "when": "A date.", "where": "A place."},
        "cascade": [{"model": "own"}],
    }
)


def test_what_makes_figures_doubtful_is_told() -> None:
    """Labels that no row has, spans inside words, and spans over each other, by their lines."""
    texts = ["Ann Lee came.", "Ann Lee came.", "Ann Lee came.", "ยินดีครับ"]  # scripts without spaces
    spans = [[(0, 7)], [(0, 6)], [(0, 7), (4, 7)], [(2, 5)]]
    rows = [
        Row(line, Example(text=text, spans=[Span(start=s, end=e, label="who") for s, e in found]))
        for line, (text, found) in enumerate(zip(texts, spans, strict=True), 1)
    ]
    missing, cut, over = doubts_of(rows, TAG)
    assert missing.endswith("nothing is known of texts that do: when, where")
    assert cut.endswith("line 2")
    assert over.endswith("line 3")
    assert not list(doubts_of(rows[:1], TAG.model_copy(update={"labels": {"who": "A person."}})))


def test_bad_rows_are_all_named(catalogue: Catalogue, tmp_path: Path) -> None:
    """A row without its answer is told with line and rule; none is dropped."""
    path = tmp_path / "r.jsonl"
    path.write_text('{"text": "x", "label": "c"}\n{"text": "y"}\n')
    with pytest.raises(RowsError) as caught:
        read_rows(path, "topic", task_of(catalogue))
    assert [problem.line for problem in caught.value.problems] == [1, 2]


def test_rows_seen_in_training_are_refused(catalogue: Catalogue, tmp_path: Path) -> None:
    """Rows of the task's examples and of a model's own training are named, and nothing goes on.

    Case, white space and punctuation hide nothing.
    """
    path = write(tmp_path / "r.jsonl", "fresh", "An  example.", "learned")
    rows = read_rows(path, "topic", task_of(catalogue))
    with pytest.raises(SeenRowsError) as caught:
        unseen_rows(rows, seen_keys(catalogue, "topic"), drop_seen=False)
    assert caught.value.lines == (2, 4)
    assert caught.value.sources == ("tasks.topic.examples", "models.own")
    assert "lines 2, 4" in str(caught.value)
    assert "example." not in str(caught.value)


def test_rows_seen_in_training_are_left_out_when_told_to(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    """Only the fresh row stays."""
    path = write(tmp_path / "r.jsonl", "fresh", "an example", "learned")
    rows = read_rows(path, "topic", task_of(catalogue))
    kept = unseen_rows(rows, seen_keys(catalogue, "topic"), drop_seen=True)
    assert [row.example.text for row in kept] == ["fresh"]


def test_an_answer_is_right_only_as_a_whole() -> None:
    """One span of two is not right; no spans where there are none is."""
    one, two = Span(start=0, end=2, label="a"), Span(start=3, end=4, label="a")
    gold = frozenset({(0, 2, "a"), (3, 4, "a")})
    assert is_right(SpansAnswer(spans=(one, two), confidence=1.0), gold)
    assert not is_right(SpansAnswer(spans=(one,), confidence=1.0), gold)
    assert is_right(SpansAnswer(spans=(), confidence=1.0), frozenset())
    assert not is_right(None, "a")


@pytest.mark.parametrize(
    ("kind", "answer", "word"),
    [
        (Kind.CLASSIFY, LabelAnswer(label="a", confidence=1.0), "a"),
        (Kind.JUDGE, RecordAnswer(record={"verdict": "yes"}, confidence=1.0), "yes"),
        (Kind.EXTRACT, RecordAnswer(record={"total": 3}, confidence=1.0), ""),
        (Kind.MULTILABEL, LabelsAnswer(labels=("a",), confidence=1.0), ""),
        (Kind.CLASSIFY, None, ""),
    ],
)
def test_labels_and_verdicts_are_words(kind: Kind, answer: Answer | None, word: str) -> None:
    """What confusions are counted by; other answers have no one word."""
    spec = KINDS[kind]
    assert spec.in_a_word(spec.said_by(answer)) == word
