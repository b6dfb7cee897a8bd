"""A Celery worker with a Redis of its own, for the contestants that are made of Celery."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from celery import Celery
from contest import NUM_PROCESSES, Timing, asked, tell, timed
from redis import Redis
from redis.exceptions import RedisError

#: Texts that go first: every process has loaded its model after them.
NUM_FIRST = 64
#: A result that takes longer than this ends the contestant.
RESULT_SECONDS = 300


@contextmanager
def serve(tasks: str, *, pool: str) -> Iterator[str]:
    """Run Redis and workers of a module's tasks, one thread a core in all; yield the broker's URL.

    A prefork pool is one worker with a process a core, a solo pool a worker a core.
    """
    with tempfile.TemporaryDirectory(prefix="speed-celery-") as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        url = f"redis://127.0.0.1:{port}/0"
        redis = subprocess.Popen(
            ["redis-server", "--port", str(port), "--dir", folder, "--appendonly", "yes"],
            stdout=subprocess.DEVNULL,
        )
        command = [sys.executable, "-m", "celery", "-A", tasks, "worker", "-P", pool]
        environment = {**os.environ, "BROKER": url, "WORK": sys.argv[1], "OMP_NUM_THREADS": "1"}
        shares = [NUM_PROCESSES] if pool == "prefork" else [1] * NUM_PROCESSES
        workers = [
            subprocess.Popen(
                [*command, "-c", str(share), "-n", f"worker-{number}", "--loglevel", "WARNING"],
                env=environment,
                cwd=Path(__file__).parent,
                stdout=sys.stderr,
            )
            for number, share in enumerate(shares)
        ]
        try:
            _wait_for(url)
            yield url
        finally:
            for process in (*workers, redis):
                process.terminate()
                process.wait()


def _wait_for(url: str) -> None:
    redis = Redis.from_url(url)
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            redis.ping()
        except RedisError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError("redis-server did not start within 30 s")


def one_text_a_task(tasks: str, name: str, *, pool: str) -> None:
    """Send a task for every text, wait for its label, and tell what that took."""
    work = asked()
    with serve(tasks, pool=pool) as broker:
        send = Celery(broker=broker, backend=broker).signature(name).clone
        answers(send, [(text,) for text in work.texts[:NUM_FIRST]])
        with timed() as timing:
            labels = answers(send, [(text,) for text in work.texts])
    end(timing, labels)


def answers(send: Callable[..., Any], asked_of: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Send a task for each tuple of arguments, all at once; return what they return, in order."""
    sent = [send(arguments).apply_async() for arguments in asked_of]
    return [one.get(timeout=RESULT_SECONDS) for one in sent]


def end(timing: Timing, labels: Sequence[str]) -> NoReturn:
    """Tell what was found, and end at once.

    Celery's results say goodbye to their Redis when they go, and would wait for it for minutes.
    """
    tell(timing, labels)
    os._exit(0)
