"""Child processes: they log, drain, come back when they crash, and never outlive their parent."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.waiting import WaitUntil

from smallfirst.local.follow import LogFollower
from smallfirst.local.processes import Child, Command, stop_children
from smallfirst.local.supervision import Supervisor, is_hopeless, wait_before_start

DRAINS = """
import signal, sys, time
def drain(*_):
    print("drained", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, drain)
print("up", flush=True)
time.sleep(600)
"""
IGNORES = DRAINS.replace("sys.exit(0)", "pass")
FAILS = "print('the catalogue is missing', flush=True); raise SystemExit(3)"


def command(
    program: str, *, name: str = "child", grace: timedelta = timedelta(seconds=10)
) -> Command:
    """A child that runs this program."""
    return Command(name=name, arguments=(sys.executable, "-c", program), grace=grace)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that waits to be buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def says(child: Child, words: str) -> Callable[[], bool]:
    """Whether a child has said this by now."""
    return lambda: words in child.tail()


@pytest.fixture
def start(tmp_path: Path, wait_until: WaitUntil) -> Iterator[Callable[[Command], Child]]:
    """Start children that are up when they are returned, and that are gone after the test."""
    started: list[Child] = []

    def start_one(what: Command) -> Child:
        child = Child(what, tmp_path)
        child.start()
        started.append(child)
        wait_until(says(child, "up"), description="the child is up")
        return child

    yield start_one
    for child in started:
        child.kill()


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    """Supervise children, each of which counts as started when it says so."""
    supervisor = Supervisor(tmp_path, lambda child: "up" in child.tail())
    supervisor.open()
    yield supervisor
    supervisor.hurry.set()
    supervisor.close()


def child_of(supervisor: Supervisor, name: str = "child") -> Child:
    """The latest run of a supervised command."""
    return supervisor._kept[name].child


def test_an_end_is_explained_by_this_run_alone(
    start: Callable[[Command], Child], wait_until: WaitUntil
) -> None:
    """What an earlier process of the same name left in the log is not quoted as the reason."""
    start(command("print('up; the catalogue is wrong', flush=True)"))
    second = start(command("print('up; the port is taken', flush=True)"))
    wait_until(lambda: second.exit_code() is not None, description="the second ended")
    assert second.last_words() == "up; the port is taken"
    assert "the catalogue is wrong" in second.tail()
    second.trim_log(most=1)
    assert second.last_words() == ""


def test_a_child_is_in_a_group_of_its_own(start: Callable[[Command], Child]) -> None:
    """Ctrl-C on a terminal reaches the parent alone, since no child shares its group."""
    child = start(command(DRAINS))
    assert os.getpgid(child.pid) == child.pid != os.getpgid(0)


def test_a_stopped_child_drains(start: Callable[[Command], Child]) -> None:
    """A request to stop lets a child finish what it has in hand."""
    child = start(command(DRAINS))
    assert stop_children([child]) == []
    assert child.exit_code() == 0
    assert child.tail().endswith("drained")


def test_a_child_that_does_not_stop_is_killed_after_its_grace(
    start: Callable[[Command], Child],
) -> None:
    """Who ignores the request is killed when the grace is over, and is named."""
    child = start(command(IGNORES, grace=timedelta(seconds=0.2)))
    assert stop_children([child]) == [child]
    assert child.exit_code() == -signal.SIGKILL


def test_haste_ends_the_grace(start: Callable[[Command], Child]) -> None:
    """A second Ctrl-C waits for nobody."""
    child = start(command(IGNORES, grace=timedelta(hours=1)))
    hurry = threading.Event()
    hurry.set()
    assert stop_children([child], hurry=hurry) == [child]


def test_who_does_not_hurry_keeps_its_grace(start: Callable[[Command], Child]) -> None:
    """Redis writes down what it has, however hasty everybody is."""
    child = start(replace(command(DRAINS), hurries=False))
    hurry = threading.Event()
    hurry.set()
    assert stop_children([child], hurry=hurry) == []
    assert child.exit_code() == 0


def test_a_crashed_child_is_started_again(supervisor: Supervisor, wait_until: WaitUntil) -> None:
    """Whatever kills a child that had started, it comes back, as often as that happens."""
    supervisor.start(command(DRAINS))
    for _ in range(4):
        wait_until(lambda: supervisor.started()["child"], description="it is up")
        pid = child_of(supervisor).pid
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: child_of(supervisor).pid != pid, description="it is started again")  # noqa: B023
    assert supervisor.failure is None


LEAVES_ONE_BEHIND = """
import subprocess, sys, time
sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("sleeper", sleeper.pid, "up", flush=True)
time.sleep(600)
"""


def test_what_a_killed_child_left_behind_ends_too(
    supervisor: Supervisor, wait_until: WaitUntil
) -> None:
    """A killed worker ends nothing itself; the engine of its model would keep all its memory."""
    supervisor.start(command(LEAVES_ONE_BEHIND))
    child = child_of(supervisor)
    wait_until(says(child, "up"), description="the child is up")
    left = int(child.tail().split()[1])
    os.kill(child.pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(left), description="what it left behind is gone")


def test_a_child_that_cannot_start_is_given_up(
    supervisor: Supervisor, wait_until: WaitUntil
) -> None:
    """Three failed starts in a row end it, with the exit code and what the last one said."""
    supervisor.start(command(FAILS))
    wait_until(lambda: supervisor.failure, description="it is given up")
    assert supervisor.failure is not None
    assert supervisor.failure.exit_code == 3
    assert supervisor.failure.last_lines.splitlines() == ["the catalogue is missing"]


def test_who_is_struck_down_at_once_is_not_given_up(
    supervisor: Supervisor, wait_until: WaitUntil
) -> None:
    """A child that came to life and died before anybody looked did not fail to start."""
    supervisor.start(command("import os; print('up', flush=True); os.kill(os.getpid(), 9)"))
    wait_until(lambda: child_of(supervisor).tail().count("up") > 4, description="five lives")
    assert supervisor.failure is None


def test_who_once_lived_is_not_given_up(supervisor: Supervisor, wait_until: WaitUntil) -> None:
    """What ends each start after a life, wrong settings even, may be over at the next one."""
    lives_once = """
