"""A fleet on this machine: started, found, stopped, and why it cannot start."""

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from smallfirst.local.folder import only_fleet_in
from smallfirst.process.announcement import Addresses, announced

Smallfirst = Callable[..., Any]


RULES_ONLY = """\
version: 1
pools:
  cpu: {tier: slm, max_parameters: 50M}
tasks:
  ids:
    kind: tag
    labels: {ssn: US social security number}
    cascade:
      - rule: {find: [ssn]}
        accept: always
"""


@pytest.fixture
def local(smallfirst: Smallfirst, tmp_path: Path) -> Smallfirst:
    """Run a command that finds its fleet by the folder alone."""

    def run(*arguments: object, **variables: str) -> Any:
        variables["SMALLFIRST_REDIS_URL"] = ""
        return smallfirst("--folder", tmp_path / "fleet", *arguments, **variables)

    return run


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """A catalogue that needs no worker."""
    path = tmp_path / "catalogue.yaml"
    path.write_text(RULES_ONLY)
    return path


def test_a_fleet_on_this_machine_is_found_by_itself(
    local: Smallfirst, redis_url: str, catalogue: Path, tmp_path: Path
) -> None:
    """Where nothing names a Redis, the fleet that has the folder is the one that is meant."""
    folder = tmp_path / "fleet"
    addresses = Addresses(redis_url, "sf", str(catalogue), str(folder), None, 1)
    with only_fleet_in(folder), announced(addresses):
        assert local("queues", "--json").code == 0
        [ids] = local("tasks", "--json").json
        checks = {check["name"]: check for check in local("doctor", "--json").json}
    assert checks["catalogue"]["detail"].startswith(str(catalogue))
    assert (ids["task"], ids["kind"], list(ids["labels"])) == ("ids", "tag", ["ssn"])


def test_the_tasks_of_a_catalogue_are_listed(
    local: Smallfirst, catalogue: Path, tmp_path: Path
) -> None:
    """A producer sees what may be asked, with its kind and labels; and which file is missing."""
    listed = local("tasks", "--catalogue", catalogue)
    assert listed.code == 0
    assert listed.out.splitlines()[1].split() == ["ids", "tag", "ssn"]
    missing = local("tasks", "--catalogue", tmp_path / "none.yaml")
    assert (missing.code, "name one with --catalogue" in missing.err) == (2, True)


def test_up_runs_a_fleet_until_it_is_interrupted(
    local: Smallfirst,
    command: list[str],
    bare_environment: dict[str, str],
    catalogue: Path,
    tmp_path: Path,
) -> None:
    """`up` prints where things are, serves other commands, and drains on Ctrl-C with exit 0."""
    folder = tmp_path / "fleet"
    options = ["up", "--catalogue", str(catalogue), "--no-flower", "--json"]
    with subprocess.Popen(
        [*command, "--folder", str(folder), *options],
        env=bare_environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        addresses = json.loads(process.stdout.readline())
        second = local("up", "--catalogue", catalogue)
        done = local("submit", "--task", "ids", "--wait", "is 536-22-1234 his?")
        in_force = local("queues", "--json").json["catalogue"]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
    assert (done.code, "ssn 3-14" in done.out) == (0, True)
    assert (len(in_force["revision"]), in_force["rejected"]) == (12, [])
    assert (second.code, "a fleet runs already" in second.err) == (1, True)
    assert not (folder / "fleet.json").exists()
    with Redis.from_url(addresses["redis_url"]) as redis, pytest.raises(RedisConnectionError):
        redis.ping()


@pytest.mark.parametrize("command_name", ["up", "demo"])
@pytest.mark.parametrize("option", ["--redis-url", "--namespace"])
def test_a_fleet_here_has_its_own_redis(
    smallfirst: Smallfirst, command_name: str, option: str
) -> None:
    """Who names another Redis, or its keys, is told, and not given a fleet elsewhere."""
    value = "redis://127.0.0.1:1" if option == "--redis-url" else "acme"
    done = smallfirst(option, value, command_name)
    assert (done.code, done.out) == (2, "")
    assert f"leave {option} out" in done.err
    assert "python -m smallfirst_router" in done.err


def test_up_tells_why_a_process_cannot_start(local: Smallfirst, catalogue: Path) -> None:
    """Where a router refuses its settings, `up` stops everything and shows what it said."""
    wrong = {"SMALLFIRST_READ_COUNT": "0"}
    done = local("up", "--catalogue", catalogue, "--no-flower", **wrong)
    assert done.code == 1
    assert "router-1 ended with 78" in done.err
    assert "SMALLFIRST_READ_COUNT" in done.err


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("cascade", "cascad", "8: tasks.ids.cascad"),
        ("find: [ssn]", "patterns: [{label: ssn, pattern: '('}]", "missing )"),
    ],
)
def test_a_wrong_catalogue_starts_nothing(
    local: Smallfirst, catalogue: Path, tmp_path: Path, right: str, wrong: str, said: str
) -> None:
    """What can be seen in the file is said before any process is started."""
    catalogue.write_text(RULES_ONLY.replace(right, wrong))
    done = local("up", "--catalogue", catalogue)
    assert done.code == 2
    assert f"{catalogue}:" in done.err
    assert said in done.err
    assert not (tmp_path / "fleet").exists()


