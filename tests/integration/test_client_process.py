"""How a client lives with the process it is in: forks, interrupts, being forgotten, the end."""

import gc
import subprocess
import sys
import threading

from tests.support.waiting import WaitUntil

from smallfirst import Job, LabelAnswer
from smallfirst.testing import MemoryFleet

PRELUDE = """
import os, signal, threading
from smallfirst import Client, ClientMoved, Job, LabelAnswer
from smallfirst.testing import MemoryFleet

fleet = MemoryFleet(lambda job: LabelAnswer(label="x", confidence=1.0))
client = fleet.client()
job = Job(id="a", task="topic", text="hello")
"""


def run(script: str) -> str:
    """Run a program that has a client, and return what it printed."""
    # Python 3.12 warns of any fork beside a thread; these forks are the point.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PRELUDE + script]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def num_client_threads() -> int:
    """How many clients' threads live."""
    return sum(thread.name == "smallfirst-client" for thread in threading.enumerate())


def test_a_client_does_not_survive_a_fork() -> None:
    """In the child every use says what to do, and neither use nor end hangs; the parent goes on."""
    script = """
client.submit(job)
if (child := os.fork()) == 0:
    for use, argument in ((client.submit, job), (client.map, [job]), (client.status, "a")):
        try:
            list(use(argument))
        except ClientMoved as error:
            print(error, flush=True)
    client.close()
    os._exit(0)
os.waitpid(child, 0)
print(client.result("a", timeout=5).status)
client.close()
"""
    said = "the client belongs to another process; create it after the fork"
    assert run(script).splitlines() == 3 * [said] + ["answered"]


def test_a_client_may_be_made_before_a_fork_and_used_after() -> None:
    """What has not been used yet works in parent and child."""
    script = """
child = os.fork()
client.submit(job)
answered = client.result("a", timeout=5)
client.close()
if child:
    os.waitpid(child, 0)
print(answered.status, flush=True)
"""
    assert run(script).splitlines() == ["answered", "answered"]


def test_a_program_may_end_without_closing() -> None:
    """Leaving a client open keeps no program from ending, even with a wait under way."""
    script = """
fleet.hold()
client.submit(job)
threading.Thread(target=lambda: client.result("a"), daemon=True).start()
results = client.map([job])
threading.Thread(target=lambda: next(results), daemon=True).start()
print("end")
"""
    command = [sys.executable, "-c", PRELUDE + script]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert (ended.returncode, ended.stdout) == (0, "end\n")


def test_an_interrupt_ends_a_wait() -> None:
    """Ctrl-C reaches the program while it waits, and the client still works."""
    script = """
fleet.hold()
client.submit(job)
for wait in (lambda: client.result("a"), lambda: list(client.map([job]))):
    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    try:
        wait()
    except KeyboardInterrupt:
        print("interrupted")
fleet.release()
print(client.result("a", timeout=5).status)
client.close()
"""
    assert run(script).splitlines() == ["interrupted", "interrupted", "answered"]


def test_a_forgotten_client_ends_its_thread(wait_until: WaitUntil) -> None:
    """A client that is dropped and never closed leaves no thread behind."""
    fleet = MemoryFleet(lambda _: LabelAnswer(label="x", confidence=1.0))
    client = fleet.client()
    results = client.map(Job(task="topic", text=f"text {i}") for i in range(10))
    next(results)
    assert num_client_threads() == 1
    del client, results
    gc.collect()
    wait_until(lambda: num_client_threads() == 0, description="the thread has ended")


def test_an_unused_client_has_no_thread() -> None:
    """The thread starts with the first call, and not before."""
    with MemoryFleet(lambda _: LabelAnswer(label="x", confidence=1.0)).client() as client:
        assert num_client_threads() == 0
        client.submit(Job(task="topic", text="hello"))
        assert num_client_threads() == 1
    assert num_client_threads() == 0