import os, sys
from pathlib import Path
if Path("lived").exists():
    print("again", flush=True)
    sys.exit(78)
Path("lived").touch()
print("up", flush=True)
sys.exit(1)
"""
    supervisor.start(command(f"import os; os.chdir({str(supervisor.logs)!r})\n{lives_once}"))
    wait_until(
        lambda: child_of(supervisor).tail().count("again") > 3,
        description="four more starts",
        timeout=30,
    )
    assert supervisor.failure is None
    assert "child" in supervisor.started()


def test_a_child_that_nobody_needs_is_done_without(
    supervisor: Supervisor, wait_until: WaitUntil
) -> None:
    """Where a child is not essential, giving it up is no failure, and it is waited for no more."""
    supervisor.start(command(FAILS), is_essential=False)
    wait_until(lambda: not supervisor.started(), description="it is given up")
    assert supervisor.failure is None


def test_a_stopped_child_is_not_started_again(
    supervisor: Supervisor, wait_until: WaitUntil
) -> None:
    """What is stopped on purpose stays stopped."""
    supervisor.start(command(DRAINS))
    wait_until(lambda: supervisor.started()["child"], description="it is up")
    child = child_of(supervisor)
    supervisor.stop(["child"])
    assert child.exit_code() == 0
    assert supervisor.started() == {}


def test_waits_between_starts_double_up_to_a_bound() -> None:
    """A crash is tried again soon at first, and at least every half minute."""
    waits = [wait_before_start(exits).total_seconds() for exits in (1, 2, 3, 7, 8, 1000)]
    assert waits == [0.5, 1.0, 2.0, 30.0, 30.0, 30.0]


def test_wrong_settings_are_hopeless_at_once() -> None:
    """A child that says its settings are wrong is not tried again; one that had started is."""
    assert is_hopeless(1, exit_code=78)
    assert not is_hopeless(0, exit_code=78)
    assert not is_hopeless(2, exit_code=1)
    assert is_hopeless(3, exit_code=1)


PARENT = f"""
import sys, time
from pathlib import Path
from smallfirst.local.processes import Child, Command
from smallfirst.local.redis_server import RedisServer

program = {IGNORES!r}
folder = Path(sys.argv[1])
redis = RedisServer.start(folder / "redis", persistent=False)
child = Child(Command(name="child", arguments=(sys.executable, "-c", program)), folder)
child.start()
while "up" not in child.tail():
    time.sleep(0.01)
print(redis.child.pid, child.pid, flush=True)
time.sleep(600)
"""


def test_no_child_outlives_a_killed_parent(tmp_path: Path, wait_until: WaitUntil) -> None:
    """When the parent is killed with SIGKILL, its Redis and its other children go too."""
    arguments = [sys.executable, "-c", PARENT, str(tmp_path)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2
        assert all(map(is_alive, pids))
        parent.kill()
    wait_until(lambda: not any(map(is_alive, pids)), description="the children are gone")


def test_a_log_that_grows_too_large_is_moved_aside(start: Callable[[Command], Child]) -> None:
    """A log is bounded: what is old stands beside it, and the child goes on writing."""
    child = start(command(DRAINS))
    child.trim_log(most=1)
    assert child.log.with_suffix(".log.1").read_text() == "up\n"
    stop_children([child])
    assert child.log.read_text() == "drained\n"


def test_the_follower_shows_new_lines_with_their_process(tmp_path: Path) -> None:
    """Every whole line that is added to a log is shown once, with its process's name."""
    (tmp_path / "worker-1.log").write_text("old\n")
    shown: list[tuple[str, str]] = []
    with LogFollower(tmp_path, lambda name, line: shown.append((name, line))):
        with (tmp_path / "worker-1.log").open("a") as log:
            log.write("new\nhalf a")
        (tmp_path / "router-1.log").write_text("first\n")
    assert sorted(shown) == [("router-1", "first"), ("worker-1", "new")]
