"""The benchmark of sinking, small: the same distilling, fitting and gate, in seconds."""

import random
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from smallfirst.catalogue import Example
from smallfirst.gate.verdict import Margin

WORDS = {
    "delivery": ("parcel", "courier", "package", "shipping", "postman", "driver"),
    "refund": ("money", "refund", "charged", "invoice", "payment", "card"),
}
FILLING = ("please", "today", "still", "my", "the", "when", "again", "order", "was", "not")


def rows_of(count: int) -> list[Example]:
    """Short texts of two labels, each known by some of its words."""
    chance = random.Random(5)
    return [
        Example(
            text=" ".join([*chance.sample(WORDS[label], 2), *chance.sample(FILLING, 4)]),
            label=label,
        )
        for label in chance.choices(sorted(WORDS), k=count)
    ]


def test_work_sinks_and_the_promise_is_kept() -> None:
    """Fewer jobs ask the large model once a candidate is in, and no round breaks its promise."""
    sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
    sinking: Any = import_module("sinking")
    streams: Any = import_module("simulated_stream")
    stream = streams.stream_of(rows_of(700), ends=(300, 600, 1_000), test=200)
    rounds = list(streams.Sinking(stream, Margin(0.02, 0.95)).rounds())
    assert [each.jobs for each in rounds] == [300, 300, 400]
    assert rounds[0].large_calls == 300
    assert rounds[-1].large_calls < 100
    assert rounds[-1].cost < rounds[0].cost / 3
    assert any(each.outcome.startswith("promoted") for each in rounds)
    for each in rounds:
        assert each.target is None or each.wrong <= each.target * each.answered
    assert len(list(sinking.table(rounds))) == 5
    summed = import_module("sinking_reseeded").Lived.of(rounds)
    assert summed.promised == sum(each.answered for each in rounds if each.target is not None) > 0
    assert summed.fewer > 0.9
    summed_cost = sum(each.cost for each in rounds)
    assert summed.cheaper == pytest.approx(1 - summed_cost / (1_000 * 2e-3))
