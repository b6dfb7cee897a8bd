"""One job at a time, and how commands end."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from redis import Redis

from smallfirst.cli import app
from smallfirst.ledger.keys import Keys

#: The fixtures' types, as far as they matter here; see conftest.
Smallfirst = Callable[..., Any]
WaitUntil = Callable[..., None]
KEYS = Keys()
OWN = KEYS.of_producer("default")


@pytest.mark.usefixtures("fleet")
def test_a_submitted_job_is_answered_under_its_id(smallfirst: Smallfirst) -> None:
    """`submit` prints the id, by which `result` and `status` find the answer."""
    done = smallfirst("submit", "--task", "topic", "--id", "job-1", "billing please")
    assert (done.code, done.out) == (0, "job-1\n")
    done = smallfirst("result", "job-1", "--timeout", "10", "--json")
    assert (done.code, done.json["answer"]["label"]) == (0, "billing")
    assert smallfirst("status", "job-1").out == "answered\n"


@pytest.mark.usefixtures("fleet")
def test_a_text_can_come_from_stdin_and_be_waited_for(smallfirst: Smallfirst) -> None:
    """`submit --wait` reads a piped text, and prints the result for people."""
    done = smallfirst("submit", "--task", "topic", "--wait", stdin="return the pan\n")
    assert done.code == 0
    assert "answered by rule" in done.out
    assert "return (0.90 sure)" in done.out


@pytest.mark.usefixtures("fleet")
def test_a_failed_job_is_exit_1(smallfirst: Smallfirst) -> None:
    """A result without an answer says why, and is no success; an abstention is none either way."""
    done = smallfirst("submit", "--task", "topic", "--wait", "fail now")
    assert done.code == 1
    assert "model_error: the model broke" in done.out
    assert smallfirst("submit", "--task", "topic", "--wait", "abstain now").code == 0


@pytest.mark.usefixtures("fleet")
def test_an_answer_is_explained_at_once_or_later(smallfirst: Smallfirst) -> None:
    """`submit --explain` shows the words; `explain` does by the id, in the text if it is given."""
    job = ("submit", "--task", "topic", "--id", "job-1", "--explain", "--last-tier", "llm")
    at_once = smallfirst(*job, "--wait", "billing please")
    assert at_once.code == 0
    assert "[billing +1.50] please\n" in at_once.out
    done = smallfirst("explain", "job-1", "--text", "-", stdin="billing please\n")
    assert (done.code, done.out) == (0, at_once.out)
    done = smallfirst("explain", "job-1")
    assert "characters 0 to 7: +1.50" in done.out
    assert "billing please" not in done.out
    done = smallfirst("explain", "job-1", "--json")
    assert done.json["evidence"] == [{"start": 0, "end": 7, "weight": 1.5}]
    assert done.json["explanation"]["method"] == "weights"


@pytest.mark.usefixtures("fleet")
def test_the_rows_that_a_text_is_like_are_shown(smallfirst: Smallfirst, tmp_path: Path) -> None:
    """With their texts where a file has them, harmless and short; and nothing is made up."""
    rows = tmp_path / "rows.jsonl"
    said = [
        {"text": "other"},
        {"text": "BILLING\n\u001b[ " + "! " * 99},
        "no row",
        {"label": "x"},
    ]
    rows.write_text("".join(f"{json.dumps(each)}\n" for each in said))
    smallfirst(
        "submit", "--task", "topic", "--id", "job-1", "--explain", "--wait", "billing please"
    )
    assert "like row 7 (billing), 0.50 alike\n" in smallfirst("explain", "job-1").out
    done = smallfirst("explain", "job-1", "--rows", rows)
    assert "like row 7 (billing), 0.50 alike: BILLING \\u001b[ ! !" in done.out
    assert "! [...]\n" in done.out
    assert "like row 9 (billing), 0.50 alike: its text is in none of these files\n" in done.out
    assert max(map(len, done.out.splitlines())) < 200
    done = smallfirst("explain", "job-1", "--rows", tmp_path / "gone.jsonl")
    assert (done.code, "gone.jsonl: No such file or directory; see --rows" in done.err) == (2, True)


@pytest.mark.usefixtures("fleet")
def test_what_is_not_explained_is_said(smallfirst: Smallfirst) -> None:
    """Another text than the job's, a job that did not ask, one without an answer, none at all."""
    topic = ("submit", "--task", "topic", "--wait", "--id")
    smallfirst(*topic, "job-1", "--explain", "billing please")
    done = smallfirst("explain", "job-1", "--text", "billing, please")
    assert (done.code, done.out) == (2, "")
    assert "the text is not the one that job-1 was asked about" in done.err
    smallfirst(*topic, "job-2", "billing please")
    done = smallfirst("explain", "job-2")
    assert done.code == 1
    assert "nothing tells why job-2 was answered so: submit it with --explain" in done.err
    smallfirst(*topic, "job-3", "abstain now")
    assert "job-3 has no answer that could be explained" in smallfirst("explain", "job-3").err
    assert "nothing is known of job-4" in smallfirst("explain", "job-4").err


