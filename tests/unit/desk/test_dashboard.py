"""What the dashboard makes of books and readings: no zero that nobody read, no sum that is not."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallfirst.accounting.costs import FEWEST_ATTEMPTS, costs_of
from smallfirst.audit.reporting import AuditReport
from smallfirst.catalogue import Catalogue, EqualSingle, Promise
from smallfirst.jobs import Tier
from smallfirst.ledger.backlogs import Backlog
from smallfirst.ledger.books import Cell, Spent, book_of
from smallfirst.ledger.history import EVERY_MS, MAX_READINGS, Reading, StepReading, date_of_reading
from smallfirst.ledger.review import TaskLoad
from smallfirst.ledger.reviewer_counts import Decided
from smallfirst.ledger.stream_loads import StreamLoad
from smallfirst_desk.dashboard import words
from smallfirst_desk.dashboard.figures import Bar, bars_svg
from smallfirst_desk.dashboard.flow import (
    SERIES,
    UNSURE,
    Span,
    days_of,
    hours_of,
    spans_of,
    step_readings,
    stretches,
)
from smallfirst_desk.dashboard.looking import Look, PeopleTask, dates_until
from smallfirst_desk.dashboard.panels import Panel, Seen, panels_of
from smallfirst_desk.dashboard.strict_svg import shortened_path, strict_svg

NOW = datetime(2026, 11, 30, 14, 7, tzinfo=UTC)
NOW_MS = round(NOW.timestamp() * 1000)
LAST_MS = NOW_MS - NOW_MS % EVERY_MS
FIRST_MS = LAST_MS - (MAX_READINGS - 1) * EVERY_MS
MIDNIGHT_MS = round(NOW.replace(hour=0, minute=0).timestamp() * 1000)
NUM_SPANS = MAX_READINGS - 1
LLM, HUMAN = SERIES.index("llm"), SERIES.index("human")
CATALOGUE = Catalogue.model_validate(
    {
        "version": 1,
        "currency": "EUR",
        "pools": {"gpu": {"tier": "llm", "remote": True}},
        "models": {"big": {"tier": "llm", "source": "big", "endpoint": "http://127.0.0.1:1/v1"}},
        "tasks": {
            name: {
                "kind": "classify",
                "labels": {"a": "One.", "b": "Two."},
                "audit": {"share": 0.01},
                "cascade": [{"model": "big", "accept": 0.9}, {"person": {"wait": "1h"}}],
            }
            for name in ("topic", "tone")
        },
    }
)


def reading(llm: tuple[int, int], human: tuple[int, int], first: Tier = Tier.LLM) -> Reading:
    """What stands in the books: of each step what it accepted, and what it tried."""
    steps = ((first, llm), (Tier.HUMAN, human))
    return Reading(
        steps=tuple(
            StepReading(step=at, tier=tier, num_accepted=accepted, num_attempts=tried)
            for at, (tier, (accepted, tried)) in enumerate(steps)
        )
    )


def day_of(grown: Sequence[int]) -> dict[int, Reading]:
    """A day's readings, where so many answers stood in each span; books begin anew at midnight."""
    found, total = {FIRST_MS: reading((7, 7), (0, 0))}, 7
    for at, number in enumerate(grown):
        end_ms = FIRST_MS + (at + 1) * EVERY_MS
        total += number
        found[end_ms] = reading((total, total + 1), (0, 0))
        total = 0 if end_ms == MIDNIGHT_MS else total
    return found


numbers = st.lists(st.integers(0, 5000), min_size=NUM_SPANS, max_size=NUM_SPANS)


@given(numbers)
def test_what_was_read_is_told_span_by_span(grown: list[int]) -> None:
    """Sums become differences, over midnight too, and none is lost or told twice."""
    found = spans_of({"topic": day_of(grown)}, LAST_MS)
    assert [each.start_ms for each in found] == [*range(FIRST_MS, LAST_MS, EVERY_MS)]
    assert [each.counts and each.counts[LLM] for each in found] == grown
    hours = hours_of(found)
    assert sum(each.counts[LLM] for each in hours if each.counts) == sum(grown)
    assert sum(each.num_read for each in hours) == NUM_SPANS


@given(numbers, st.sets(st.integers(0, NUM_SPANS)))
def test_a_missing_reading_is_a_gap_on_both_sides(grown: list[int], missing: set[int]) -> None:
    """Never a zero; only at midnight it is known what stood in the books before."""
    readings = day_of(grown)
    for at in missing:
        del readings[FIRST_MS + at * EVERY_MS]
    found = spans_of({"topic": readings}, LAST_MS)
    for at, each in enumerate(found):
        is_unread = at + 1 in missing or (at in missing and each.start_ms != MIDNIGHT_MS)
        assert (each.counts is None) == is_unread
        assert each.counts is None or each.counts[LLM] == grown[at]
    assert sum(len(each) for each in stretches(found)) == sum(e.counts is not None for e in found)


