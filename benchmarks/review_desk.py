"""How long a decision takes at the review desk, with many people at once and thousands of jobs.

A whole fleet: its router parks what nobody but a person answers, and people who are scripted answer
it over HTTP, each after a pause by chance.

    python benchmarks/review_desk.py --write
    python benchmarks/review_desk.py --quick
"""

import argparse
import os
import random
import re
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import httpx
from provenance import provenance, write_result
from redis import Redis

from smallfirst import Client, Job
from smallfirst.ledger.keys import Keys
from smallfirst.local.fleet import LocalFleet
from smallfirst_desk.users import Role, added, read_users, write_users

CATALOGUE = """
version: 1
tasks:
  topic:
    kind: classify
    labels: {a: one, b: two, c: three}
    cascade: [{person: {wait: 24h}}]
"""
TEXT = "I ordered the blue kettle and it came with a broken lid. " * 20
PASSWORD = "correct horse battery"  # noqa: S105 - of nobody
READING = """\
`a decision` is from the sending of the form until the desk has said where to go on: the answer is
held in Redis, and the next job is leased. `with the next page` is until that job is there to be
read. People, desk, router and Redis share the machine."""


@dataclass
class Person:
    """Somebody who answers, and how long each answer took, in seconds."""

    name: str
    url: str
    pause: float
    until: float
    decisions: list[float] = field(default_factory=list)
    pages: list[float] = field(default_factory=list)

    def work(self) -> None:
        """Answer until the time is over."""
        chance = random.Random(self.name)
        with httpx.Client(base_url=self.url, follow_redirects=True, timeout=30) as http:
            page = http.get("/sign-in")
            who = {"name": self.name, "password": PASSWORD}
            http.post("/sign-in", data={**who, "csrf": _hidden(page, "csrf")})
            page = http.get("/tasks/topic")
            page = http.post("/tasks/topic/next", data={"csrf": _hidden(page, "csrf")})
            while time.monotonic() < self.until and "/jobs/" in page.url.path:
                time.sleep(chance.expovariate(1 / self.pause))
                page = self._answer(http, page, chance.choice("abc"))

    def _answer(self, http: httpx.Client, page: httpx.Response, label: str) -> httpx.Response:
        data = {name: _hidden(page, name) for name in ("csrf", "view")}
        began = time.perf_counter()
        sent = http.post(
            f"{page.url.path}/answer", data={**data, "label": label}, follow_redirects=False
        )
        decided = time.perf_counter()
        assert sent.status_code == httpx.codes.SEE_OTHER, sent.text
        shown = http.get(sent.headers["location"])
        self.decisions.append(decided - began)
        self.pages.append(time.perf_counter() - began)
        return shown


def main() -> None:
    """Let people answer at two paces, and print how long it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000, help="Jobs that wait.")
    parser.add_argument("--people", type=int, default=20, help="People who answer at once.")
    parser.add_argument("--seconds", type=float, default=30.0, help="How long each pace is held.")
    parser.add_argument("--quick", action="store_true", help="A few seconds, to see it run.")
    parser.add_argument("--write", action="store_true", help="Write the table of results.")
    options = parser.parse_args()
    if options.quick:
        options.jobs, options.seconds = 500, 4.0
    os.environ["SMALLFIRST_MAX_BACKLOG_JOBS"] = str(options.jobs)
    lines = [_measured(options, pause) for pause in (1.0, 0.2)]
    text = _page(options, lines)
    print(text)
    if options.write:
        write_result("review_desk", text)


def _measured(options: argparse.Namespace, pause: float) -> str:
    with tempfile.TemporaryDirectory(prefix="review-desk-") as folder:
        catalogue = Path(folder) / "catalogue.yaml"
        catalogue.write_text(CATALOGUE, "utf-8")
        with LocalFleet(catalogue, Path(folder) / "fleet", flower=False, persistent=False) as fleet:
            fleet.wait_ready(timedelta(minutes=1))
            names = [f"r{number}" for number in range(options.people)]
            _add(fleet, names)
            _park(fleet, options.jobs)
            assert fleet.addresses is not None
            assert fleet.addresses.desk_url is not None
            until = time.monotonic() + options.seconds
            people = [Person(name, fleet.addresses.desk_url, pause, until) for name in names]
            threads = [threading.Thread(target=person.work) for person in people]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    decisions = sorted(each for person in people for each in person.decisions)
    pages = sorted(each for person in people for each in person.pages)
    rate = len(decisions) / options.seconds
    print(f"{pause} s: {len(decisions)} decisions", file=sys.stderr)
    figures = [*_quantiles(decisions), *_quantiles(pages)]
    return f"| {pause:g} s | {rate:.0f} | {' | '.join(figures)} |"


def _add(fleet: LocalFleet, names: Sequence[str]) -> None:
    assert fleet.desk_account is not None
    users = read_users(fleet.desk_account.users)
    for name in names:
        users = added(users, name, PASSWORD, role=Role.REVIEWER, tasks=["topic"])
    write_users(fleet.desk_account.users, users)


def _park(fleet: LocalFleet, num_jobs: int) -> None:
    with Client(fleet.redis_url) as client, Redis.from_url(fleet.redis_url) as redis:
        client.submit_many(Job(task="topic", text=TEXT) for _ in range(num_jobs))
        waiting: Any = 0
        while waiting < num_jobs:
            time.sleep(0.1)
            waiting = redis.zcard(Keys().review("topic"))


def _quantiles(seconds: Sequence[float]) -> list[str]:
    return [f"{seconds[int(len(seconds) * share)] * 1000:.1f}" for share in (0.5, 0.95, 0.99)]


def _hidden(page: httpx.Response, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page.text)
    assert found is not None, page.text
    return unescape(found[1])


def _page(options: argparse.Namespace, lines: Sequence[str]) -> str:
    told = provenance("starlette", "uvicorn", "redis", "httpx")
    head = (
        "| mean pause of each | decisions a second | a decision, ms: median | 95 % | 99 %"
        " | with the next page, ms: median | 95 % | 99 % |"
    )
    rows = "\n".join((head, "|---|---|---|---|---|---|---|---|", *lines))
    title = f"# The review desk: {options.people} people, {options.jobs:,} jobs that wait"
    return f"{title}\n\n{rows}\n\n{READING}\n\n{told}\n"


if __name__ == "__main__":
    main()
