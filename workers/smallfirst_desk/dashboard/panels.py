"""Panels: each figure of the dashboard with its table, from what one person may see. Pure.

A table says all that the figure beside it does, for who does not see that.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final

from markupsafe import Markup

from smallfirst.accounting.costs import Cost, Rival, costs_of
from smallfirst.audit.reporting import AuditReport
from smallfirst.catalogue import Catalogue
from smallfirst.ledger.reviewer_counts import Decided
from smallfirst.people import task_of_checks
from smallfirst_desk.dashboard import words
from smallfirst_desk.dashboard.figures import (
    Bar,
    Mark,
    bars_svg,
    days_svg,
    errors_svg,
    flow_svg,
    hours_svg,
    series_name,
)
from smallfirst_desk.dashboard.flow import SERIES, Span, days_of, hours_of, spans_of
from smallfirst_desk.dashboard.looking import Look, PeopleTask
from smallfirst_desk.pages import span_in_words

#: The most rows of a figure, and of a table; a page stays small, however many tasks there are.
MAX_BARS: Final = 12
MAX_ROWS: Final = 20
#: Of so many days, today among them, costs are told.
COST_DAYS: Final = 7
_NOT_ALLOWED: Final = (
    "Not known: Redis does not let this desk read it. Whoever keeps the fleet can make Redis's"
    " access control file anew."
)


@dataclass(frozen=True)
class Panel:
    """A figure and what belongs to it.

    Attributes:
        name: Unique in the page.
        title: What it shows.
        note: What it means.
        svg: Drawn; None where there is nothing to draw.
        head: The table's columns.
        rows: The table's.
        empty: What is said in place of both.
    """

    name: str
    title: str
    note: str
    svg: Markup | None = None
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    empty: str = ""


@dataclass(frozen=True)
class Seen:
    """What one person may see of a look.

    Attributes:
        look: At the whole fleet.
        catalogue: Of the fleet.
        tasks: Whose figures the person may see, or has chosen among them.
        sees_pools: Whether the person may see every task, and so what pools hold together.
        person: The pseudonym, where the person sees only his own decisions; None for everybody's.
    """

    look: Look
    catalogue: Catalogue
    tasks: tuple[str, ...]
    sees_pools: bool
    person: str | None


def panels_of(seen: Seen) -> list[Panel]:
    """Every panel, the most urgent first."""
    drawn = (_waiting, _flow, _days, _errors, _costs, _reviewers)
    return [panel for draw in drawn if (panel := draw(seen)) is not None]


def _flow(seen: Seen) -> Panel:
    panel = Panel(
        "flow",
        "The last 24 hours",
        "Answers that stood, by the tier that gave them, in each ten minutes (UTC). Where nothing"
        " is drawn on grey ground, no desk was there to read the books, or the cascade changed:"
        " it is not known when those came, and the days below have them.",
    )
    history = seen.look.history
    if history is None:
        return _empty(panel, _NOT_ALLOWED)
    spans = spans_of({task: history.get(task, {}) for task in seen.tasks}, seen.look.last_ms)
    if all(each.counts is None for each in spans):
        return _empty(panel, "Nothing was read yet; ten minutes are shown once they are over.")
    used = _used(spans)
    rows = [
        (
            words.hour(each.start_ms),
            *_cells(each.counts, used),
            f"{each.num_read} of {each.num_spans}",
        )
        for each in reversed(hours_of(spans))
    ]
    head = ("hour", *(series_name(SERIES[place]) for place in used), "read")
    partly = sum(1 for each in spans if each.num_unread)
    more = f" In {partly} of them, some task was not read and is not counted." if partly else ""
    return _with(panel, flow_svg(tuple(spans)), head, rows, more)


def _days(seen: Seen) -> Panel:
    panel = Panel(
        "days",
        "The last four weeks",
        "The same on each day (UTC), from the books that every settled job is in; the last day is"
        " not over. No sure answer: the last step was not sure, failed, or nobody answered in time."
        " A step is told by the tier that it has today.",
    )
    if seen.look.books is None:
        return _empty(panel, _NOT_ALLOWED)
    days = days_of(seen.look.books, seen.tasks, seen.catalogue)
    if not days:
        return _empty(panel, "Nothing is booked in these four weeks.")
    used = _used(days)
    rows = [(words.day(each.start_ms), *_cells(each.counts, used)) for each in reversed(days)]
    head = ("day", *(series_name(SERIES[place]) for place in used))
    return _with(panel, days_svg(tuple(days)), head, rows)


def _waiting(seen: Seen) -> Panel:
    panel = Panel(
        "waiting",
        "What waits",
        "Jobs that wait or are in hand, and how long the oldest has been there: for people by task,"
        " for models by pool. Ends within 1 h: jobs whose wait for a person is over by then.",
    )
    rows = [*_waiting_for_people(seen), *_waiting_in_pools(seen)]
    is_allowed = seen.look.backlogs is not None or not seen.sees_pools
    if not rows and not is_allowed:
        return _empty(panel, _NOT_ALLOWED)
    if not rows:
        nothing = (
            "None of these tasks asks a person; what pools hold is shown to who sees all tasks."
        )
        return _empty(panel, nothing)
    bars = tuple(
        Bar(name, float(number), f"{words.count(number)}, oldest {oldest}" if number else "0")
        for name, number, oldest, *_ in rows[:MAX_BARS]
    )
    head = ("for", "jobs", "oldest", "in hand", "ends within 1 h", "workers")
    table = [(name, words.count(number), *rest) for name, number, *rest in rows]
    more = "" if is_allowed else " Of pools nothing is known: Redis does not let this desk count."
    return _with(panel, bars_svg(bars, "waiting", "Jobs that wait", None), head, table, more)


def _waiting_for_people(seen: Seen) -> Iterable[tuple[str, int, str, str, str, str]]:
    for task in seen.tasks:
        people = seen.look.people.get(task)
        if people is not None:
            load = people.load
            age = None if load.oldest_ms is None else load.now_ms - load.oldest_ms
            held, ending = words.count(load.num_held), _ending(people)
            yield (
                f"people: {task}",
                load.num_jobs,
                span_in_words(age) or words.NONE,
                held,
                ending,
                words.NONE,
            )


def _ending(people: PeopleTask) -> str:
    return words.NOT_KNOWN if people.num_ending is None else words.count(people.num_ending)


def _waiting_in_pools(seen: Seen) -> Iterable[tuple[str, int, str, str, str, str]]:
    for pool, backlog in (seen.look.backlogs or {}).items() if seen.sees_pools else ():
        load = backlog.load
        age = None if load.oldest_seconds is None else round(load.oldest_seconds * 1000)
        held, workers = words.count(load.pending), words.count(backlog.num_workers)
        yield (
            f"pool: {pool}",
            load.num_jobs,
            span_in_words(age) or words.NONE,
            held,
            words.NONE,
            workers,
        )


def _errors(seen: Seen) -> Panel | None:
    panel = Panel(
        "errors",
        "Errors, and what was promised",
        "Of each audited task the share of accepted answers that is wrong, as blind checks tell it"
        " so far: the estimate, its interval, and as an upright line what is promised at most.",
    )
    tasks = [name for name in seen.tasks if seen.catalogue.tasks[name].audit is not None]
    if not tasks:
        return _empty(panel, "Not known: none of these tasks has an audit.")
    reports = {name: seen.look.reports.get(name) for name in tasks}
    marks = tuple(
        Mark(name, report.rate, report.lower or 0.0, report.upper or 0.0, report.target)
        for name, report in reports.items()
        if report is not None and report.rate is not None
    )
    rows = [_error_row(name, report) for name, report in reports.items()]
    head = ("task", "promised at most", "estimate", "interval", "checks", "")
    return _with(panel, errors_svg(marks[:MAX_BARS]) if marks else None, head, rows)


def _error_row(name: str, report: AuditReport | None) -> tuple[str, ...]:
    if report is None:
        return (name, words.NOT_KNOWN, words.NOT_KNOWN, words.NOT_KNOWN, "0", "")
    promised = words.percent(report.target) if report.target is not None else "nothing"
    checks, state = words.count(report.num_checks), "broken" if report.is_broken else ""
    if report.rate is None:
        return (name, promised, words.NOT_KNOWN, words.NOT_KNOWN, checks, state)
    interval = f"{words.percent(report.lower)} to {words.percent(report.upper)}"
    return (name, promised, words.percent(report.rate), interval, checks, state)


def _costs(seen: Seen) -> Panel:
    panel = Panel(
        "costs",
        "What it cost, and what a large model would have",
        f"Of the last {COST_DAYS} days: what all attempts cost, as a share of what as many answers"
        " of the large model would have cost, at the mean of its own attempts on the task. It is"
        " asked the harder texts, and people's time has no price here. Beside it stands the"
        " cheapest single model that calibration found to be as good, where it found one.",
    )
    if seen.look.books is None:
        return _empty(panel, _NOT_ALLOWED)
    days = list(seen.look.books.values())[-COST_DAYS:]
    costs = costs_of(days, seen.tasks, seen.catalogue)
    if not costs:
        return _empty(panel, f"Nothing is booked in the last {COST_DAYS} days.")
    currency = seen.catalogue.currency
    bars = tuple(
        Bar(each.task, share, f"{words.percent(share)} of all-LLM")
        for each in costs
        if (share := each.share(each.llm)) is not None
    )[:MAX_BARS]
    head = ("task", "answers", "spent", "all by the LLM", "saved", "equal single model", "saved")
    rows = [_cost_row(each, currency) for each in costs]
    title = "Cost as a share of all answers by the large model"
    return _with(panel, bars_svg(bars, "costs", title, 1.0) if bars else None, head, rows)


def _cost_row(cost: Cost, currency: str) -> tuple[str, ...]:
    told = (cost.task, words.count(cost.num_answers), words.money(cost.spent, currency))
    named = f"{cost.single.name}: " if cost.single.mean is not None else ""
    by_llm = _rival_cells(cost, cost.llm, currency)
    whole, saved = _rival_cells(cost, cost.single, currency)
    return (*told, *by_llm, f"{named}{whole}", saved)


def _rival_cells(cost: Cost, rival: Rival, currency: str) -> tuple[str, str]:
    """What a rival would have cost, and what was saved: a loss has a minus sign."""
    whole, share = cost.by(rival), cost.share(rival)
    if whole is None or share is None:
        return f"{words.NOT_KNOWN}: {rival.why_not or 'nothing was answered'}", words.NOT_KNOWN
    return words.money(whole, currency), words.percent(1 - share)


def _reviewers(seen: Seen) -> Panel:
    whose = "Your decisions" if seen.person is not None else "Decisions"
    panel = Panel(
        "reviewers",
        "Your load" if seen.person is not None else "Reviewers' load",
        f"{whose} in each hour (UTC) of the last 24, blind ones too; one that was taken back does"
        " not count.",
    )
    if seen.look.decisions is None:
        return _empty(panel, _NOT_ALLOWED)
    decided = _decided(seen)
    hours = _last_hours(seen.look.now_ms)
    counts = tuple(
        (round(at.timestamp() * 1000), sum(n for who, n in decided.items() if who.hour == at))
        for at in hours
    )
    if not any(number for _, number in counts):
        nobody = "Nobody decided on anything" if seen.person is None else "You decided on nothing"
        return _empty(panel, f"{nobody} in the last 24 hours.")
    people = _people(decided, hours)
    head = ("person", "this hour", "24 hours", "of them blind")
    return _with(panel, hours_svg(counts, "reviewers"), head, people)


def _decided(seen: Seen) -> dict[Decided, int]:
    """The decisions that the person may see."""
    found = (seen.look.decisions or {}).items()
    return {
        who: number
        for who, number in found
        if (task_of_checks(who.task) or who.task) in seen.tasks
        and seen.person in {None, who.person}
    }


def _last_hours(now_ms: int) -> list[datetime]:
    this = datetime.fromtimestamp(now_ms / 1000, UTC).replace(minute=0, second=0, microsecond=0)
    return [this - timedelta(hours=ago) for ago in reversed(range(24))]


def _people(
    decided: Mapping[Decided, int], hours: Sequence[datetime]
) -> list[tuple[str, str, str, str]]:
    """One row a person, who decided most first."""
    wanted = set(hours)

    def total(person: str, is_counted: Callable[[Decided], bool]) -> int:
        rows = ((who, n) for who, n in decided.items() if who.person == person)
        return sum(n for who, n in rows if who.hour in wanted and is_counted(who))

    people = {who.person: total(who.person, lambda _: True) for who in decided}
    return [
        (
            person,
            words.count(total(person, lambda who: who.hour == hours[-1])),
            words.count(number),
            words.count(total(person, lambda who: task_of_checks(who.task) is not None)),
        )
        for person, number in sorted(people.items(), key=lambda pair: (-pair[1], pair[0]))
        if number
    ]


def _used(spans: Iterable[Span]) -> list[int]:
    known = [each.counts for each in spans if each.counts is not None]
    return [place for place in range(len(SERIES)) if any(counts[place] for counts in known)]


def _cells(counts: Sequence[int] | None, used: Sequence[int]) -> list[str]:
    if counts is None:
        return [words.NOT_KNOWN] * len(used)
    return [words.count(counts[place]) for place in used]


def _empty(panel: Panel, said: str) -> Panel:
    return Panel(panel.name, panel.title, panel.note, empty=said)


def _with(
    panel: Panel,
    svg: Markup | None,
    head: tuple[str, ...],
    rows: Sequence[tuple[str, ...]],
    more: str = "",
) -> Panel:
    """Put a panel together; a table that is too long says so."""
    longest = MAX_ROWS if panel.name not in {"flow", "days"} else 31
    left = len(rows) - longest
    note = (
        panel.note + more + (f" {left} more rows are left out: choose a task." if left > 0 else "")
    )
    return Panel(panel.name, panel.title, note, svg, head, tuple(islice(rows, longest)))
