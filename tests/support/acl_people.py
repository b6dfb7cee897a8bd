"""What people do in the drill of rights: every command that the desk's user sends."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from redis import Redis
from tests.support.desks import folder_for
from tests.support.guarded import Guarded
from tests.support.reviews import decision, leased, make_final
from tests.support.shapes import slip_for
from tests.support.waiting import WaitUntil

from smallfirst import Client, Job
from smallfirst.answers import LabelAnswer
from smallfirst.catalogue.watching import CatalogueWatch
from smallfirst.jobs import Priority, Problem, Status
from smallfirst.ledger.audits import Audits
from smallfirst.ledger.bounds import Bounds
from smallfirst.ledger.checks import Check, CheckRecord
from smallfirst.ledger.entries import StreamEntry
from smallfirst.ledger.history import end_before
from smallfirst.ledger.keys import DECIDED_CONSUMER, POOL_GROUP, Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.review import Refusal, Review
from smallfirst.ledger.reviewer_counts import count_decision
from smallfirst.ledger.shadows import Copy, Shadows
from smallfirst.ledger.slices import Slice, check_slices
from smallfirst.people import checks_of
from smallfirst.redis_access.users import Role
from smallfirst.results import unanswered
from smallfirst.shadow.copies import SHADOW, ShadowOrder, copy_of
from smallfirst.shadow.pairing import Judged, Judgement, ShadowAnswer
from smallfirst_desk.dashboard.looking import Looker
from smallfirst_desk.dashboard.recording import Recorder
from smallfirst_desk.desk import Desk, Waits

KEYS = Keys()
OWN = KEYS.of_producer("default")
HOUR = timedelta(hours=1)
LONG = "Where is my parcel? It should have come last week, and nobody answers. " * 25
COUNTED = """
version: 1
pools: {cpu: {tier: slm, max_parameters: 50M}}
tasks:
  asked:
    kind: classify
    labels: {a: One., b: Two.}
    cascade: [{person: {wait: 1h}}]
"""


def ask_people(guarded: Guarded, client: Client, wait_until: WaitUntil) -> None:
    """People take jobs, pass them over, answer, take back; one waits in vain, one desk dies."""
    stream, waiting = KEYS.people("asked")[Priority.BULK], KEYS.review("asked")
    jobs = [Job(id=f"asked-{n}", task="asked", text=LONG) for n in range(4)]
    client.submit_many(jobs)
    with guarded.connect() as admin, guarded.connect(Role.DESK) as redis:
        wait_until(lambda: admin.zcard(waiting) == len(jobs), description="they wait for people")
        assert check_slices(redis, KEYS, 1, address="")
        bounds = Bounds(max_dead_bytes=0)
        review = Review(redis, KEYS, lease=HOUR / 60, undo=HOUR, bounds=bounds)
        passed = leased(review, "r1", "asked")
        assert review.renew("asked", "r1", passed.place, passed.start) is None
        assert review.skip("asked", "r1", passed.place, passed.start)
        mine = leased(review, "r1", "asked")
        review.decide(mine.held, mine.place, decision("r1", mine))
        assert review.undo("r1", mine.place)
        mine = leased(review, "r1", "asked")
        review.decide(mine.held, mine.place, decision("r1", mine))
        make_final(admin)
        assert len(review.settle_decided()) == 1
        assert review.load("asked", listed=5).num_jobs == 3
        for _ in range(2):
            other = leased(review, "r1", "asked")
            review.skip("asked", "r1", other.place, other.start)
        # All are passed over by now, so they come again; and this desk dies with the decision.
        left = leased(review, "r1", "asked")
        review.decide(left.held, left.place, decision("r1", left))
        admin.xclaim(
            stream, POOL_GROUP, DECIDED_CONSUMER, 0, [left.place.entry], idle=900_000, justid=True
        )
        give_up_what_is_odd(admin, review, stream)
        admin.zadd(KEYS.due, {f"default:{job.id}": 1 for job in jobs})
        results = [OWN.result(job.id) for job in jobs]
        wait_until(lambda: admin.exists(*results) == len(jobs), description="all have ended")
        assert not admin.exists(KEYS.decisions, waiting)


def ask_two_people(guarded: Guarded, client: Client, wait_until: WaitUntil) -> None:
    """Two people answer a job alike; on another a desk dies with the second one's answer."""
    stream, waiting = KEYS.people("twice")[Priority.BULK], KEYS.review("twice")
    jobs = [Job(id=f"twice-{n}", task="twice", text=LONG) for n in range(2)]
    client.submit_many(jobs)
    with guarded.connect() as admin, guarded.connect(Role.DESK) as redis:
        wait_until(lambda: admin.zcard(waiting) == len(jobs), description="they wait for people")
        review = Review(redis, KEYS, lease=HOUR / 60, undo=HOUR)
        for _ in jobs:
            mine = leased(review, "r1", "twice")
            review.decide(mine.held, mine.place, decision("r1", mine))
            make_final(admin)
            assert review.settle_decided() == []
        assert review.load("twice", "r1", listed=5).num_jobs == 0
        assert isinstance(review.lease("twice", "r1", mine.place), Refusal)
        mine = leased(review, "r2", "twice")
        review.decide(mine.held, mine.place, decision("r2", mine))
        make_final(admin)
        assert len(review.settle_decided()) == 1
        assert len(review.pairs("twice")) == 1
        left = leased(review, "r2", "twice")
        review.decide(left.held, left.place, decision("r2", left))
        admin.xclaim(
            stream, POOL_GROUP, DECIDED_CONSUMER, 0, [left.place.entry], idle=900_000, justid=True
        )
        admin.zadd(KEYS.due, {f"default:{left.held.job.id}": 1})
        results = [OWN.result(job.id) for job in jobs]
        wait_until(lambda: admin.exists(*results) == len(jobs), description="all have ended")
        assert not admin.exists(waiting, KEYS.answered("twice", "r1"))