@pytest.mark.parametrize(
    "after",
    [
        reading((9, 9), (0, 0), first=Tier.SLM),
        Reading(steps=reading((9, 9), (0, 0)).steps[:1]),
        reading((3, 9), (0, 0)),
        reading((9, 4), (0, 0)),
    ],
    ids=["another tier", "a step less", "fewer accepted", "fewer tried"],
)
def test_readings_that_do_not_fit_together_are_a_gap(after: Reading) -> None:
    """The cascade has changed, or the books were emptied."""
    readings = {LAST_MS - EVERY_MS: reading((5, 5), (0, 0)), LAST_MS: after}
    assert spans_of({"topic": readings}, LAST_MS)[-1].counts is None


def test_what_the_last_step_was_not_sure_of_has_no_sure_answer() -> None:
    """What an earlier step was not sure of has gone on, and is counted where it ends."""
    readings = {
        LAST_MS - EVERY_MS: reading((0, 0), (0, 0)),
        LAST_MS: reading((6, 10), (3, 4)),
    }
    last = spans_of({"topic": readings}, LAST_MS)[-1].counts
    assert last is not None
    assert (last[LLM], last[HUMAN], last[SERIES.index(UNSURE)], sum(last)) == (6, 3, 1, 10)


def test_a_task_that_was_not_read_is_said_to_be_missing() -> None:
    """The sum of the others stands; one that was read alone stands too."""
    found = spans_of({"topic": day_of([1] * NUM_SPANS), "tone": {}}, LAST_MS)
    assert {each.num_unread for each in found} == {1}
    assert sum(each.counts[LLM] for each in found if each.counts) == NUM_SPANS


def test_at_midnight_the_day_that_ends_is_read() -> None:
    """A moment later its books stand still; those of the new day are empty."""
    assert date_of_reading(MIDNIGHT_MS) == "2026-11-29"
    assert date_of_reading(MIDNIGHT_MS + EVERY_MS) == "2026-11-30"


def booked(task: str, step: int, outcome: str, number: int, cost: float = 0.0) -> Any:
    """One cell of a book."""
    return {Cell(task, step, outcome): Spent(number, 0.0, cost)}


def test_days_begin_with_the_first_on_which_anything_stood() -> None:
    """A step that the catalogue has no longer is told apart, and another's task is not told."""
    book = booked("topic", 0, "accepted", 5) | booked("topic", 0, "escalated", 3)
    book |= booked("topic", 1, "accepted", 2) | booked("topic", 1, "abstained", 1)
    book |= booked("topic", 7, "accepted", 4) | booked("tone", 0, "accepted", 9)
    books = {"2026-11-28": {}, "2026-11-29": book, "2026-11-30": {}}
    days = days_of(books, ["topic"], CATALOGUE)
    told = [dict(zip(SERIES, each.counts or (), strict=True)) for each in days]
    assert [sum(each.values()) for each in told] == [12, 0]
    assert {name: n for name, n in told[0].items() if n} == {
        "llm": 5, "human": 2, "gone": 4, "unsure": 1,
    }  # fmt: skip


def test_what_another_version_books_is_passed_over() -> None:
    """A name of another form, or a kind that is not known here."""
    told = {"topic:0:accepted:jobs": 3.0, "topic:0:accepted:moons": 9.0, "x": 1.0, "a:b:c:jobs": 1}
    assert book_of(told) == {Cell("topic", 0, "accepted"): Spent(3, 0.0, 0.0)}


def test_a_reading_has_every_step_of_the_cascade() -> None:
    """A step that was never asked stands in it with nothing."""
    assert step_readings("topic", booked("topic", 0, "failed", 2), CATALOGUE) == reading(
        (0, 2), (0, 0)
    )


@pytest.mark.parametrize(
    ("spent", "saved"), [(10.0, "0 %"), (2.5, "75 %"), (25.0, "\N{MINUS SIGN}150 %")]
)
def test_a_loss_is_told_like_a_saving(spent: float, saved: str) -> None:
    """Beside as many answers of the large model, at the mean of its own attempts."""
    by_llm = booked("topic", 0, "accepted", 40, 0.8) | booked("topic", 0, "escalated", 10, 1.2)
    book = by_llm | booked("topic", 1, "accepted", 210, spent - 2.0)
    [cost] = costs_of([book], ["topic", "tone"], CATALOGUE)
    assert cost.num_answers == 250
    assert cost.by(cost.llm) == pytest.approx(10.0)
    share = cost.share(cost.llm)
    assert share is not None
    assert words.percent(1 - share) == saved