def test_what_is_not_there_yet_is_said(smallfirst: Smallfirst) -> None:
    """Without a router a job is `submitted`, and without a submission its id is `unknown`."""
    smallfirst("submit", "--task", "topic", "--id", "job-1", "billing please")
    done = smallfirst("result", "job-1")
    assert (done.code, done.out) == (1, "")
    assert "no result of job-1 yet: it is submitted" in done.err
    assert smallfirst("status", "job-1", "--json").json == {"id": "job-1", "state": "submitted"}
    assert smallfirst("status", "job-2").code == 1
    done = smallfirst("result", "job-2", "--json")
    assert (done.code, done.json) == (1, {"id": "job-2", "state": "unknown"})
    done = smallfirst("cancel", "job-2")
    assert (done.code, done.out) == (
        1,
        "asked to cancel job-2, of which nothing is known\n",
    )
    assert "nothing is known of job-2" in smallfirst("result", "job-2").err


@pytest.mark.usefixtures("fleet")
def test_a_cancelled_job_says_so(
    smallfirst: Smallfirst, redis: Redis, wait_until: WaitUntil
) -> None:
    """`cancel` ends a job that has no result yet."""
    redis.hset(OWN.job("job-1"), mapping={"origin": "1-1", "at": Keys().escalations})
    redis.expire(OWN.job("job-1"), 60)
    asked = {"id": "job-1", "cancel": "asked", "state": "queued"}
    assert smallfirst("cancel", "job-1", "--json").json == asked
    wait_until(lambda: redis.exists(OWN.result("job-1")), description="it is cancelled")
    done = smallfirst("result", "job-1")
    assert done.code == 1
    assert "cancelled" in done.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["submit", "x"], "Missing option '--task'"),
        (["submit", "--task", "t", "--id", "a b", "x"], "id: must match pattern"),
        (["submit", "--task", "t", "--metadata", "x", "y"], "--metadata takes KEY=VALUE"),
        (["submit", "--task", "t", "--deadline", "-1", "y"], "deadline: must be greater than 0"),
        (["result"], "Missing argument"),
        (["nonsense"], "No such command 'nonsense'"),
        (["dead", "replay"], "name the entries, or else --all or --reason"),
        (["dead", "show", "x"], "'x' is no dead letter"),
        (["run", "missing.jsonl"], "missing.jsonl: no such file"),
        (["up", "--catalogue", "missing.yaml"], "missing.yaml: no such file"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    smallfirst: Smallfirst, arguments: list[str], words: str
) -> None:
    """Who uses a command wrongly is told what is wrong in one line, and nothing is done."""
    done = smallfirst(*arguments)
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert done.err.count("\n") == 1


def test_without_redis_the_error_says_what_to_do(
    command: list[str], bare_environment: dict[str, str]
) -> None:
    """An unreachable fleet is exit 3 and one line; --debug adds the traceback."""
    for options, is_debug in (([], False), (["--debug"], True)):
        done = subprocess.run(
            [*command, "--redis-url", "redis://127.0.0.1:1/0", *options, "queues"],
            env=bare_environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 3
        assert "start a fleet with `smallfirst up`" in done.stderr
        assert ("Traceback" in done.stderr) is is_debug
        assert is_debug or done.stderr.count("\n") == 1


def test_every_command_speaks_json() -> None:
    """Each command has --json."""
    group: Any = typer.main.get_command(app)
    commands = {(name,): group.load(name) for name in group.commands}
    groups = {name for name, command in commands.items() if hasattr(command, "commands")}
    for name in groups:
        commands |= {(*name, own): one for own, one in commands.pop(name).commands.items()}
    for name, command in commands.items():
        assert any("--json" in option.opts for option in command.params), name
