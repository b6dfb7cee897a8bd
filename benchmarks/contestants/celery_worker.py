"""A Celery worker with a Redis of its own, for the contestants that are made of Celery."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from contest import NUM_PROCESSES
from redis import Redis
from redis.exceptions import RedisError


@contextmanager
def serve(tasks: str, *, pool: str) -> Iterator[str]:
    """Run Redis and one worker of a module's tasks; yield the broker's URL."""
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
        worker = subprocess.Popen(
            [*command, "-c", str(NUM_PROCESSES), "--loglevel", "WARNING"],
            env=environment,
            cwd=Path(__file__).parent,
            stdout=sys.stderr,
        )
        try:
            _wait_for(url)
            yield url
        finally:
            for process in (worker, redis):
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
