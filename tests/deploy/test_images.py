"""The images hold what they need: each recipe is followed here, and what comes out is started.

The packages come from the index, so this takes a minute, and for the image of large models, which
is ten gigabytes, another.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import psutil
import pytest
import yaml
from tests.support.charts import PLAIN, ROOT
from tests.support.images import Image, follow
from tests.support.waiting import WaitUntil

from smallfirst.local.redis_server import free_port

pytestmark = pytest.mark.timeout(900)
large = pytest.param(
    "llm",
    marks=[
        pytest.mark.skipif(
            shutil.disk_usage(tempfile.gettempdir()).free < 20 * 2**30,
            reason="too little room: an image of 10 GB, and what is fetched for it",
        ),
        pytest.mark.timeout(3600),
    ],
)
ALL = ("router", "flower", "desk", "slm", large)
#: What a component asks for first, where it is told nothing.
LACKS = {
    "router": "catalogue.yaml",
    "desk": "desk-users.yaml",
    "slm": "SMALLFIRST_POOL",
    "llm": "SMALLFIRST_POOL",
}
SUBMIT = ("python", "-m", "smallfirst", "submit", "--wait", "--timeout", "200")
#: Programs that end well where what a pool may ask of an image is in it.
NEEDED = {
    "slm": """
from pathlib import Path
from smallfirst.catalogue import Model
from smallfirst_workers.engines import LoadContext
from smallfirst_workers.models import load_engine
far = Model(tier="llm", source="far", endpoint="http://127.0.0.1:9/v1")
load_engine("far", far, LoadContext(cache=Path("cache"))).unload()
""",
    "llm": r"""
import inspect, pathlib, re, smallfirst_workers.llm as llm
for path in pathlib.Path(llm.__file__).parent.rglob("*.py"):
    for line in re.findall(r"^ +(from vllm.* import [^#(\n]*)", path.read_text(), re.MULTILINE):
        print(line)
        exec(line)
from smallfirst.catalogue import Model
from smallfirst_workers.llm.vllm.engine_arguments import engine_arguments
from vllm.engine.arg_utils import AsyncEngineArgs
told = engine_arguments("any", pathlib.Path("any"), Model(tier="llm", source="./any"))
assert told.keys() <= inspect.signature(AsyncEngineArgs).parameters.keys()
from smallfirst_workers.prompting.example_selection import bundled_encoder
assert len(bundled_encoder(pathlib.Path("cache"))(["a text"])) == 1
""",
}
#: What torch's own index brings.
NOT_LOCKED = {"torch"}
#: System libraries that may be used: those that python:3.11-slim-bookworm holds. Source: Debian's
#: essential packages, libstdc++6 (apt's), and what Python itself is linked with.
OF_THE_BASE = re.compile(
    r"(ld-linux\S*|lib(c|m|dl|rt|pthread|util|resolv|nss_\w+|gcc_s|stdc\+\+|z|bz2|lzma|crypto|ssl|ffi"
    r"|expat|sqlite3|uuid|crypt|readline|ncursesw|panelw|tinfo|python3\S*))[.-]\S+"
)
Images = Callable[[str], Image]


@pytest.fixture(scope="session")
def images() -> Iterator[Images]:
    """Follow each recipe once, when it is first asked for; keep nothing of it afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        yield cache(lambda name: follow(name, Path(tempfile.mkdtemp(dir=folder))))


@pytest.mark.parametrize("name", ["router", "flower", "desk", "slm"])
def test_the_packages_are_those_of_the_lock(images: Images, name: str) -> None:
    """What the image lists is what the lock says, but for torch; nothing installs more there."""
    packages = images(name).packages
    assert packages.keys() >= {"pydantic", "redis"}
    # Whoever gets in at the desk's pages finds neither a broker's client nor a model there.
    assert ("celery" in packages) is (name != "desk")
    assert ("torch" in packages) is (name == "slm")
    assert {one: packages[one] for one in packages.keys() - NOT_LOCKED} == {
        one: locked().get(one, "not locked") for one in packages.keys() - NOT_LOCKED
    }


def test_two_builds_are_the_same(tmp_path: Path) -> None:
    """What is compiled goes by its source's content: a layer is the same whenever it is built."""
    image = follow("desk", tmp_path / "image", compiles=True)
    compiled = list(image.venv.rglob("*.pyc"))
    assert {path.parent.parent.name for path in compiled} >= {"smallfirst_desk", "starlette"}
    # Neither a time nor a size: https://docs.python.org/3.11/reference/import.html#pyc-invalidation.
    assert {path.read_bytes()[4:8] for path in compiled} == {b"\1\0\0\0"}


