"""Laws of texts without labels: what is read of a file, chosen, and written to be labelled."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from smallfirst.catalogue import Example
from smallfirst.catalogue.likeness import text_key
from smallfirst.fitting.drafting import placeholder
from smallfirst.fitting.errors import FitError
from smallfirst.fitting.suggesting import advice, suggest
from smallfirst.fitting.to_label import by_words, to_label
from smallfirst.fitting.unlabelled import check_not_labelled, read_unlabelled
from smallfirst.fitting.writing import Destination, alone

TASK = placeholder({"kind": "classify", "labels": {"delivery": "", "refund": ""}})
PARCELS = [f"my parcel {word} not arrived" for word in ("has", "did", "was", "is", "will", "can")]
MONEY = ["i want my money back now", "please pay the refund to my card", "the invoice is wrong"]


def file_of(folder: Path, rows: Sequence[Any], name: str = "texts.jsonl") -> Path:
    """A file of such rows; what is a string is a line as it is."""
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def texts(folder: Path, given: Sequence[str]) -> Path:
    """A file of texts alone."""
    return file_of(folder, [{"text": text} for text in given])


def test_a_text_counts_as_often_as_it_stands_there(tmp_path: Path) -> None:
    """It is read once, without its answer, with all else that its row has."""
    rows = [{"text": "Hello there", "id": 7, "label": "x"}, {"text": "hello  THERE"}]
    found = read_unlabelled(file_of(tmp_path, rows), ())
    assert found.rows == ({"text": "Hello there", "id": 7},)
    assert found.counts == (2,)


def test_what_has_a_label_already_is_passed_over(tmp_path: Path) -> None:
    """A text is known by its words."""
    found = read_unlabelled(texts(tmp_path, [*PARCELS, *MONEY]), {text_key(PARCELS[0].upper())})
    assert sorted(found.texts) == sorted([*PARCELS[1:], *MONEY])


def test_the_order_of_the_file_does_not_count(tmp_path: Path) -> None:
    """What is drawn by chance is the same each time."""
    one = read_unlabelled(texts(tmp_path, PARCELS), ()).texts
    assert read_unlabelled(texts(tmp_path, PARCELS[::-1]), ()).texts == one


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ({"label": "a"}, "needs `text`"),
        ({"text": " "}, "needs `text`"),
        ({"text": 5}, "needs `text`"),
        ('{"text": "half \\ud800 of one"}', "half of a character"),
        ('{"text": "whole", "id": "\\ud800"}', "half of a character"),
        ("[1]", "a JSON object is needed"),
        ("{", "not JSON"),
    ],
)
def test_a_wrong_row_is_named_by_its_line(tmp_path: Path, row: Any, rule: str) -> None:
    """Nothing is chosen of half a file."""
    path = file_of(tmp_path, [{"text": "fine"}, row])
    with pytest.raises(FitError, match=rule) as raised:
        read_unlabelled(path, ())
    assert f"{path}:2:" in str(raised.value)


def test_a_file_of_nothing_new_is_told(tmp_path: Path) -> None:
    """Empty, or all of it labelled."""
    for given in ([], ["seen"]):
        with pytest.raises(FitError, match="give more texts"):
            read_unlabelled(texts(tmp_path, given), {text_key("seen")})


def test_labels_that_somebody_wrote_are_not_written_over(tmp_path: Path) -> None:
    """The file says where the first of them is; without one it may be written again."""
    rows = [{"text": "a b"}, {"text": "c d", "label": "refund"}]
    with pytest.raises(FitError, match=":2: has labels"):
        check_not_labelled(file_of(tmp_path, rows))
    check_not_labelled(file_of(tmp_path, rows[:1]))
    check_not_labelled(tmp_path / "none.jsonl")


def test_what_is_like_a_labelled_text_is_not_chosen(tmp_path: Path) -> None:
    """A number apart is the same text; and of those that are alike one is chosen."""
    given = [*MONEY, "where is order 77 of mine", "where is order 12 of mine", "order 5 has come"]
    pool = read_unlabelled(texts(tmp_path, given), ())
    known = [Example(text="order 8 has come", label="delivery")]
    chosen = [row["text"] for row in to_label(pool, known, TASK, 99, by_words)]
    assert len(chosen) == len(MONEY) + 1
    assert "order 5 has come" not in chosen


def test_what_a_model_is_unsure_of_comes_first(tmp_path: Path) -> None:
    """Of texts like the labelled ones that is asked for which could be either."""
    chance = random.Random(3)
    words = {
        "delivery": [f"d{n}eliv" for n in range(12)],
        "refund": [f"r{n}fund" for n in range(12)],
    }

    def text(*labels: str) -> str:
        return " ".join(word for label in labels for word in chance.sample(words[label], 6))

    known = [Example(text=text(label), label=label) for label in words for _ in range(20)]
    either = {text("delivery", "refund") for _ in range(3)}
    pool = read_unlabelled(texts(tmp_path, [*either, *(text("delivery") for _ in range(9))]), ())
    assert to_label(pool, known, TASK, 1, by_words)[0]["text"] in either


def test_texts_that_share_nothing_are_chosen_all_the_same(tmp_path: Path) -> None:
    """Signs, and one text alone, have no words in common."""
    for given in (["??", "!!"], ["a"], ["\N{GRINNING FACE}"]):
        pool = read_unlabelled(texts(tmp_path, given), ())
        assert len(to_label(pool, (), TASK, 9, by_words)) == len(given)


def test_at_first_some_are_drawn_by_chance_to_judge(tmp_path: Path) -> None:
    """They come before those that teach, in a file of their own, and share no text with it."""
    given = [f"{a} {b} {c}" for a in "abcdefg" for b in ("xx", "yy", "zz") for c in ("1st", "2nd")]
    to = Destination(tmp_path / "catalogue.yaml", "topic")
    found = suggest(to, texts(tmp_path, given), (), TASK, 5, by_words)
    judge, teach = (
        {json.loads(line)["text"] for line in path.read_text().splitlines()}
        for path in (to.to_judge, to.to_teach)
    )
    assert len(judge) == found.num_to_judge >= 10
    assert len(teach) == found.num_to_teach == 5
    assert not judge & teach
    assert "by chance" in advice(found)[0]
    assert all(text not in " ".join(advice(found)) for text in given)


def test_one_fitting_of_a_task_writes_into_a_folder_at_a_time(tmp_path: Path) -> None:
    """A second is told to wait; one of another task, or after the first, goes on."""
    to = Destination(tmp_path / "catalogue.yaml", "topic")
    with alone(to):
        with pytest.raises(FitError, match="under way"), alone(to):
            pass
        with alone(Destination(tmp_path / "catalogue.yaml", "urgency")):
            pass
    with alone(to):
        pass


def test_too_few_texts_to_judge_by_are_told(tmp_path: Path) -> None:
    """All of them are drawn, none is left to teach, and how many it takes is said."""
    to = Destination(tmp_path / "catalogue.yaml", "topic")
    found = suggest(to, texts(tmp_path, MONEY), (), TASK, 5, by_words)
    assert found.num_to_judge == len(MONEY)
    assert not to.to_teach.exists()
    assert "30 of them at least" in " ".join(advice(found))


def test_beside_labelled_rows_none_are_drawn_to_judge(tmp_path: Path) -> None:
    """Those that are labelled judge."""
    to = Destination(tmp_path / "catalogue.yaml", "topic")
    known = [Example(text="something else entirely", label="refund")]
    found = suggest(to, texts(tmp_path, MONEY), known, TASK, 2, by_words)
    assert found.to_judge is None
    assert not to.to_judge.exists()
    assert found.num_to_teach == 2
