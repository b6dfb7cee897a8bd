"""vLLM inside a process: what it needs to start, and what memory it keeps."""

import ctypes
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from smallfirst.catalogue import Model
from smallfirst_workers.llm.vllm.async_engine import REQUESTS_PER_TRIM, AsyncEngine
from smallfirst_workers.llm.vllm.memory import MemoryTrimExtension, trim_memory

pytestmark = [
    pytest.mark.timeout(300),
    # vLLM imports parts of torch that are scripted with what torch is about to drop.
    pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning"),
]

KIB, MIB = 2**10, 2**20
#: Below malloc's smallest bound for pieces of their own, which are given back when they are freed.
PIECE = 32 * KIB
PLANTED = 64 * MIB
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]


@pytest.fixture
def vllm(
    babble: Path, vllm_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[AsyncEngine]:
    """A running engine that finds no compiler, nor what another has compiled.

    vLLM asks `lscpu`, which every Debian has, for the cores.
    """
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "lscpu").symlink_to(shutil.which("lscpu") or "/usr/bin/lscpu")
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "compiled"))
    known, own = vllm_cache / "modelinfos", tmp_path / "vllm"
    if known.exists():
        shutil.copytree(known, own / known.name)
    monkeypatch.setenv("VLLM_CACHE_ROOT", str(own))
    vllm = AsyncEngine("babble")
    vllm.start(babble, Model(tier="llm", source=str(babble)), cache=tmp_path)
    try:
        yield vllm
    finally:
        vllm.stop()


@pytest.fixture
def planted() -> Iterator[None]:
    """Free memory that malloc keeps: the last piece of it lies behind the others and stays."""
    pieces = [libc.malloc(PIECE) for _ in range(PLANTED // PIECE)]
    for piece in pieces:
        ctypes.memset(piece, 1, PIECE)
    for piece in pieces[:-1]:
        libc.free(piece)
    yield
    libc.free(pieces[-1])


def private_bytes() -> int:
    """What belongs to this process alone."""
    return int(psutil.Process().memory_full_info().uss)


@pytest.mark.usefixtures("planted")
def test_free_pages_are_given_back() -> None:
    """Wherever they lie."""
    before = private_bytes()
    trim_memory()
    assert private_bytes() < before - PLANTED * 0.9


def test_memory_is_given_back_as_requests_come(
    vllm: AsyncEngine, request: pytest.FixtureRequest
) -> None:
    """By the worker's process, and by those of vLLM, which know how; no compiler is needed."""
    request.getfixturevalue("planted")
    before = private_bytes()
    for _ in range(REQUESTS_PER_TRIM):
        vllm.loop.call(vllm.next_logprobs((1, 2, 3), (4, 5)))
    assert private_bytes() < before - PLANTED * 0.7
    told = vllm._engine.collective_rpc(MemoryTrimExtension.trim_memory.__name__)
    assert vllm.loop.call(told) == [None]