@pytest.mark.parametrize("name", ALL)
def test_everybody_may_read_it(images: Images, name: str) -> None:
    """Whoever runs it is nobody, and a package may have come with files for its owner alone."""
    for path in images(name).venv.rglob("*"):
        assert path.is_symlink() or path.stat().st_mode & 0o4, path


@pytest.mark.parametrize("name", ["router", "desk", "slm", large])
def test_without_settings_it_says_what_is_missing(
    images: Images, name: str, tmp_path: Path
) -> None:
    """Its own command finds every import, and ends with the exit code of a wrong configuration."""
    image = images(name)
    status, said = image.finish(image.command, tmp_path / "log")
    assert status == 78, said
    assert LACKS[name] in said


@pytest.mark.parametrize("name", ["slm", large])
def test_it_holds_what_its_pools_may_need(images: Images, name: str, tmp_path: Path) -> None:
    """A remote pool's client, or vLLM's names and arguments, and the encoder of examples."""
    status, said = images(name).finish(("python", "-c", NEEDED[name]), tmp_path / "log")
    assert status == 0, said


def test_the_images_answer_jobs_together(images: Images, redis_url: str, tmp_path: Path) -> None:
    """Router and worker answer what `helm test` submits, with libraries that the base has too."""
    given = {"SMALLFIRST_REDIS_URL": redis_url, "SMALLFIRST_CATALOGUE": catalogue(tmp_path)}
    pool = {"SMALLFIRST_POOL": "cpu-small", "SMALLFIRST_CACHE_DIR": str(tmp_path / "cache")}
    router, worker = images("router"), images("slm")
    with ExitStack() as ending:
        running = [
            router.start(router.command, tmp_path / "router", given),
            worker.start(worker.command, tmp_path / "worker", given | pool),
        ]
        for process in running:
            ending.callback(end, process)
        for task in ("ids", "similar"):
            status, said = router.finish(
                (*SUBMIT, "--task", task, "text"), tmp_path / task, **given
            )
            assert status == 0, said
        assert not foreign_libraries(running)


@pytest.mark.parametrize(
    ("name", "command", "page"),
    [
        ("flower", ("--address=127.0.0.1", "--port={port}"), "healthcheck"),
        ("router", ("python", "-m", "smallfirst.exporter"), "metrics"),
    ],
)
def test_what_serves_pages_serves_them(
    images: Images,
    redis_url: str,
    tmp_path: Path,
    wait_until: WaitUntil,
    name: str,
    command: tuple[str, ...],
    page: str,
) -> None:
    """Flower, and the exporter, which the router's image holds."""
    port = str(free_port())
    given = {"SMALLFIRST_REDIS_URL": redis_url, "SMALLFIRST_CATALOGUE": catalogue(tmp_path)}
    given["SMALLFIRST_METRICS_PORT"] = port
    image = images(name)
    own = image.command if name == "flower" else ()
    told = [one.format(port=port) for one in (*own, *command)]
    process = image.start(told, tmp_path / "log", given)
    with ExitStack() as ending:
        ending.callback(end, process)
        url = f"http://127.0.0.1:{port}/{page}"
        wait_until(
            lambda: answers(url) or process.poll() is not None,
            description=f"{page} is served",
            timeout=60,
        )
        assert process.poll() is None, (tmp_path / "log").read_text("utf-8")
        assert not foreign_libraries([process])


def locked() -> dict[str, str]:
    """Read the lock: versions by name, as the index writes names."""
    text = (ROOT / "requirements" / "lock.txt").read_text("utf-8")
    pairs = re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pairs}


def catalogue(folder: Path) -> str:
    """Write the chart's own catalogue."""
    values = yaml.safe_load(PLAIN.read_text("utf-8"))
    path = folder / "catalogue.yaml"
    path.write_text(values["catalogue"]["content"], "utf-8")
    return str(path)


def answers(url: str) -> bool:
    """Say whether a page is served."""
    try:
        with urlopen(url, timeout=5) as answer:  # noqa: S310 - of a process that was started here
            return bool(answer.status == 200)
    except URLError:
        return False


def foreign_libraries(running: list["subprocess.Popen[bytes]"]) -> set[str]:
    """Find the libraries of this machine that processes use and the base of the images lacks."""
    every = [psutil.Process(process.pid) for process in running]
    every += [child for one in every for child in one.children(recursive=True)]
    paths = {Path(each.path) for one in every for each in one.memory_maps()}
    mapped = {path for path in paths if ".so" in path.name}
    own = (Path(sys.base_prefix), Path(tempfile.gettempdir()))
    return {
        path.name
        for path in mapped
        if not any(place in path.parents for place in own) and not OF_THE_BASE.fullmatch(path.name)
    }


def end(process: "subprocess.Popen[bytes]") -> None:
    """Have a process end as Kubernetes does."""
    process.terminate()
    assert process.wait(60) == 0
