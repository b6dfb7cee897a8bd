"""Infinity, a server of embeddings: torch, a server a core, asked over HTTP on this machine."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import aiohttp
import numpy as np
from contest import NUM_PROCESSES, NUM_WARM, Work, asked, tell, timed
from numpy.typing import NDArray

#: Texts of all requests that are open at once.
IN_FLIGHT = 512
#: How long a model may take to load.
_LOAD_SECONDS = 300


@contextmanager
def servers(work: Work) -> Iterator[list[str]]:
    """Run one a core, each with one thread; give their addresses."""
    ports = [_free_port() for _ in range(NUM_PROCESSES)]
    started = [_start(work, port) for port in ports]
    try:
        for port in ports:
            _wait(f"http://127.0.0.1:{port}/health")
        yield [f"http://127.0.0.1:{port}/embeddings" for port in ports]
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait()


def _start(work: Work, port: int) -> subprocess.Popen[bytes]:
    command = [
        *(str(Path(sys.executable).with_name("infinity_emb")), "v2"),
        *("--model-id", str(work.model), "--served-model-name", "encoder"),
        *("--engine", "torch", "--device", "cpu", "--dtype", "bfloat16", "--batch-size", "64"),
        *("--no-model-warmup", "--no-compile", "--host", "127.0.0.1", "--port", str(port)),
    ]
    own = {"DO_NOT_TRACK": "1", "INFINITY_ANONYMOUS_USAGE_STATS": "0", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command,
        env={**os.environ, **own},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _wait(url: str) -> None:
    until = time.monotonic() + _LOAD_SECONDS
    while True:
        try:
            urlopen(url, timeout=5).close()  # noqa: S310 - this machine's own
        except (URLError, ConnectionError, TimeoutError):
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
        else:
            return


async def vectors(urls: list[str], texts: list[str], size: int) -> NDArray[np.float32]:
    """Ask for all, so many texts a request."""
    parts = [texts[begin : begin + size] for begin in range(0, len(texts), size)]
    turns = asyncio.Semaphore(max(1, IN_FLIGHT // size))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def one(number: int, part: list[str]) -> list[list[float]]:
            url, asked = urls[number % len(urls)], {"model": "encoder", "input": part}
            async with turns, session.post(url, json=asked) as reply:
                reply.raise_for_status()
                told = await reply.json()
                return [each["embedding"] for each in told["data"]]

        found = await asyncio.gather(*(one(*part) for part in enumerate(parts)))
    return np.array([vector for part in found for vector in part], np.float32)


def main(size: int) -> None:
    """Take part, with so many texts a request."""
    work = asked()
    with servers(work) as urls:
        asyncio.run(vectors(urls, list(work.texts[:NUM_WARM]), size))
        with timed() as timing:
            labels = work.judged(asyncio.run(vectors(urls, list(work.texts), size)))
    tell(timing, labels)