def test_the_demo_says_what_it_misses(smallfirst: Smallfirst, catalogue: Path) -> None:
    """Without a file of texts the demo starts nothing and names the option."""
    done = smallfirst("demo", "--catalogue", catalogue)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "--data" in done.err


def test_the_demo_shows_one_table_and_leaves_nothing(
    smallfirst: Smallfirst, catalogue: Path, tmp_path: Path
) -> None:
    """The demo asks each text what its gold names, prints who answered, and cleans up."""
    gold = {"gold": {"ids": [{"start": 3, "end": 14, "label": "ssn"}]}}
    data = tmp_path / "data.jsonl"
    data.write_text(json.dumps({"id": "a", "text": "is 536-22-1234 his?", **gold}) + "\n")
    rest = tmp_path / "rest"
    rest.mkdir()
    done = smallfirst("demo", "--catalogue", catalogue, "--data", data, TMPDIR=str(rest))
    assert done.code == 0
    assert "100.0 % span F1" in done.out
    assert "smallfirst up --catalogue" in done.out
    assert list(rest.iterdir()) == []


PEOPLE = """
version: 1
tasks:
  topic:
    kind: classify
    labels: {card: About a card., other: About something else.}
    cascade:
      - rule: {patterns: [{label: card, pattern: card}]}
        accept: match
      - person: {wait: 1h}
  reply: {kind: generate, cascade: [{person: {wait: 1h}}]}
"""


def test_people_of_the_demo_are_played(smallfirst: Smallfirst, tmp_path: Path) -> None:
    """What no rule answers has the row's own answer, as a person's; what nobody knows abstains."""
    catalogue, data = tmp_path / "catalogue.yaml", tmp_path / "data.jsonl"
    catalogue.write_text(PEOPLE)
    rows = [
        {"id": "a", "text": "My card is gone.", "gold": {"topic": "card"}},
        {"id": "b", "text": "Where is my parcel?", "gold": {"topic": "other"}},
        {"id": "c", "text": "Where is my letter?", "gold": {"topic": "other"}},
        {"id": "d", "text": "Thank you.", "gold": {"reply": "You are welcome."}},
    ]
    data.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    done = smallfirst("demo", "--catalogue", catalogue, "--data", data, "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    by_step = {(row["task"], row.get("tier", row["status"])): row["jobs"] for row in told["rows"]}
    assert by_step == {("topic", "rule"): 1, ("topic", "human"): 2, ("reply", "abstained"): 1}
    assert "played reviewer" in done.err
