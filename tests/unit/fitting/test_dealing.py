"""Laws of dealing rows: who learns is not who promises, and nothing is judged that was learned."""

import random

import pytest

from smallfirst.catalogue import Example
from smallfirst.catalogue.likeness import clusters_of
from smallfirst.evaluation.rows import Row
from smallfirst.fitting.dealing import Dealt, dealt, with_teaching
from smallfirst.fitting.drafting import placeholder

TASK = placeholder({"kind": "classify", "labels": {"even": "", "odd": "", "rare": ""}})
WORDS = [f"word{number}" for number in "abcdefghijklmnopqrstuvwxyz"]


def rows_of(counts: dict[str, int], *, twice: bool = False) -> list[Row]:
    """So many rows of each label; `twice`: every text again with one word more."""
    chance = random.Random(5)
    rows: list[Row] = []
    for label, count in counts.items():
        for _ in range(count):
            text = " ".join(chance.sample(WORDS, 9))
            for each in (text, f"{text} indeed") if twice else (text,):
                rows.append(Row(len(rows) + 1, Example(text=each, label=label)))
    return rows


def cut(parts: Dealt) -> tuple[set[int], set[int]]:
    """The lines of the rows that learn, and of those that promise."""
    return {row.line for row in parts.learning}, {row.line for row in parts.promising}


def test_each_row_learns_or_promises() -> None:
    """Every row is dealt to one side, two fifths of few rows to the promise, in any order."""
    rows = rows_of({"even": 100, "odd": 100})
    learning, promising = cut(dealt(rows, TASK))
    assert not learning & promising
    assert learning | promising == {row.line for row in rows}
    assert len(promising) == pytest.approx(80, abs=4)
    assert cut(dealt(rows[::-1], TASK)) == (learning, promising)


def test_texts_that_are_alike_share_a_side() -> None:
    """Of two texts that differ in one word of ten none is learned while the other is judged."""
    rows = rows_of({"even": 60, "odd": 60}, twice=True)
    numbers = clusters_of([row.example.text for row in rows])
    cluster = {row.line: number for row, number in zip(rows, numbers, strict=True)}
    parts = dealt(rows, TASK)
    pairs = [(parts.learning, parts.promising), *((f.taught, f.judges) for f in parts.folds)]
    for one, other in pairs:
        assert not {cluster[row.line] for row in one} & {cluster[row.line] for row in other}


def test_every_learning_row_judges_once_where_rows_are_few() -> None:
    """Five folds judge all learning rows, and what a fold has learned from is all the others."""
    parts = dealt(rows_of({"even": 50, "odd": 50}), TASK)
    learning, _ = cut(parts)
    assert sorted(row.line for fold in parts.folds for row in fold.judges) == sorted(learning)
    for fold in parts.folds:
        lines = [row.line for row in (*fold.taught, *fold.judges)]
        assert sorted(lines) == sorted(learning)


def test_a_label_with_two_rows_is_learned_and_named() -> None:
    """Where judging a label would leave too little to learn it from, all its rows are learned."""
    parts = dealt(rows_of({"even": 40, "odd": 40, "rare": 2}), TASK)
    assert parts.rare == ("rare",) or not parts.rare
    assert sum(row.example.label == "rare" for row in parts.learning) == 2
    for fold in parts.folds:
        assert sum(row.example.label == "rare" for row in fold.taught) == 2


def test_rows_without_a_right_label_only_promise() -> None:
    """A row that says `null` cannot be learned from, and counts in the promise."""
    rows = rows_of({"even": 40, "odd": 40, "rare": 5})
    foreign = [Row(1000 + n, Example(text=f"none {n} of {WORDS[n]} these")) for n in range(6)]
    _, promising = cut(dealt([*rows, *foreign], TASK))
    assert {row.line for row in foreign} <= promising


def test_rows_that_only_teach_are_judged_nowhere() -> None:
    """Every model learns from them; none that is like a dealt row does, nor one without a label."""
    parts = dealt(rows_of({"even": 40, "odd": 40, "rare": 5}), TASK)
    known = parts.promising[0].example
    new = Row(2001, Example(text="quite another thing altogether", label="even"))
    alike = Row(2002, Example(text=known.text.upper(), label=known.label))
    foreign = Row(2003, Example(text="nobody can tell what this is"))
    more = with_teaching(parts, [new, alike, foreign], TASK)
    assert more.learning == (*parts.learning, new)
    assert more.promising == parts.promising
    assert more.num_teaching == 1
    assert more.num_dealt == parts.num_dealt == 85
    for before, after in zip(parts.folds, more.folds, strict=True):
        assert after.taught == (*before.taught, new)
        assert after.judges == before.judges
