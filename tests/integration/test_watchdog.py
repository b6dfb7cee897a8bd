"""The watchdog in a process of its own: it ends what hangs, and leaves alone what goes on."""

import subprocess
import sys

HANGS = """
import threading
from datetime import timedelta
from smallfirst_workers.watchdog import Watchdog

def hang(text):
    threading.Event().wait(60)

with Watchdog(timedelta(seconds=0.5)).watching():
    hang("canary")
"""
GOES_ON = """
import time
from datetime import timedelta
from smallfirst_workers.watchdog import Watchdog

dog = Watchdog(timedelta(seconds=5))
with dog.watching() as first:
    with dog.watching():
        pass
    until = time.monotonic() + 6
    while time.monotonic() < until:
        time.sleep(0.1)
        first.progress()
print("done")
"""
RESTS = """
import time
from datetime import timedelta
from smallfirst_workers.watchdog import Watchdog

dog = Watchdog(timedelta(seconds=1))
for rest in (0.01, 0.01, 2.5, 0.01, 2.5):
    with dog.watching():
        pass
    time.sleep(rest)
with dog.watching():
    time.sleep(0.95)
print("done")
"""


def run(program: str) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end."""
    arguments = [sys.executable, "-c", program]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)


def test_a_pass_that_hangs_ends_its_process_with_its_stack() -> None:
    """The dump says where it hung, and nothing of what it was about."""
    ended = run(HANGS)
    assert ended.returncode == 1
    assert "Timeout" in ended.stderr
    assert "in hang" in ended.stderr
    assert "canary" not in ended.stderr


def test_a_pass_that_answers_now_and_then_may_take_any_time() -> None:
    """Each answer starts the bound afresh, and a neighbour's end does not lift it."""
    ended = run(GOES_ON)
    assert (ended.returncode, ended.stdout) == (0, "done\n")


def test_who_has_nothing_to_do_is_left_alone() -> None:
    """The timer of the last pass does not end a process at rest, nor cut the next pass short."""
    ended = run(RESTS)
    assert (ended.returncode, ended.stdout) == (0, "done\n")
