"""Laws of what was measured: it is kept through kills, and told back as it was said."""

from pathlib import Path

from smallfirst.evaluation.scores import Said
from smallfirst.fitting.measured import Measurements, Told

LOT = (
    Told(Said(0.75, is_right=True, said="a", distribution={"a": 0.75, "b": 0.25}, cost=1e-6), "r1"),
    Told(Said(0.0, is_right=False, parts=frozenset({("a", None)}), problem="too long"), ""),
)


def test_what_was_said_is_told_back(tmp_path: Path) -> None:
    """A lot comes back from the file as it was, and another key is unknown."""
    Measurements(tmp_path / "fitted" / "topic.jsonl").keep("one", LOT)
    again = Measurements(tmp_path / "fitted" / "topic.jsonl")
    assert again.get("one") == LOT
    assert again.get("two") is None


def test_a_line_that_a_kill_cut_off_spoils_no_other(tmp_path: Path) -> None:
    """What stands before it is known, what is written after it is kept, and it is asked again."""
    path = tmp_path / "topic.jsonl"
    Measurements(path).keep("one", LOT)
    whole = path.read_bytes()
    Measurements(path).keep("cut", LOT)
    path.write_bytes(path.read_bytes()[: len(whole) + 40])
    Measurements(path).keep("two", LOT)
    again = Measurements(path)
    assert (again.get("one"), again.get("cut"), again.get("two")) == (LOT, None, LOT)