@pytest.mark.parametrize(
    ("book", "why"),
    [
        (booked("topic", 0, "accepted", FEWEST_ATTEMPTS - 1, 1.0), "asked 29 times"),
        (booked("topic", 0, "accepted", FEWEST_ATTEMPTS, 0.0), "no price"),
        (booked("topic", 1, "accepted", 5), "asked 0 times"),
    ],
)
def test_where_the_large_model_s_cost_is_not_known_none_is_told(book: Any, why: str) -> None:
    """No number is made up."""
    [cost] = costs_of([book], ["topic"], CATALOGUE)
    assert (cost.by(cost.llm), cost.share(cost.llm)) == (None, None)
    assert why in cost.llm.why_not


@pytest.mark.parametrize(
    ("single", "mean", "why"),
    [
        (None, None, "has not told"),
        (EqualSingle(), None, "none is equal"),
        (EqualSingle(step=9), None, "none is equal"),
        (EqualSingle(step=0), 0.04, ""),
    ],
)
def test_the_equal_single_model_is_the_one_that_calibration_names(
    single: EqualSingle | None, mean: float | None, why: str
) -> None:
    """At the mean of its own attempts; without a promise, or an older one, none is named."""
    task = CATALOGUE.tasks["topic"]
    told: Any = {"equal_single": single}
    promise = Promise.model_construct(**told)
    known = CATALOGUE.model_copy(
        update={"tasks": {"topic": task.with_promise(promise, task.cascade)}}
    )
    book = booked("topic", 0, "accepted", 40, 2.0) | booked("topic", 0, "escalated", 60, 2.0)
    [cost] = costs_of([book], ["topic"], known)
    assert cost.single.mean == (mean and pytest.approx(mean))
    assert why in cost.single.why_not


@given(st.lists(st.tuples(st.floats(-900, 900), st.floats(-900, 900)), min_size=2, max_size=400))
def test_a_path_by_steps_ends_where_it_should(corners: list[tuple[float, float]]) -> None:
    """Each corner is within a twentieth of its place, however many came before."""
    path = "M" + " L ".join(f"{x:f} {y:f}" for x, y in corners) + " z"
    at = (0.0, 0.0)
    found = []
    for verb, given_ in re.findall(r"([Mlhv])([-\d. ]+)", shortened_path(path)):
        steps = [float(each) for each in given_.split()]
        right, down = {"h": (steps[0], 0.0), "v": (0.0, steps[0])}.get(verb, tuple(steps))
        at = (right, down) if verb == "M" else (at[0] + right, at[1] + down)
        found.append(at)
    assert found[-1] == pytest.approx(corners[-1], abs=0.0501)
    assert len(found) <= len(corners)


def test_a_figure_has_no_style_and_keeps_its_words() -> None:
    """Numbers and quotes in names stay what they are; what is referred to is there."""
    name = '0.123456 <b> "quoted" style="x: y"'
    svg = str(bars_svg((Bar(name[:20], 3.0, name),), "x", name, None))
    root = ET.fromstring(svg)  # noqa: S314 - ours
    assert "style" not in {key for element in root.iter() for key in element.attrib}
    assert name in {element.text for element in root.iter()}
    assert root.get("aria-label") == name
    ids = {element.get("id") for element in root.iter()}
    wanted = {found for each in root.iter() for v in each.attrib.values()
              for found in re.findall(r"^#(.+)|url\(#([^)]+)", v)}  # fmt: skip
    assert {a or b for a, b in wanted} <= ids
    assert strict_svg(svg) == svg


REPORT = AuditReport(
    series="0" * 16,
    at_ms=NOW_MS,
    num_accepted=1000,
    num_checks=80,
    num_waiting=0,
    num_drawn=80,
    num_dropped=0,
    rate=0.03,
    lower=0.025,
    upper=0.041,
    target=0.02,
    is_broken=True,
)


