"""The desk: what people may do with the jobs that wait for them, in every slice of a fleet.

It knows no HTTP. Whoever asks is a user; what a user may not see is not there for them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from operator import add
from threading import Lock
from typing import Final

import structlog
from redis.exceptions import RedisError

from smallfirst.agreement.measuring import Agreement, agreement_of
from smallfirst.audit.reporting import AuditReport, read_reports
from smallfirst.catalogue import Catalogue, Task
from smallfirst.catalogue.watching import CatalogueWatch
from smallfirst.jobs import Priority
from smallfirst.ledger.alarms import Alarms
from smallfirst.ledger.audits import Audits
from smallfirst.ledger.bounds import Bounds
from smallfirst.ledger.decisions import Decision
from smallfirst.ledger.held_jobs import HeldJob
from smallfirst.ledger.review import Leased, Place, Refusal, Review, TaskLoad
from smallfirst.ledger.reviewer_counts import count_decision
from smallfirst.ledger.shadows import Shadows
from smallfirst.ledger.slices import Slice
from smallfirst.people import checks_of, task_of_checks
from smallfirst_desk.errors import NotAllowed
from smallfirst_desk.row_texts import RowTexts
from smallfirst_desk.users import Role, User

log = structlog.get_logger()

#: How a page's address names a job: its slice, its priority, its entry. No word of the job.
_PLACE = re.compile(
    rf"(?P<slice>\d)-(?P<priority>{'|'.join(Priority)})-(?P<entry>\d{{1,19}}-\d{{1,19}})"
)
#: The most jobs that a list shows.
LISTED: Final = 50


@dataclass(frozen=True)
class Waits:
    """How long a lease holds, and how long a decision may be taken back."""

    lease: timedelta
    undo: timedelta


class Desk:
    """The jobs that wait for people, as one user after the other sees them.

    Args:
        slices: Of the fleet.
        watch: Of the catalogue.
        waits: Of leases and decisions.
        bounds: Of the fleet.
    """

    def __init__(
        self, slices: Sequence[Slice], watch: CatalogueWatch, waits: Waits, bounds: Bounds
    ) -> None:
        self._watch = watch
        self._lock = Lock()
        self._row_texts = RowTexts()
        self.waits = waits
        self.slices = tuple(slices)
        self.audits = tuple(Audits(each.redis, each.keys) for each in slices)
        self.shadows = tuple(Shadows(each.redis, each.keys) for each in slices)
        self.alarms = Alarms(slices[0].redis, slices[0].keys)
        self.reviews = tuple(
            Review(each.redis, each.keys, lease=waits.lease, undo=waits.undo, bounds=bounds)
            for each in slices
        )

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue in force."""
        return self._watch.current

    def refresh(self) -> None:
        """Take up the catalogue where it has changed for the better."""
        with self._lock:
            self._watch.refresh()

    def tasks_of(self, user: User) -> dict[str, Task]:
        """The tasks that ask people, and whose jobs the user may see."""
        tasks = self.catalogue.tasks
        return {
            name: tasks[name] for name in user.sees_of(tasks) if tasks[name].person_step is not None
        }

    def checked_of(self, user: User) -> dict[str, Task]:
        """The tasks whose blind checks the user may answer, by the names that checks wait under."""
        tasks = self.catalogue.tasks
        seen = user.sees_of(tasks)
        return {checks_of(name): tasks[name] for name in seen if tasks[name].audit is not None}

    def reports_of(self, user: User) -> dict[str, AuditReport]:
        """What audits say of the tasks that the user may see, where they say anything."""
        names = [name for name in map(task_of_checks, self.checked_of(user)) if name is not None]
        return read_reports(self.audits[0].said(names))

    def clock_ms(self) -> int:
        """Redis's clock in milliseconds."""
        return self.reviews[0].now_ms()

    def task(self, user: User, name: str) -> Task:
        """A task that the user may see, or whose blind checks that name is for.

        Raises:
            NotAllowed: When there is none such: to who may not see it, a task is as good as none.
        """
        found = self.tasks_of(user).get(name) or self.checked_of(user).get(name)
        if found is None:
            raise NotAllowed("There is no such task, or it is not one of yours.", 404)
        return found

    def row_text(self, user: User, name: str, key: str | None) -> str:
        """The text of an example of a task that the user may see, by its key; empty for none."""
        return self._row_texts.of(name, self.task(user, name)).get(key or "", "")

    def loads(self, user: User) -> dict[str, TaskLoad]:
        """What waits of each of the user's tasks."""
        return {name: self.load(user, name) for name in self.tasks_of(user)}

    def load(self, user: User, task: str, *, listed: int = 0) -> TaskLoad:
        """What waits of one task."""
        self.task(user, task)
        return reduce(
            add, (each.load(task, user.pseudonym, listed=listed) for each in self.reviews)
        )

    def place(self, task: str, code: str) -> tuple[Review, Place]:
        """Find what an address names.

        Raises:
            NotAllowed: When it names no job of this fleet.
        """
        found = _PLACE.fullmatch(code)
        number = int(found["slice"]) if found else len(self.reviews)
        if found and number < len(self.reviews):
            review = self.reviews[number]
            place = review.place_of(task, found["priority"], found["entry"])
            if place is not None:
                return review, place
        raise NotAllowed("There is no such job.", 404)

    def next(self, user: User, task: str) -> Leased | Refusal:
        """Lease the most urgent job that is free: of several slices, from the one that has it."""
        self.task(user, task)
        reviews = self.reviews
        if len(reviews) > 1:
            loads = ((each.load(task, user.pseudonym), each) for each in reviews)
            firsts = [(load.first_due_ms or 2**63, each) for load, each in loads]
            reviews = tuple(each for _, each in sorted(firsts, key=lambda pair: pair[0]))
        for review in reviews:
            found = review.lease(task, user.pseudonym)
            # What nobody can read has ended; the one behind it may be as good as any.
            while found is Refusal.ENDED:
                found = review.lease(task, user.pseudonym)
            if isinstance(found, Leased):
                return found
        return Refusal.NONE

    def take(self, user: User, task: str, code: str) -> Leased | Refusal:
        """Lease a certain job."""
        self.task(user, task)
        review, place = self.place(task, code)
        return review.lease(task, user.pseudonym, place)

    def shown(self, user: User, task: str, code: str) -> Leased | Refusal:
        """The job that the user has in hand; nothing is leased by looking."""
        self.task(user, task)
        review, place = self.place(task, code)
        return review.lease(task, user.pseudonym, place, only_own=True)

    def renew(self, user: User, task: str, code: str, start: int) -> Refusal | None:
        """Keep the lease of an open page."""
        self.task(user, task)
        review, place = self.place(task, code)
        return review.renew(task, user.pseudonym, place, start)

    def skip(self, user: User, task: str, code: str, start: int) -> None:
        """Leave a job to others."""
        self.task(user, task)
        review, place = self.place(task, code)
        review.skip(task, user.pseudonym, place, start)

    def read(self, user: User, task: str, code: str) -> HeldJob | None:
        """The job of an open page; None where it is over."""
        self.task(user, task)
        review, place = self.place(task, code)
        held = review.read(place)
        is_its = held is not None and held.job.task == (task_of_checks(task) or task)
        return held if is_its else None

    def now_ms(self, code: str, task: str) -> int:
        """Redis's clock where a job is."""
        review, _ = self.place(task, code)
        return review.now_ms()

    def decide(self, task: str, code: str, held: HeldJob, decision: Decision) -> int | Refusal:
        """Hold a decision; say when it is final. Past the job's own deadline nobody wants it."""
        if decision.decided_ms >= held.slip.expires_ms:
            return Refusal.DUE
        review, place = self.place(task, code)
        final = review.decide(held, place, decision)
        if isinstance(final, int):
            self._count(task, decision.person, place, 1)
        return final

    def agreement(self, user: User, task: str) -> Agreement | None:
        """How people agree who answered the same jobs of a task, for whoever may know of people.

        Raises:
            NotAllowed: When the user may not, or the task asks no two people.
        """
        known = self.tasks_of(user).get(task)
        if user.role is Role.REVIEWER or known is None or not known.asks_several:
            raise NotAllowed("There is no such page, or it is not one of yours.", 404)
        pairs = [pair for each in self.reviews for pair in each.pairs(task)]
        return agreement_of(sorted(pairs, key=lambda pair: pair.decided_ms))

    def undo(self, user: User, task: str, code: str) -> bool:
        """Take a decision back; False where it is too late."""
        self.task(user, task)
        review, place = self.place(task, code)
        is_undone = review.undo(user.pseudonym, place) is not None
        if is_undone:
            self._count(task, user.pseudonym, place, -1)
        return is_undone

    def _count(self, task: str, person: str, place: Place, change: int) -> None:
        """Count who decides how much; the decision stands, whether or not it can be counted."""
        of = self.slices[place.slice]
        try:
            count_decision(of, task, person, self.reviews[place.slice].now_ms(), change)
        except RedisError as error:
            log.warning(
                "desk.decision_not_counted",
                error=type(error).__name__,
                consequence="the dashboard shows one too few; the decision stands",
            )


def code_of(place: Place) -> str:
    """Name a job in an address."""
    return f"{place.slice}-{place.stream.rpartition(':')[2]}-{place.entry}"
