"""The desk over HTTP, as a browser without a script uses it: every form does what it says."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.desks import (
    ALL,
    PASSWORD,
    Browser,
    RunningDesk,
    folder_for,
    running_desk,
)
from tests.support.reviews import (
    KEYS,
    OWN,
    STREAM,
    make_final,
    run_out,
    topic,
    wait_for_people,
)
from tests.support.waiting import WaitUntil

from smallfirst import Client
from smallfirst.answers import LabelAnswer
from smallfirst.jobs import Job, Result, Status, Tier
from smallfirst.ledger.keys import Keys

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def patient(patient_desk: RunningDesk) -> Iterator[Browser]:
    """Somebody who has signed in where decisions may be taken back."""
    browser = patient_desk.browser("ann")
    yield browser
    browser.close()


def result_of(redis: Any, job_id: str) -> Result | None:
    """A job's result, where it has one."""
    raw = redis.get(OWN.result(job_id))
    return None if raw is None else Result.model_validate_json(raw)


def label_of(redis: Any, job_id: str) -> str | None:
    """The label of a job's result."""
    result = result_of(redis, job_id)
    return result.answer.label if result and isinstance(result.answer, LabelAnswer) else None


@pytest.mark.parametrize(
    ("task", "entered", "record"),
    [
        ("topic", {"label": "b"}, {"label": "b"}),
        ("tags", {"label": ["refund", "answer"]}, {"labels": ("refund", "answer")}),
        ("pii", {"spans": "name: Marta"}, {}),
        (
            "invoice",
            {"field.number": "1", "field.total": "2.5", "field.paid": "yes"},
            {"record": {"number": "1", "total": 2.5, "due": None, "paid": True}},
        ),
        (
            "tampering",
            {"verdict": "no", "quote": "Marta wrote this"},
            {"record": {"verdict": "no", "quote": "Marta wrote this"}},
        ),
        ("reply", {"text": "Dear Marta,"}, {"text": "Dear Marta,"}),
    ],
)
def test_every_kind_is_answered_by_its_form(
    redis: Any,
    ann: Browser,
    wait_until: WaitUntil,
    task: str,
    entered: dict[str, object],
    record: dict[str, object],
) -> None:
    """And the answer is the job's result, of tier human, under its id."""
    wait_for_people(redis, Job(id="a1", task=task, text="Marta wrote this letter."))
    ann.begin(task)
    assert "Marta wrote this letter." in ann.html
    ann.answer(**entered)
    assert "Answered." in ann.html
    wait_until(lambda: result_of(redis, "a1"), description="the result is there")
    result = result_of(redis, "a1")
    assert result is not None
    assert (result.status, result.tier, result.trail[-1].confidence) == (
        Status.ANSWERED,
        Tier.HUMAN,
        1.0,
    )
    assert record.items() <= dict(result.answer or ()).items()


def test_a_client_waits_for_a_person_as_for_any_model(
    redis: Any, redis_url: str, ann: Browser
) -> None:
    """`as_completed` yields the answer under the id that was submitted."""
    wait_for_people(redis, topic("a1"), topic("a2"))
    with Client(redis_url) as client:
        ann.begin()
        ann.answer(label="a")
        ann.answer(label="c")
        said = {result.id: result.answer for result in client.as_completed(["a1", "a2"], 20)}
    assert {job_id: str(getattr(answer, "label", "")) for job_id, answer in said.items()} == {
        "a1": "a",
        "a2": "c",
    }


def test_what_is_no_answer_is_shown_again_with_all_that_was_entered(
    redis: Any, ann: Browser
) -> None:
    """And with the reason; the job stays in hand."""
    wait_for_people(redis, Job(id="a1", task="pii", text="Marta wrote this letter."))
    ann.begin("pii")
    page = ann.answer(spans="name: Nobody at all")
    assert page.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert "these words do not stand in the text" in ann.html
    assert "name: Nobody at all" in ann.html
    assert "Marta wrote this letter." in ann.html


def test_an_answer_is_taken_back_until_it_is_final(redis: Any, patient: Browser) -> None:
    """The job is the person's again; what is answered then stands."""
    wait_for_people(redis, topic("a1"))
    patient.begin()
    path = patient.path
    patient.answer(label="a")
    assert patient.path == "/tasks/topic"
    patient.post("/undo")
    assert patient.path == path
    assert "Taken back" in patient.html
    patient.answer(label="b")
    make_final(redis)
    patient.post("/undo")
    assert "is final by now" in patient.html