def check_blind(guarded: Guarded, wait_until: WaitUntil) -> None:
    """People answer blind what a router and a worker accepted; a golden row is among it."""
    with guarded.connect() as admin:
        drawn = [KEYS.checks("ids"), KEYS.checks("tone")]
        wait_until(lambda: admin.exists(*drawn) == len(drawn), description="checks were drawn")
    with guarded.connect(Role.DESK) as redis, guarded.connect() as admin:
        review, audits = Review(redis, KEYS, lease=HOUR / 60, undo=HOUR), Audits(redis, KEYS)
        assert audits.num_unmatched("tone") > 0
        # All that was drawn was answered before the golden row comes.
        admin.delete(KEYS.checks("tone"))
        number, now_ms = audits.next_golden("tone"), review.now_ms()
        job = Job(id="golden", task="tone", text="x").to_json().encode()
        times = {"now_ms": now_ms, "until_ms": now_ms + 60_000}
        golden: Any = {"text": "x", "label": "glad"}
        assert audits.add_golden("tone", job, Check(golden=golden), num_chars=number + 1, **times)
        mine = leased(review, "r1", checks_of("tone"))
        review.decide(mine.held, mine.place, decision("r1", mine))
        make_final(admin)
        record = CheckRecord(
            series="0" * 16,
            step=0,
            stratum=0,
            share=1.0,
            chance=1.0,
            is_wrong=False,
            person="r1",
            decided_ms=1,
            seconds=1.0,
            num_words=1,
        )
        ended = []

        def end(entry: StreamEntry, raw: bytes) -> bool:
            if not review.earlier(entry.stream, entry.entry):
                review.ask_another(entry, raw, "r1", audits.note_of("tone", record))
                return False
            ended.append(audits.record("tone", entry.entry, record))
            return True

        review.settle_decided(end_check=end)
        again = leased(review, "r2", checks_of("tone"))
        review.decide(again.held, again.place, decision("r2", again))
        make_final(admin)
        review.settle_decided(end_check=end)
        assert ended == [True]
        assert audits.records("tone")[1] == [record, record]
        assert (audits.num_records("tone"), audits.counts("tone", "0" * 16).num_accepted) == (2, 0)
        audits.say("tone", "{}", broken=None)
        assert audits.broken({"tone": "0" * 16}) == frozenset()
        assert set(audits.said(["tone"])) == {"tone"}
    with guarded.connect(Role.ROUTER) as redis, guarded.connect() as admin:
        for member in admin.zrange(KEYS.review(checks_of("ids")), 0, -1):
            admin.zadd(KEYS.review(checks_of("ids")), {member: 1})
        router = Ledger(redis, KEYS, "router-of-the-drill")
        assert router.audits.drop_late("ids") > 0
        assert router.audits.broken({"ids": "0" * 16}) == frozenset()


