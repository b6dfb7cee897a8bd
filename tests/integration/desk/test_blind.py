"""Blind checks at the desk: nothing on the page but text and task, golden rows like any other."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from tests.support.audits import CHECKS, KEYS, OWN, settled
from tests.support.desks import Browser, RunningDesk, folder_for, running_desk
from tests.support.waiting import WaitUntil

from smallfirst.audit.drawing import AuditOrder
from smallfirst.audit.reporting import AuditReport
from smallfirst.catalogue.audit_orders import audit_order
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.jobs import Job
from smallfirst.ledger.audits import Audits
from smallfirst.ledger.books import Cell, Spent, book_of
from smallfirst.ledger.checks import Check
from smallfirst.local.redis_server import RedisServer
from smallfirst_desk.auditing import golden_row
from smallfirst_desk.users import Role

pytestmark = pytest.mark.timeout(120)
GOLDEN = [{"text": f"a text that is known {n}", "label": "ab"[n % 2]} for n in range(6)]
CATALOGUE = """
version: 1
tasks:
  topic:
    kind: classify
    description: What a customer's mail is about.
    labels: {a: One., b: Two., c: Three.}
    cascade: [{rule: {patterns: [{label: a, pattern: text}]}}]
    audit: {share: 1.0, golden: golden.jsonl, golden_share: 0.5}
  asked:
    kind: classify
    labels: {a: One., b: Two.}
    cascade: [{person: {wait: 1h}}]
"""
BLIND = "@blind.topic"


def audited_folder(folder: Path) -> Path:
    """A catalogue with an audited task, its golden rows, a reviewer and a lead."""
    rows = "".join(f"{json.dumps(row)}\n" for row in GOLDEN)
    (folder / "golden.jsonl").write_text(rows, "utf-8")
    users = {"ann": ("topic",), "ben": ("topic",), "eve": ("asked",)}
    return folder_for(folder, users, catalogue=CATALOGUE, role=Role.LEAD)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the desk."""
    return audited_folder(tmp_path_factory.mktemp("blind"))


@pytest.fixture(scope="module")
def desk(redis_server: RedisServer, folder: Path) -> Iterator[RunningDesk]:
    """A desk whose decisions are final at once, and that keeps its answers."""
    answers = folder / "answers"
    with running_desk(redis_server.url, folder, desk_undo_seconds=0, desk_answers=answers) as desk:
        yield desk


@pytest.fixture
def order(folder: Path) -> AuditOrder:
    """As a router gives it."""
    catalogue = load_catalogue(folder / "catalogue.yaml")
    found = audit_order(catalogue.tasks["topic"], catalogue.models)
    assert found is not None
    return found


def records_of(redis: Any) -> list[dict[str, Any]]:
    """How checks ended."""
    rows = redis.xrange(KEYS.audited("topic"))
    return [json.loads(fields[b"record"]) for _, fields in rows if b"record" in fields]


def open_of(redis: Any) -> list[dict[str, Any]]:
    """The checks that another person was to look at, at some time."""
    rows = redis.xrange(KEYS.audited("topic"))
    return [json.loads(fields[b"open"]) for _, fields in rows if b"open" in fields]


def test_a_blind_page_shows_text_and_task_alone(
    redis: Any, ann: Browser, order: AuditOrder
) -> None:
    """No id of the job, no metadata, no answer, no confidence, no model; no suggestion either."""
    settled(redis, 1, order, confidence=0.654321, label="b", metadata={"order": "meta-4711"})
    ann.begin(BLIND)
    assert "text 0" in ann.html
    assert "What a customer&#39;s mail is about." in ann.html
    # Signatures, files' versions and the time in a place's name hold any figures.
    page = re.sub(r'value="[^"]*"|\?[0-9a-f]{12}|-\d{13}-\d+', "", ann.html)
    for secret in ("j0", "meta-4711", "0.65", "65", "minilm", "suggested", "What was said before"):
        assert secret not in page, secret
    assert "Answered like these" not in page
    assert "j0" not in ann.path
    ann.get(f"/tasks/{BLIND}")
    assert "j0" not in ann.html