def test_a_lapsed_leases_answer_is_told_so_and_given_back(
    redis: Any, desk: RunningDesk, ann: Browser, wait_until: WaitUntil
) -> None:
    """Where another has the job since; the other's answer stands."""
    wait_for_people(redis, Job(id="a1", task="reply", text="Marta wrote."))
    ann.begin("reply")
    [entry] = [entry.decode() for entry, _ in redis.xrange(KEYS.people("reply")["bulk"])]  # type: ignore[index]
    run_out(redis, entry, stream=KEYS.backlog("@people.reply", topic("x").priority))
    ben = desk.browser("ben")
    ben.begin("reply")
    page = ann.answer(text="A long letter that took an hour.")
    assert page.status_code == httpx.codes.CONFLICT
    assert "somebody else has taken it since" in ann.html
    assert "A long letter that took an hour." in ann.html
    ben.answer(text="A short one.")
    ben.close()
    wait_until(lambda: result_of(redis, "a1"), description="the result is there")
    result = result_of(redis, "a1")
    assert result is not None
    assert getattr(result.answer, "text", "") == "A short one."


def test_a_page_is_answered_once(redis: Any, ann: Browser, wait_until: WaitUntil) -> None:
    """The same form sent again, from a second tab or by a second press, decides nothing."""
    wait_for_people(redis, topic("a1"), topic("a2"))
    ann.begin()
    path, tokens = ann.path, {name: ann.hidden(name) for name in ("csrf", "view")}
    first = ann.post_raw(f"{path}/answer", {**tokens, "label": "a"})
    second = ann.post_raw(f"{path}/answer", {**tokens, "label": "b"})
    assert first.status_code == httpx.codes.OK
    assert second.status_code == httpx.codes.CONFLICT
    wait_until(lambda: result_of(redis, "a1"), description="the result is there")
    assert label_of(redis, "a1") == "a"
    assert redis.xlen(STREAM) == 1


def test_what_one_has_in_hand_leaves_anothers_list(
    redis: Any, desk: RunningDesk, ann: Browser
) -> None:
    """It cannot be taken, and the next is another."""
    wait_for_people(redis, topic("a1"), topic("a2"))
    ann.begin()
    ben = desk.browser("ben")
    ben.get("/tasks/topic")
    assert ben.html.count("/take") == 1
    assert "taken" in ben.html
    ben.post(f"{ann.path}/take")
    assert "Somebody else has this job in hand." in ben.html
    ben.begin()
    assert ben.path != ann.path
    assert ben.get(ann.path).status_code == httpx.codes.CONFLICT
    ben.close()


def test_looking_at_an_address_leases_nothing(redis: Any, ann: Browser) -> None:
    """A job is taken by a form alone."""
    wait_for_people(redis, topic("a1"))
    [(entry, _)] = redis.xrange(STREAM)
    ann.get(f"/tasks/topic/jobs/0-bulk-{entry.decode()}")
    assert "not in your hands" in ann.html
    assert "hello" not in ann.html
    assert redis.xpending(STREAM, "pool")["pending"] == 0


def test_who_may_not_see_a_task_gets_neither_its_text_nor_its_count(
    redis: Any, redis_url: str, tmp_path: Path
) -> None:
    """It is as if there were none such, whatever address is asked."""
    wait_for_people(redis, topic("a1", "the words of another team"))
    [(entry, _)] = redis.xrange(STREAM)
    folder_for(tmp_path, {"ann": ["pii"], "ben": ["topic"]})
    with running_desk(redis_url, tmp_path) as desk:
        ann, ben = desk.browser("ann"), desk.browser("ben")
        ben.begin()
        ann.get("/")
        assert "topic" not in ann.html
        assert "pii" in ann.html
        at = f"/tasks/topic/jobs/0-bulk-{entry.decode()}"
        view = ben.hidden("view")
        for path in ("/tasks/topic", at):
            assert ann.get(path).status_code == httpx.codes.NOT_FOUND
        unknown = ann.get("/tasks/nothing")
        ann.get("/tasks/topic")
        assert ann.html.replace(ann.hidden("csrf"), "") == unknown.text.replace(
            ann.hidden("csrf"), ""
        )
        for path in (
            "/tasks/topic/next",
            f"{at}/take",
            f"{at}/answer",
            f"{at}/skip",
            f"{at}/renew",
        ):
            reply = ann.post(path, {"view": view, "label": "a"})
            assert reply.status_code in {httpx.codes.NOT_FOUND, httpx.codes.FORBIDDEN}
            assert "another team" not in reply.text
        ann.close()
        ben.close()
    assert redis.xlen(STREAM) == 1


