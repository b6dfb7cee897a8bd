"""A desk does its whole work under its own user of Redis, and is refused the rest."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import NoPermissionError
from tests.support.desks import folder_for
from tests.support.guarded import Guarded, guarded_redis
from tests.support.reviews import (
    KEYS,
    OWN,
    STREAM,
    decision,
    leased,
    make_final,
    run_out,
    topic,
    wait_for_people,
)

from smallfirst.answers import LabelAnswer
from smallfirst.catalogue.watching import CatalogueWatch
from smallfirst.ledger.bounds import Bounds
from smallfirst.ledger.history import end_before
from smallfirst.ledger.review import Refusal, Review
from smallfirst.ledger.slices import Slice
from smallfirst.local.redis_server import find_binary, version_of
from smallfirst.redis_access.acl import all_grants
from smallfirst.redis_access.users import Role
from smallfirst_desk.dashboard.looking import Looker
from smallfirst_desk.dashboard.recording import Recorder
from smallfirst_desk.desk import Desk, Waits, code_of

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(
        version_of(find_binary()) < (7, 0), reason="selectors in access rules need Redis 7 on PATH"
    ),
]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A server that knows every role."""
    with guarded_redis(tmp_path_factory.mktemp("guarded")) as guarded:
        yield guarded


def test_the_whole_work_of_a_desk_is_done_without_a_refusal(guarded: Guarded) -> None:
    """List, lease, renew, skip, decide, undo, settle, give up: nobody asks for more."""
    with guarded.connect() as admin, guarded.connect(Role.DESK) as redis:
        admin.flushall()
        review = Review(redis, KEYS, lease=timedelta(minutes=1), undo=timedelta(seconds=5))
        wait_for_people(admin, topic("two"), reviewers=2)
        for person, label in (("r1", "a"), ("r2", "b"), ("r3", "a")):
            both = leased(review, person)
            said = LabelAnswer(label=label, confidence=1.0)
            review.decide(both.held, both.place, decision(person, both, said))
            make_final(admin)
            review.settle_decided()
            assert review.load("topic", person, listed=10).num_jobs == 0
        assert admin.exists(OWN.result("two"))
        assert len(review.pairs("topic")) == 1
        wait_for_people(admin, *(topic(f"a{n}") for n in range(4)))
        first = leased(review, "r1")
        assert review.read(first.place)
        assert review.renew("topic", "r1", first.place, first.start) is None
        review.skip("topic", "r1", first.place, first.start)
        mine = leased(review, "r1")
        review.decide(mine.held, mine.place, decision("r1", mine))
        assert review.undo("r1", mine.place)
        again = leased(review, "r1")
        run_out(admin, again.place.entry)
        late = leased(review, "r2")
        review.decide(late.held, late.place, decision("r2", late))
        make_final(admin)
        assert len(review.settle_decided()) == 1
        assert admin.exists(OWN.result(late.held.job.id))
        assert review.load("topic", listed=10).num_jobs == 3
        odd = admin.xadd(STREAM, {"producer": "default", "id": "o", "job": "{", "slip": "{}"})
        admin.zadd(KEYS.review("topic"), {f"bulk:{odd.decode()}": 4e12})
        place = review.place_of("topic", "bulk", odd.decode())
        assert review.lease("topic", "r1", place) is Refusal.ENDED
        for n in range(4):
            admin.set(OWN.result(f"a{n}"), "{}")
        run_out(admin, again.place.entry)
        assert review.lease("topic", "r1") is Refusal.NONE
    assert guarded.refused() == []


@pytest.mark.parametrize(
    "command",
    [
        ("XRANGE", "{sf:0}:backlog:cpu:bulk", "-", "+"),
        ("XRANGE", "{sf:0}:jobs:default", "-", "+"),
        ("GET", "{sf:0}:result:default:a1"),
        ("XADD", STREAM, "*", "a", "b"),
        ("XADD", "{sf:0}:escalations", "*", "a", "b"),
        ("LPUSH", "sf:celery:cpu", "x"),
        ("FLUSHALL",),
        ("KEYS", "*"),
    ],
    ids=lambda command: " ".join(command)[:40],
)
def test_a_desk_may_do_nothing_else(guarded: Guarded, command: tuple[Any, ...]) -> None:
    """Neither read what waits for models, nor write what only routers write."""
    with guarded.connect(Role.DESK) as redis, pytest.raises(NoPermissionError):
        redis.execute_command(*command)
    guarded.refused()


def test_rules_from_before_there_was_a_dashboard_stop_nothing(
    guarded: Guarded, tmp_path: Path
) -> None:
    """Decisions stand, the page says what is not known, and the recorder ends no thread."""
    with guarded.connect() as admin:
        admin.flushall()
        new = {"hgetall", "zcount", "xadd xrange expire", "hincrby hgetall expire"}
        old = [
            grant.rule()
            for grant in all_grants(Role.DESK, "sf")[1:]
            if grant.commands not in new and not grant.commands.startswith("xlen xpending")
        ]
        admin.execute_command("ACL", "SETUSER", "old", "on", ">old", "resetkeys", "-@all", "+ping")
        admin.execute_command("ACL", "SETUSER", "old", "+client|setname", *old)
        wait_for_people(admin, topic("a1"))
    connection = Redis.from_url(guarded.admin_url, username="old", password="old")  # noqa: S106 - of nobody
    with connection as redis:
        path = folder_for(tmp_path) / "catalogue.yaml"
        waits = Waits(lease=timedelta(minutes=1), undo=timedelta(seconds=5))
        desk = Desk([Slice(redis, KEYS)], CatalogueWatch(path), waits, Bounds())
        mine = leased(desk.reviews[0], "r1")
        assert desk.decide("topic", code_of(mine.place), mine.held, decision("r1", mine))
        recorder = Recorder(desk)
        recorder.tend()
        with pytest.raises(NoPermissionError):
            recorder.record(end_before(desk.clock_ms()))
        found = Looker(desk).look()
        assert (found.history, found.books, found.decisions) == (None, None, None)
        assert (found.people["topic"].load.num_jobs, found.people["topic"].num_ending) == (1, None)
    guarded.refused()