def test_a_check_is_wrong_once_two_people_say_so_and_changes_no_result(
    redis: Any,
    desk: RunningDesk,
    ann: Browser,
    order: AuditOrder,
    wait_until: WaitUntil,
    folder: Path,
) -> None:
    """The second is not shown what the first said. It is a row for training, with its chance."""
    settled(redis, 1, order, label="b", before="c")
    before = redis.get(OWN.result("j0"))
    ann.begin(BLIND)
    while "text 0" not in ann.html:
        ann.answer(label="a")
    page, path = ann.html, ann.path
    ann.answer(label="c")
    open_check = lambda: [each for each in open_of(redis) if not each.get("golden")]  # noqa: E731
    wait_until(open_check, description="a second person is asked")
    assert not [each for each in records_of(redis) if not each.get("golden")]
    ann.get(path)
    assert "You have answered this; another person is asked now." in ann.html
    ben = desk.browser("ben")
    ben.begin(BLIND)
    while ben.path != path:
        ben.answer(label="a")
    assert plain(path, ben.html).replace("ben", "ann") == plain(path, page)
    ben.answer(label="c")
    ben.close()
    wait_until(
        lambda: any(not each.get("golden") for each in records_of(redis)),
        description="the check is recorded",
    )
    [record] = [each for each in records_of(redis) if not each.get("golden")]
    assert (record["is_wrong"], record["chance"], record["num_words"]) == (True, 1.0, 2)
    assert [each["is_wrong"] for each in record["answers"]] == [True, True]
    assert redis.get(OWN.result("j0")) == before
    lines = (folder / "answers" / "topic.jsonl").read_text("utf-8").splitlines()
    [row] = [json.loads(line) for line in lines if '"id": "j0"' in line and '"c"' in line]
    about = row["human"]
    assert (row["label"], about["blind"], about["chance"], about["saw"]) == ("c", True, 1.0, [])
    # The step before had said what people say: to ask another was for the worse, and is booked so.
    wait_until(lambda: judged(redis).num_judged, description="what asking it was worth is booked")
    told = judged(redis)
    assert (told.num_judged, told.num_better, told.num_worse) == (1, 0, 1)


def judged(redis: Any) -> Spent:
    """What is booked of the second step's answers that stood, on whichever day."""
    keys = redis.keys(KEYS.booked("*"))
    told = {k.decode(): float(v) for key in keys for k, v in redis.hgetall(key).items()}
    return book_of(told).get(Cell("topic", 1, "accepted"), Spent())


def test_a_golden_row_is_like_any_check(redis: Any, ann: Browser, order: AuditOrder) -> None:
    """Its page differs in the text alone, its entry in no field's name; nothing names it."""
    [held] = settled(redis, 1, order)
    ann.begin(BLIND)
    pages = {ann.path: ann.html}
    audits, rows = Audits(redis, KEYS), cast("Any", GOLDEN)
    row: Any = golden_row(rows, audits.next_golden("topic"))
    now_ms = held.slip.submitted_ms
    audits.add_golden(
        "topic",
        Job(id="0" * 16, task="topic", text=row["text"]).to_json().encode(),
        Check(series=order.series, golden=row),
        num_chars=len(row["text"]),
        now_ms=now_ms,
        until_ms=now_ms + order.keep_seconds * 1000,
    )
    ann.post(f"{ann.path}/skip", {}, view=True)
    while ann.path in pages or row["text"] not in ann.html:
        ann.answer(label="a")
        assert "/jobs/" in ann.path
    pages[ann.path] = ann.html
    real, golden = (plain(path, html) for path, html in pages.items())
    assert real == golden


def plain(path: str, html: str) -> str:
    """A page without what differs from one check to the next, golden or not."""
    html = html.replace(path, "PATH")
    html = re.sub(r'(value|data-left-ms)="[^"]*"', "", html)
    said = r'<p class="said".*?</p>(\s*<form class="undo".*?</form>)?'
    html = re.sub(said, "", html, flags=re.DOTALL)
    return re.sub(r'(id="text"[^>]*>)[^<]*', r"\1", html).replace("\n", "")