def test_nothing_is_done_without_a_session_or_with_anothers_form(
    redis: Any, desk: RunningDesk, ann: Browser
) -> None:
    """Nor with a form of another page, nor from another site."""
    wait_for_people(redis, topic("a1"), topic("a2"))
    ann.begin()
    at, tokens = ann.path, {name: ann.hidden(name) for name in ("csrf", "view")}
    nobody, ben = Browser(desk.url), desk.browser("ben")
    assert nobody.get(at).url.path == "/sign-in"
    assert nobody.post_raw(f"{at}/answer", {**tokens, "label": "a"}).url.path == "/sign-in"
    ben.begin()
    forged = [
        (ben, {**tokens, "label": "b"}, {}),
        (ben, {**tokens, "csrf": ben.hidden("csrf"), "label": "b"}, {}),
        (ann, {"view": tokens["view"], "label": "b"}, {}),
        (ann, {"csrf": tokens["csrf"], "label": "b"}, {}),
        (ann, {**tokens, "view": tokens["view"][:-2], "label": "b"}, {}),
        (ann, {**tokens, "label": "b"}, {"headers": {"sec-fetch-site": "cross-site"}}),
    ]
    for browser, data, more in forged:
        reply = browser.post_raw(f"{at}/answer", data, **more)
        assert reply.status_code == httpx.codes.FORBIDDEN, data
    for path in (f"{at}/skip", "/undo", "/tasks/topic/next", "/sign-out"):
        assert ann.post_raw(path, {}).status_code == httpx.codes.FORBIDDEN
    nobody.close()
    ben.close()
    assert redis.xlen(STREAM) == 2
    assert not redis.exists(KEYS.decisions)


def test_a_wrong_password_lets_nobody_in_and_many_close_the_door(patient_desk: RunningDesk) -> None:
    """For a minute, for that name alone."""
    browser = Browser(patient_desk.url)
    for _ in range(10):
        browser.sign_in("cleo", "wrong horse battery")
        assert browser.page.status_code == httpx.codes.UNAUTHORIZED
    browser.sign_in("cleo", PASSWORD)
    assert browser.page.status_code == httpx.codes.TOO_MANY_REQUESTS
    browser.sign_in("ben", PASSWORD)
    assert browser.path == "/"
    browser.close()


def test_a_session_ends_with_its_password_and_with_its_user(
    redis_url: str, folder: Path, wait_until: WaitUntil
) -> None:
    """At once, though its cookie lives on; signing out ends it too."""
    with running_desk(redis_url, folder) as desk:
        ann, ben = desk.browser("ann"), desk.browser("ben")
        assert ben.get("/").url.path == "/"
        folder_for(folder, {"ann": ALL})
        for browser in (ann, ben):
            wait_until(
                lambda browser=browser: browser.get("/").url.path == "/sign-in",  # type: ignore[misc]
                description="the session has ended",
            )
        ann.sign_in("ann")
        assert ann.path == "/"
        ann.post("/sign-out")
        assert ann.get("/").url.path == "/sign-in"
        ann.close()
        ben.close()


def test_every_response_says_that_nothing_of_elsewhere_runs(ann: Browser) -> None:
    """Pages, errors and files; and a page with all it needs is less than 100 kB."""
    weight = 0
    for path in ("/", "/tasks/topic", "/nowhere", "/static/desk.js", "/static/desk.css"):
        reply = ann.get(path)
        policy = reply.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert reply.headers["x-content-type-options"] == "nosniff"
        weight += len(reply.content)
    assert weight < 100_000
    assert ann.get("/").headers["cache-control"] == "no-store"


def test_no_log_line_and_no_address_holds_a_word_of_a_job(
    redis: Any,
    desk: RunningDesk,
    patient_desk: RunningDesk,
    ann: Browser,
    wait_until: WaitUntil,
) -> None:
    """Neither of its text nor of an answer, whichever desk settles what was decided at one."""

    def said() -> str:
        return "".join(each.log.read_text("utf-8") for each in (desk, patient_desk))

    wait_for_people(redis, Job(id="m1", task="reply", text="marmalade"))
    ann.begin("reply")
    assert "marmalade" not in str(ann.page.url)
    assert "marmalade" not in ann.html.partition("</title>")[0]
    ann.answer(text="tangerine")
    wait_until(lambda: result_of(redis, "m1"), description="the result is there")
    wait_until(lambda: '"m1", "event": "desk.settled"' in said(), description="it is logged")
    assert "desk.decided" in said()
    assert not [word for word in ("marmalade", "tangerine", PASSWORD) if word in said()]


