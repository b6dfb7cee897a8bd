"""What the books come to: jobs, coverage, what escalating was worth, losses told as losses."""

from typing import Any

import pytest

from smallfirst.accounting.as_json import as_json
from smallfirst.accounting.figures import Figures, TaskFigures, figures_of
from smallfirst.accounting.page import report_page
from smallfirst.accounting.words import (
    balance_words,
    energy_words,
    escalation_words,
    how_to_measure,
)
from smallfirst.catalogue import Catalogue, Kind
from smallfirst.catalogue.promises import EqualSingle, Promise, WordsOutside
from smallfirst.ledger.books import Cell, DayBook, Spent, Use, book_of, field_of_use, pools_of

CATALOGUE = Catalogue.model_validate(
    {
        "version": 1,
        "currency": "EUR",
        "pools": {"gpu": {"tier": "llm", "remote": True}, "cpu": {"tier": "slm",
                  "max_parameters": "50M"}},
        "models": {
            "words": {"tier": "linear", "source": "bundled:words"},
            "minilm": {"source": "bundled:minilm"},
            "big": {"tier": "llm", "source": "big", "endpoint": "http://127.0.0.1:1/v1"},
        },
        "tasks": {
            "topic": {
                "kind": "classify",
                "labels": {"a": "One.", "b": "Two."},
                "examples": [{"text": f"{label} {n}", "label": label}
                             for label in "ab" for n in range(4)],
                "cascade": [{"model": "words", "accept": 0.9}, {"model": "minilm", "accept": 0.9},
                            {"model": "big", "accept": 0.5}],
            }
        },
    }
)  # fmt: skip


def with_equal(step: int) -> Catalogue:
    """The catalogue, calibrated: a step alone is as good as the cascade."""
    told: Any = {"equal_single": EqualSingle(step=step)}
    task = CATALOGUE.tasks["topic"]
    tasks = {"topic": task.with_promise(Promise.model_construct(**told), task.cascade)}
    return CATALOGUE.model_copy(update={"tasks": tasks})


def cell(step: int, outcome: str, number: int, cost: float, **more: Any) -> dict[Cell, Spent]:
    """Attempts of one outcome, a second each."""
    spent = Spent(num_attempts=number, seconds=float(number), cost=cost, **more)
    return {Cell("topic", step, outcome): spent}


#: 100 jobs; the two small steps answer 10 between them, and cost more than the large model would.
LOSING = (
    cell(0, "accepted", 4, 0.04)
    | cell(0, "escalated", 96, 0.96)
    | cell(1, "accepted", 6, 0.6)
    | cell(1, "escalated", 90, 9.0)
    | cell(2, "accepted", 81, 4.05, num_compared=81, num_changed=27, num_judged=9, num_better=2,
           num_worse=1)
    | cell(2, "abstained", 9, 0.45)
    | cell(1, "fenced", 3, 0.3)
)  # fmt: skip


def figures(catalogue: Catalogue = CATALOGUE, **pools: Any) -> Figures:
    """What one day comes to."""
    return figures_of({"2026-11-30": DayBook(LOSING, pools)}, catalogue)


def only_task(found: Figures) -> TaskFigures:
    """The one there is."""
    [task] = found.tasks
    return task


def test_jobs_are_counted_once_wherever_they_ended() -> None:
    """What an earlier step was not sure of goes on; what nobody got counts as no job."""
    task = only_task(figures())
    assert (task.num_jobs, task.num_answers) == (100, 91)
    assert [step.coverage for step in task.steps] == [0.04, 0.06, 0.81]
    assert [step.num_in_vain for step in task.steps] == [0, 3, 0]
    assert task.spent.cost == pytest.approx(15.4)
    assert task.cost_per_thousand == pytest.approx(154.0)


@pytest.mark.parametrize(("step", "saved"), [(0, -14.4), (1, -5.4), (2, -10.4)])
def test_a_cascade_that_loses_money_is_said_to(step: int, saved: float) -> None:
    """Against the large model and the cheapest equal, be it linear: in words, JSON and HTML."""
    found = figures(with_equal(step))
    task = only_task(found)
    assert task.llm.saved == pytest.approx(5.0 - 15.4)
    assert task.single.saved == pytest.approx(saved)
    told = as_json(found)["tasks"]["topic"]["saving"]
    assert told["all_llm"]["saved"] == pytest.approx(-10.4)
    assert told["cheapest_equal_step"]["saved"] == pytest.approx(saved)
    assert "LOSS of EUR 10.40 (-208.0 %)" in told["all_llm"]["in_words"]
    page = report_page(found).replace("\N{NO-BREAK SPACE}", " ")
    assert page.count("LOSS of EUR") == 2
    assert f"LOSS of EUR {-saved:.2f}" in page
    assert '<dd class="loss">-208.0 %</dd>' in page


def with_words(*, is_cheapest: bool, price: float = 3.6) -> Catalogue:
    """The catalogue, calibrated where a linear model that no step asks was compared."""
    words = WordsOutside(
        num_rows=99,
        share_right=0.9,
        share_right_of_cascade=0.9,
        seconds=0.01,
        is_cheapest=is_cheapest,
    )
    told: Any = {"equal_single": EqualSingle(step=2, words=words)}
    task = CATALOGUE.tasks["topic"]
    found = task.with_promise(Promise.model_construct(**told), task.cascade[1:])
    pools = {
        name: pool.model_copy(update={"price_per_hour": 0.0})
        for name, pool in CATALOGUE.pools.items()
    }
    router = CATALOGUE.router.model_copy(update={"price_per_hour": price})
    return CATALOGUE.model_copy(
        update={"tasks": {"topic": found}, "router": router, "pools": pools}
    )


