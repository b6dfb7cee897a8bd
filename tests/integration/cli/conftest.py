"""The commands as processes, on a real Redis; a thread with the real ledger answers the jobs."""

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError
from redis import Redis
from tests.support.warm_commands import WarmCommands

from smallfirst import results
from smallfirst.answers import (
    Evidence,
    Explanation,
    ExplanationMethod,
    LabelAnswer,
    LikeExample,
)
from smallfirst.catalogue.likeness import text_key
from smallfirst.jobs import Attempt, Job, Outcome, Problem, Status, Tier
from smallfirst.ledger.entries import StreamEntry
from smallfirst.ledger.keys import ROUTER_GROUP, ROUTERS, Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.settlements import Cancel, Finish, Refuse, Settlement, dead_letter

KEYS = Keys()
OWN = KEYS.of_producer("default")


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed for programs."""
        return json.loads(self.out)


@pytest.fixture(scope="session")
def command() -> list[str]:
    """The command line, as the console script would be."""
    return [sys.executable, "-m", "smallfirst"]


@pytest.fixture(scope="session")
def bare_environment() -> dict[str, str]:
    """This process's environment, in which nothing names a fleet."""
    return {name: value for name, value in os.environ.items() if "SMALLFIRST" not in name}


@pytest.fixture
def environment(bare_environment: dict[str, str], redis_url: str) -> dict[str, str]:
    """The environment that names the test's Redis."""
    return {**bare_environment, "SMALLFIRST_REDIS_URL": redis_url}


@pytest.fixture(scope="session")
def warm_commands() -> Iterator[WarmCommands]:
    """Whoever runs command lines."""
    commands = WarmCommands()
    yield commands
    commands.close()


@pytest.fixture
def smallfirst(warm_commands: WarmCommands, environment: dict[str, str]) -> Callable[..., Done]:
    """Run a command to its end: `smallfirst(*arguments, stdin=..., **variables)`."""

    def run(*arguments: object, stdin: str = "", **variables: str) -> Done:
        given = [str(each) for each in arguments]
        done = warm_commands.run(given, stdin, {**environment, **variables})
        assert "Traceback" not in done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def fleet(redis_url: str) -> Iterator[None]:
    """Be a fleet: read what is submitted, and settle it."""
    over = threading.Event()
    thread = threading.Thread(target=serve, args=(redis_url, over))
    thread.start()
    yield
    over.set()
    thread.join()


def serve(redis_url: str, over: threading.Event) -> None:
    """Answer until it is over."""
    with Redis.from_url(redis_url) as redis:
        ledger = Ledger(redis, KEYS, "router-test")
        ledger.open([OWN.jobs], ROUTER_GROUP)
        while not over.is_set():
            ledger.lives.beat(ROUTERS)
            block = timedelta(milliseconds=20)
            entries = ledger.read([OWN.jobs], ROUTER_GROUP, count=500, block=block)
            now_ms = ledger.now_ms()
            settlements = [settlement(entry, now_ms) for entry in entries]
            ended = [each for each in settlements if each is not None]
            ledger.settle(OWN.jobs, ROUTER_GROUP, ended)


def settlement(entry: StreamEntry, now_ms: int) -> Settlement | None:
    """End one submission: the text's first word is the label, or says how the job ends."""
    if b"cancel" in entry.fields:
        return _cancelled(entry, now_ms)
    raw = entry.fields[b"job"]
    times: Any = {"submitted_ms": entry.written_ms(now_ms), "now_ms": now_ms}
    try:
        job = Job.model_validate_json(raw)
    except ValidationError:
        letter = dead_letter(raw, "invalid", producer="default", detail="the job is not JSON")
        return Refuse(entry=entry.entry, producer="default", letter=letter, raw=raw)
    word = job.text.split()[0]
    attempt = Attempt(
        step=0,
        tier=job.first_tier or Tier.RULE,
        model="words",
        revision="1",
        outcome=Outcome.ACCEPTED,
    )
    if word == "hold":
        return None
    if word == "fail":
        problem = Problem(code="model_error", message="the model broke")
        result = results.unanswered(job, Status.FAILED, problem, **times)
    elif word == "abstain":
        result = results.run_out(job, (), **times)
    elif word == "doubt":
        unsure = {"outcome": Outcome.ESCALATED, "confidence": 0.4, "threshold": 0.9}
        said = LabelAnswer(label="billing", confidence=0.4)
        tried = attempt.model_copy(update={**unsure, "answer": said})
        result = results.run_out(job, (tried,), **times)
    else:
        answer = LabelAnswer(label=word, confidence=0.9, **_why(word, is_told=job.explain))
        result = results.answered(job, answer, (attempt,), **times)
    return Finish(
        entry=entry.entry,
        producer="default",
        result=result,
        reply_to=job.reply_to,
        is_first_seen=True,
        raw=raw,
    )


def _why(word: str, *, is_told: bool) -> dict[str, Any]:
    """The first word is the whole reason; it is like a row of that word, and one that is gone."""
    if not is_told:
        return {}
    alike = tuple(
        LikeExample(number=number, labels=(word,), key=text_key(text), likeness=0.5)
        for number, text in ((7, word), (9, "gone"))
    )
    parts = {"score": 2.0, "bias": 0.5, "rest": 0.0, "alike": alike}
    told = Explanation.model_validate({"method": ExplanationMethod.WEIGHTS, "label": word, **parts})
    return {"evidence": (Evidence(start=0, end=len(word), weight=1.5),), "explanation": told}


def _cancelled(entry: StreamEntry, now_ms: int) -> Settlement:
    job_id = entry.fields[b"cancel"].decode()
    times: Any = {"submitted_ms": entry.written_ms(now_ms), "now_ms": now_ms}
    result = results.without_job(job_id, Status.CANCELLED, results.CANCELLED, **times)
    return Cancel(entry=entry.entry, producer="default", result=result)