@pytest.mark.parametrize(
    "path",
    [
        "/tasks/topic/jobs/x",
        "/tasks/topic/jobs/9-bulk-1-0",
        "/tasks/topic/jobs/0-urgent-1-0",
        "/tasks/topic/jobs/0-bulk-1-0-0",
        "/tasks/topic/jobs/0-bulk-" + "9" * 40 + "-0",
        "/tasks/%2e%2e/jobs/0-bulk-1-0",
        "/static/../app.py",
        "/static/%2e%2e%2fapp.py",
        "/tasks/" + "x" * 5000,
        "/nowhere?said=<script>",
    ],
)
def test_an_odd_address_is_no_page(ann: Browser, path: str) -> None:
    """And no error of ours."""
    assert ann.get(path).status_code == httpx.codes.NOT_FOUND


def test_a_form_that_is_too_large_is_refused(redis: Any, ann: Browser) -> None:
    """Whether or not it says its length."""
    wait_for_people(redis, Job(id="a1", task="reply", text="Marta wrote."))
    ann.begin("reply")
    tokens = {name: ann.hidden(name) for name in ("csrf", "view")}
    reply = ann.post_raw(f"{ann.path}/answer", {**tokens, "text": "x" * 4_100_000})
    assert reply.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE
    endless = (b"text=" + b"x" * 100_000 for _ in range(60))
    kind = {"content-type": "application/x-www-form-urlencoded"}
    reply = ann._http.post(f"{ann.path}/answer", content=endless, headers=kind)
    assert reply.status_code in {httpx.codes.REQUEST_ENTITY_TOO_LARGE, httpx.codes.BAD_REQUEST}


def test_a_lead_sees_who_has_a_job_and_a_reviewer_does_not(
    redis: Any, redis_url: str, tmp_path: Path
) -> None:
    """By pseudonym alone."""
    from smallfirst_desk.users import Role  # noqa: PLC0415 - beside its only use

    wait_for_people(redis, topic("a1"))
    folder_for(tmp_path, {"ann": ALL, "ben": ALL}, role=Role.LEAD)
    with running_desk(redis_url, tmp_path) as desk:
        ann, ben = desk.browser("ann"), desk.browser("ben")
        ann.begin()
        ben.get("/tasks/topic")
        assert "<td>r-" in ben.html
        ann.close()
        ben.close()


def test_nobodys_answer_is_taken_past_the_jobs_own_deadline(
    redis: Any, ann: Browser, wait_until: WaitUntil
) -> None:
    """It is told so; a router ends the job as it does anywhere."""
    wait_for_people(redis, topic("a1"), life=timedelta(seconds=1))
    ann.begin()
    over = redis.time()[0] + 1
    wait_until(lambda: redis.time()[0] > over, description="its deadline is over")
    page = ann.answer(label="a")
    assert page.status_code == httpx.codes.CONFLICT
    assert "The time for which this job waits is over." in ann.html
    assert not redis.exists(KEYS.decisions)


def test_a_desk_serves_every_slice_of_a_fleet(
    redis: Any, redis_url: str, folder: Path, wait_until: WaitUntil
) -> None:
    """The job whose wait ends first comes first, in whichever slice it is; all are counted."""
    second = Keys(slice=1)
    hours = {f"a{n}": timedelta(hours=4 - n) for n in range(4)}
    wait_for_people(redis, topic("a0"), topic("a2"), waits=hours)
    wait_for_people(redis, topic("a1"), topic("a3"), waits=hours, keys=second)
    with running_desk(redis_url, folder, desk_undo_seconds=0, slices=2) as desk:
        ann = desk.browser("ann")
        ann.get("/tasks/topic")
        assert "<dt>waiting</dt><dd>4</dd>" in ann.html
        ann.begin()
        shown = []
        while "/jobs/" in ann.path:
            shown.append(re.findall(r"<bdi>(a\d)</bdi>", ann.html)[0])
            ann.answer(label="a")
        assert shown == ["a3", "a2", "a1", "a0"]
        results = [
            keys.of_producer("default").result(f"a{n}") for keys in (KEYS, second) for n in range(4)
        ]
        wait_until(lambda: redis.exists(*results) == 4, description="all have ended")
        ann.close()
