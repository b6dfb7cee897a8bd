"""A linear model that no step asks, beside the cascade: fitted, left out, compared."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smallfirst.acceptance import Acceptance
from smallfirst.catalogue import Catalogue, Example, Kind, Task
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.evaluation.calibrating import FEWEST_COMPARED, words_outside
from smallfirst.evaluation.rows import Row
from smallfirst.evaluation.scores import Said, ScoredRow, Scores, StepAbout
from smallfirst.evaluation.words_outside import said_by_words
from smallfirst.jobs import Tier

CATALOGUE = """\
version: 1
router: {price_per_hour: 3.6}
pools:
  cpu: {tier: slm, max_parameters: 50M, price_per_hour: 0.5}
models:
  mini: {source: bundled:minilm}
  words: {tier: linear, source: bundled:words}
tasks:
  topic:
    kind: classify
    labels: {parcel: P., bill: B.}
    cascade: [{model: mini}]
"""
WORDS = {"parcel": "late lost van driver door box", "bill": "sum paid refund debit total fee"}


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    """A cascade without a linear model."""
    path = tmp_path / "catalogue.yaml"
    path.write_text(CATALOGUE)
    return load_catalogue(path)


def rows_of(num_rows: int) -> tuple[Row, ...]:
    """Texts whose words tell their labels."""
    random, rows = np.random.default_rng(3), []
    for number in range(num_rows):
        label = ("parcel", "bill")[number % 2]
        words = random.choice(WORDS[label].split(), 3)
        text = f"{' '.join(words)} number {random.integers(10**6)}"
        rows.append(Row(number + 1, Example(text=text, label=label)))
    return tuple(rows)


def test_each_row_is_answered_by_a_model_that_has_not_seen_it(catalogue: Catalogue) -> None:
    """Its line says which it is; seconds are measured, and cost what a router's do."""
    task, rows = catalogue.tasks["topic"], rows_of(60)
    foreign = Row(61, Example(text="nothing of either"))
    said = said_by_words(catalogue, task, (*rows, foreign))
    assert set(said) == {row.line for row in rows}
    assert sum(each.is_right for each in said.values()) >= 57
    assert all(each.cost == pytest.approx(each.seconds / 1000) for each in said.values())
    assert said[1].seconds > 0


def test_labels_that_words_do_not_tell_are_not_guessed_from_the_row_itself(
    catalogue: Catalogue,
) -> None:
    """Labels that were drawn by lot are right about half of the time, and not always."""
    random = np.random.default_rng(5)
    rows = [
        replace(row, example=row.example.model_copy(update={"label": str(label)}))
        for row, label in zip(rows_of(200), random.choice(["parcel", "bill"], 200), strict=True)
    ]
    said = said_by_words(catalogue, catalogue.tasks["topic"], rows)
    assert 0.3 < np.mean([each.is_right for each in said.values()]) < 0.7


@pytest.mark.parametrize("num_rows", [0, 2])
def test_too_little_to_learn_from_compares_nothing(catalogue: Catalogue, num_rows: int) -> None:
    """And so do rows that are all of one label, and of no words."""
    task, rows = catalogue.tasks["topic"], rows_of(40)
    assert said_by_words(catalogue, task, rows[:num_rows]) == {}
    assert said_by_words(catalogue, task, rows[::2]) == {}
    empty = [replace(row, example=row.example.model_copy(update={"text": "!"})) for row in rows]
    assert said_by_words(catalogue, task, empty) == {}


def test_a_cascade_that_asks_one_needs_no_other(catalogue: Catalogue) -> None:
    """It was compared as a step; and a kind that has none has none."""
    task = catalogue.tasks["topic"]
    asking = task.cascade[0].model_copy(update={"model": "words"})
    assert said_by_words(catalogue, with_cascade(task, asking), rows_of(40)) == {}
    tag = task.model_copy(update={"kind": Kind.TAG})
    assert said_by_words(catalogue, tag, [Row(1, Example(text="a", spans=()))]) == {}


def with_cascade(task: Task, step: object) -> Task:
    """The task with another cascade."""
    return task.model_copy(update={"cascade": (step,)})


def scores_of(num_rows: int, *, share_right: float) -> Scores:
    """What one step said of so many rows, the last of them wrongly."""
    said = Said(0.9, is_right=True, said="a", cost=0.5, seconds=0.5)
    rows = [
        ScoredRow(
            f"{n:016x}", "a", (replace(said, is_right=n < share_right * num_rows),), line=n + 1
        )
        for n in range(num_rows)
    ]
    about = StepAbout(0, Tier.SLM, "mini", "r")
    return Scores("topic", "EUR", (about,), tuple(rows))


def words_of(num_rows: int, *, share_right: float, cost: float = 0.001) -> dict[int, Said]:
    """What a linear model said of them."""
    return {
        n + 1: Said(0.8, is_right=n < share_right * num_rows, cost=cost, seconds=0.002)
        for n in range(num_rows)
    }


@pytest.mark.parametrize(
    ("right", "cost", "is_cheapest"),
    [(0.9, 0.001, True), (0.895, 0.001, True), (0.85, 0.001, False), (0.95, 0.6, False)],
)
def test_the_cheapest_equal_may_be_one_that_no_step_asks(
    right: float, cost: float, *, is_cheapest: bool
) -> None:
    """Within a point of the cascade, and cheaper than the steps that are; at the same coverage."""
    scores = scores_of(200, share_right=0.9)
    found = words_outside(scores, [Acceptance()], words_of(200, share_right=right, cost=cost))
    assert found is not None
    assert (found.num_rows, found.share_right_of_cascade) == (200, 0.9)
    assert found.share_right == pytest.approx(right)
    assert found.seconds == 0.002
    assert found.is_cheapest is is_cheapest


def test_rows_that_nobody_left_out_are_in_neither(catalogue: Catalogue) -> None:
    """Of many rows a part alone is left out; of too few nothing is said."""
    assert catalogue.tasks
    scores, words = scores_of(200, share_right=0.9), words_of(100, share_right=0.9)
    found = words_outside(scores, [Acceptance()], words)
    assert found is not None
    assert (found.num_rows, found.share_right_of_cascade) == (100, 1.0)
    few = dict(list(words.items())[: FEWEST_COMPARED - 1])
    assert words_outside(scores, [Acceptance()], few) is None
    assert words_outside(scores, [Acceptance()], {}) is None