def test_the_strongest_rival_may_be_a_linear_model_that_no_step_asks() -> None:
    """At its measured seconds and the price of a router's hour; without a price nothing is told."""
    task = only_task(figures(with_words(is_cheapest=True)))
    assert task.single.by_rival == pytest.approx(task.num_jobs * 0.01 * 3.6 / 3600)
    assert task.single.rival.name == "a linear model that no step asks"
    assert not list(how_to_measure(task))
    unpriced = only_task(figures(with_words(is_cheapest=True, price=0.0)))
    assert unpriced.single.by_rival is None
    assert "neither routers nor pools a price" in unpriced.single.rival.why_not
    other = only_task(figures(with_words(is_cheapest=False)))
    assert other.single.rival.name != "a linear model that no step asks"


def test_a_kind_without_a_linear_model_is_not_told_to_compare_one() -> None:
    """Nobody could; a task that could and did not is told how."""
    task = CATALOGUE.tasks["topic"]
    told = []
    for kind in (Kind.CLASSIFY, Kind.TAG):
        found = task.model_copy(update={"kind": kind, "cascade": task.cascade[1:]})
        tasks = {"topic": found}
        only = only_task(figures(CATALOGUE.model_copy(update={"tasks": tasks})))
        told.append([line for line in how_to_measure(only) if "no linear model" in line])
    assert [len(each) for each in told] == [1, 0]
    gone = only_task(figures(CATALOGUE.model_copy(update={"tasks": {}})))
    assert not list(how_to_measure(gone))


def test_what_was_not_measured_is_not_made_up() -> None:
    """Nobody has said which single step is as good: the report says how to find out."""
    told = as_json(figures())["tasks"]["topic"]["saving"]
    assert told["cheapest_equal_step"]["saved"] is None
    assert told["cheapest_equal_step"]["in_words"].startswith("not measured: ")
    assert "smallfirst calibrate topic" in told["to_measure"][0]
    assert "not measured" in report_page(figures())


def test_what_escalating_was_worth_is_told_with_what_labels_say() -> None:
    """How often it changed the answer, at what price, and how often for the better."""
    last = only_task(figures()).steps[2]
    said = escalation_words(last, "EUR")
    assert said.startswith("changed 33.3 % of 81 answers, at EUR 0.15 each")
    assert said.endswith("of 9 that a person answered too, 2 for the better and 1 for the worse")
    assert escalation_words(only_task(figures()).steps[0], "EUR") == ""


@pytest.mark.parametrize(("asked", "words"), [(289.5, "balance"), (250.0, "differ by 15.6 %")])
def test_books_that_do_not_balance_are_said_to(asked: float, words: str) -> None:
    """What jobs are charged is held against what the workers say that they spent on jobs."""
    found = figures(cpu={"asked": Use(seconds=asked), "idle": Use(seconds=9.0, cost=1.0)})
    assert words in balance_words(found)
    assert found.not_charged.cost == 1.0


def test_of_one_task_alone_no_pool_is_told() -> None:
    """Nobody can say which task let a worker idle, and sums of one would not balance."""
    book = DayBook(LOSING, {"cpu": {"idle": Use(seconds=9.0, cost=1.0)}})
    found = figures_of({"2026-11-30": book}, CATALOGUE, "topic")
    assert (found.pools, found.not_charged.cost) == ((), 0.0)
    assert "EUR 15.40 was charged to jobs" in report_page(found)
    assert figures_of({"2026-11-30": book}, CATALOGUE, "other").tasks == ()


def test_energy_is_null_where_nothing_measured_it() -> None:
    """An estimate stands beside it only where it is asked for, and is called one."""
    assert as_json(figures())["energy"]["joules"] is None
    assert as_json(figures())["energy"]["estimated_joules"] is None
    assert "not measured" in energy_words(figures(), None)
    assert as_json(figures(), 10.0)["energy"]["estimated_joules"] == pytest.approx(2890.0)
    assert "Estimated at 10 W a worker: 2,890.0 J" in energy_words(figures(), 10.0)


def test_hostile_names_stay_words() -> None:
    """A task of books that another catalogue filled may be called anything."""
    name = "<script>alert(1)</script>"
    book = DayBook({Cell(name, 0, "accepted"): Spent(num_attempts=1)})
    page = report_page(figures_of({"2026-11-30": book}, CATALOGUE))
    assert name not in page
    assert "&lt;script&gt;" in page
    assert figures_of({}, CATALOGUE).tasks == ()


def test_uses_of_time_are_no_attempts_and_attempts_no_uses() -> None:
    """A pool may be called anything that a name may be, such as the number of a step."""
    booked = {
        field_of_use("1", "idle", "seconds"): 5.0,
        field_of_use("@router", "asked", "cost"): 0.5,
        "@x::nothing:seconds": 1.0,
        "topic:1:accepted:jobs": 2.0,
    }
    assert pools_of(booked) == {
        "1": {"idle": Use(seconds=5.0)},
        "@router": {"asked": Use(cost=0.5)},
    }
    assert book_of(booked) == {Cell("topic", 1, "accepted"): Spent(num_attempts=2)}