def test_golden_rows_join_what_was_drawn_and_tell_of_reviewers(
    redis: Any, ann: Browser, order: AuditOrder, wait_until: WaitUntil
) -> None:
    """About as many as their share says; the report tells how each person answered them."""
    settled(redis, 12, order)
    wait_until(lambda: redis.xlen(CHECKS) > 12, description="golden rows have joined")
    ann.begin(BLIND)
    num_answered = 0
    while "/jobs/" in ann.path:
        ann.answer(label="a")
        num_answered += 1

    def report() -> AuditReport | None:
        found = Audits(redis, KEYS).said(["topic"]).get("topic")
        return AuditReport.model_validate_json(found) if found else None

    def is_told() -> bool:
        found = report()
        return found is not None and found.num_checks == 12 and found.num_golden > 0

    wait_until(is_told, description="the report is there")
    found = report()
    assert found is not None
    assert found.rate is not None
    # Each golden row that is no `a` waits for another person.
    assert found.num_undecided == 0
    [reviewer] = found.reviewers
    assert reviewer.num_answers <= num_answered
    assert 0 <= reviewer.num_golden_wrong <= reviewer.num_golden <= len(GOLDEN)
    # Two words in less than 0.12 s: nobody reads so fast.
    assert reviewer.num_hasty == reviewer.num_answers
    ann.get("/")
    assert "blind audit" in ann.html
    ann.get(f"/tasks/{BLIND}")
    assert reviewer.person in ann.html
    assert "hasty" in ann.html


def test_who_may_not_see_a_task_sees_no_check_of_it(
    redis: Any, desk: RunningDesk, order: AuditOrder
) -> None:
    """Neither how many there are, nor a page, nor what is said of it."""
    settled(redis, 1, order)
    eve = desk.browser("eve")
    eve.get("/")
    assert "topic" not in eve.html
    assert eve.get(f"/tasks/{BLIND}").status_code == 404
    assert eve.post(f"/tasks/{BLIND}/next").status_code == 404
    eve.get("/tasks/@blind.asked")
    assert "There is no such task" in eve.html
    eve.close()


def test_all_golden_rows_come_before_one_comes_again() -> None:
    """In another order each time."""
    rows: Any = range(6)
    turns = [[golden_row(rows, 6 * turn + n) for n in range(6)] for turn in range(5)]
    assert all(sorted(map(str, turn)) == list("012345") for turn in turns)
    assert len({str(turn) for turn in turns}) > 1


def test_the_terminal_shows_what_the_desk_says(
    redis: Any,
    redis_url: str,
    desk: RunningDesk,
    ann: Browser,
    order: AuditOrder,
    wait_until: WaitUntil,
    folder: Path,
) -> None:
    """In a line, and as JSON; rows that were given blind are told from others."""
    settled(redis, 3, order, label="b")
    ben = desk.browser("ben")
    for person in (ann, ben):
        person.begin(BLIND)
        while "/jobs/" in person.path:
            # Golden rows join by chance. Answered rightly, they take nothing off.
            known = re.search(r"a text that is known (\d)", person.html)
            person.answer(label=GOLDEN[int(known[1])]["label"] if known else "a")
        wait_until(lambda: not redis.exists(KEYS.decided), description="it is kept, or settled")
    ben.close()

    def smallfirst(*words: str) -> str:
        told = ["--redis-url", redis_url, *words, "--catalogue", str(folder / "catalogue.yaml")]
        done = subprocess.run(
            [sys.executable, "-m", "smallfirst", *told],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return done.stdout + done.stderr

    def said() -> Any:
        return json.loads(smallfirst("audit", "topic", "--json")).get("topic") or {}

    wait_until(lambda: said().get("num_checks") == 3, description="it is said", timeout=30)
    assert "topic: blind audit 100 % (" in smallfirst("audit")
    answers = ["--answers", str(folder / "answers")]
    exported = smallfirst("export", "topic", *answers, "--blind", "--provenance")
    assert '"blind": true' in exported
    assert "of them given blind" in exported