def show_the_dashboard(guarded: Guarded, folder: Path) -> None:
    """A desk counts what it may not read, records it, and counts who decides."""
    path = folder_for(folder, catalogue=COUNTED) / "catalogue.yaml"
    with guarded.connect(Role.DESK) as redis:
        slices = [Slice(redis, KEYS)]
        waits = Waits(lease=HOUR / 60, undo=HOUR / 60)
        desk = Desk(slices, CatalogueWatch(path), waits, Bounds())
        Recorder(desk).record(end_before(desk.clock_ms()))
        count_decision(slices[0], "asked", "r1", desk.clock_ms())
        found = Looker(desk).look()
        assert found.history
        assert found.books
        assert found.backlogs
        assert found.decisions
        assert found.people["asked"].num_ending is not None


def give_up_what_is_odd(admin: Redis, review: Review, stream: str) -> None:
    """A desk finds what nobody can read, and what has its result already."""
    for name in ("odd", "over"):
        fields: Any = {"producer": "default", "id": name, "job": "{", "slip": "{}"}
        entry: Any = admin.xadd(stream, fields)
        admin.zadd(KEYS.review("asked"), {f"bulk:{entry.decode()}": 4e12})
        if name == "over":
            admin.set(OWN.result(name), "{}", ex=60)
        place = review.place_of("asked", "bulk", entry.decode())
        assert isinstance(review.lease("asked", "r1", place), Refusal)


def run_in_shadow(guarded: Guarded) -> None:
    """A router copies jobs for a candidate and counts pairs; it, or a desk, what a person said."""
    answer = LabelAnswer(label="a", confidence=1.0)
    for name, judge in (("shadowed", Role.DESK), ("answered", Role.ROUTER)):
        with guarded.connect(Role.ROUTER) as redis, guarded.connect() as admin:
            _pair(Shadows(redis, KEYS), admin, name)
        with guarded.connect(judge) as redis:
            shadows = Shadows(redis, KEYS)
            assert not shadows.join("default", name)
            shadows.note("default", name, Judgement(live=Judged.RIGHT, answer=answer))
            assert shadows.join("default", name)


def _pair(shadows: Shadows, admin: Any, name: str) -> None:
    """Copy a job, and count it once its copy has ended."""
    order = ShadowOrder("next", 1.0, "0" * 16)
    at = (order.candidate, order.series)
    live = Job(id=name, task="tone", text="x")
    job = copy_of(live, "default", order.candidate)
    slip = slip_for(order.candidate, producer=SHADOW, request=None)
    assert shadows.copy(*at, [Copy("default", live.id, 1, "0" * 16, job, slip)], 1) == 1
    problem = Problem(code="expired", message="too late")
    ended = unanswered(job, Status.EXPIRED, problem, submitted_ms=1, now_ms=2)
    admin.set(KEYS.of_producer(SHADOW).result(job.id), ended.to_json(), ex=60)
    [pair] = shadows.open_pairs(*at)
    assert pair.copy is not None
    said = ShadowAnswer(candidate=order.candidate, series=order.series, text_key=pair.text_key)
    assert shadows.count(*at, pair, {"dropped": 1}, said, 60)