def look_at(**more: Any) -> Look:
    """A fleet of two tasks, each with a number of its own by which it is known."""
    books: dict[str, Any] = {date: {} for date in dates_until(NOW_MS, 28)}
    books["2026-11-30"] = booked("topic", 0, "accepted", 1111, 1.0)
    books["2026-11-30"] |= booked("tone", 0, "accepted", 2222, 2.0)
    hour = NOW.replace(minute=0)
    told = {
        "history": {"topic": day_of([1] * NUM_SPANS), "tone": day_of([3333] * NUM_SPANS)},
        "books": books,
        "backlogs": {"gpu": Backlog(StreamLoad(4444, oldest_seconds=5.0), 2)},
        "people": {
            "topic": PeopleTask(TaskLoad(NOW_MS, 12, oldest_ms=NOW_MS - 60_000), 3),
            "tone": PeopleTask(TaskLoad(NOW_MS, 5555, oldest_ms=NOW_MS), 0),
        },
        "decisions": {
            Decided("topic", "r-me", hour): 21,
            Decided("@blind.topic", "r-me", hour - timedelta(hours=2)): 2,
            Decided("topic", "r-other", hour): 6666,
            Decided("tone", "r-me", hour): 7777,
        },
        "reports": {"topic": REPORT, "tone": REPORT.model_copy(update={"num_checks": 8888})},
        **more,
    }
    return Look(now_ms=NOW_MS, last_ms=LAST_MS, **told)


def panels(look: Look, *tasks: str, person: str | None = None) -> dict[str, Panel]:
    """What somebody sees."""
    seen = Seen(look, CATALOGUE, tasks, sees_pools=len(tasks) > 1, person=person)
    return {panel.name: panel for panel in panels_of(seen)}


def test_a_reviewer_sees_nothing_of_another_s_task() -> None:
    """Neither its name nor a count of it, nor what pools hold of all tasks, nor who decides."""
    mine = panels(look_at(), "topic", person="r-me")
    shown = " ".join(str(vars(panel)) for panel in mine.values())
    for secret in (
        "tone",
        "2,222",
        "3,333",
        "4,444",
        "5,555",
        "r-other",
        "6,666",
        "7,777",
        "8,888",
    ):
        assert secret not in shown, secret
    assert mine["reviewers"].rows == (("r-me", "21", "23", "2"),)
    assert "1,111" in str(mine["days"].rows)


def test_a_lead_sees_everybody_s_decisions_on_the_tasks_that_are_the_lead_s() -> None:
    """Who decided most stands first; and who may see every task sees what pools hold."""
    both = panels(look_at(), "topic", "tone")
    assert [row[0] for row in both["reviewers"].rows] == ["r-me", "r-other"]
    assert ("pool: gpu", "4,444", "5 s", "0", words.NONE, "2") in both["waiting"].rows


def test_what_may_not_be_read_is_said_to_be_unknown() -> None:
    """A server's older rules: no figure, no zero, and what is known is shown."""
    hidden = look_at(history=None, books=None, decisions=None, backlogs=None)
    shown = panels(hidden, "topic", "tone")
    for name in ("flow", "days", "costs", "reviewers"):
        assert shown[name].empty.startswith("Not known")
        assert shown[name].svg is None
    assert "Of pools nothing is known" in shown["waiting"].note
    assert len(shown["waiting"].rows) == 2


def test_a_fleet_that_has_just_begun_has_a_page() -> None:
    """Nothing was read, booked, answered or asked: it is said so, and no zero is drawn."""
    new = look_at(history={}, books={}, decisions={}, people={}, reports={}, backlogs={})
    shown = panels(new, "topic")
    assert {name for name, panel in shown.items() if panel.empty} == {
        "waiting", "flow", "days", "costs", "reviewers",
    }  # fmt: skip
    assert shown["errors"].rows == (("topic", *["not known"] * 3, "0", ""),)


def test_the_error_stands_beside_the_promise() -> None:
    """With its interval, and what came of it."""
    row = panels(look_at(), "topic")["errors"].rows[0]
    assert row == ("topic", "2 %", "3 %", "2.5 % to 4.1 %", "80", "broken")


def test_a_page_of_many_tasks_says_what_is_left_out() -> None:
    """It stays as small; a task of its own is asked for by name."""
    task = CATALOGUE.tasks["topic"]
    many = CATALOGUE.model_copy(update={"tasks": {f"task-{n}": task for n in range(300)}})
    book: dict[Cell, Spent] = {}
    for name in many.tasks:
        book |= booked(name, 0, "accepted", 40, 1.0)
    look = look_at(books={"2026-11-30": book}, history={})
    found = panels_of(Seen(look, many, tuple(many.tasks), sees_pools=True, person=None))
    costs = next(panel for panel in found if panel.name == "costs")
    assert len(costs.rows) == 20
    assert "280 more rows are left out" in costs.note
    assert sum(len(str(vars(panel))) for panel in found) < 60_000


def test_spans_with_a_gap_are_drawn_as_stretches() -> None:
    """A gap parts what stands on its sides."""
    spans = [Span(0, (1,)), Span(1, None), Span(2, (2,)), Span(3, (3,))]
    assert [[each.start_ms for each in one] for one in stretches(spans)] == [[0], [2, 3]]
