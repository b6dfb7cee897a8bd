"""Nonsense that looks for new paths: libFuzzer, by atheris, at everything that reads bytes.

    python -m tests.support.guided_fuzz -runs=100000 -max_len=4096 CORPUS

The first byte of an input chooses the reader. An exception that the reader does not promise ends
the run, and the input is left in a file beside it.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import atheris

PACKAGES = ["smallfirst", "smallfirst_router", "smallfirst_workers.llm.endpoint"]
with atheris.instrument_imports(include=PACKAGES):
    from tests.support.odd_bodies import TASKS, TEXT, good_body

    from smallfirst.broker.transport import why_malformed
    from smallfirst.catalogue.loading import load_catalogue
    from smallfirst.errors import CatalogueError
    from smallfirst.jobs import Job
    from smallfirst.redis_access.address import RedisAddress
    from smallfirst_router.submissions import Refusal, read_submission
    from smallfirst_workers.llm.endpoint.completions import read_completion
    from smallfirst_workers.llm.endpoint.replies import read_reply
    from smallfirst_workers.llm.endpoint.requests import template_of

MAX_BYTES = 100_000
TEMPLATES = [template_of(task) for task in TASKS.values()]
SECRET = "s3cret"  # noqa: S105 - of nothing
#: Where the one file that is read by its path lies.
FOLDER = Path(tempfile.mkdtemp(prefix="guided-"))
#: A good input for each reader, to begin from.
SEEDS = (
    Job(id="a", task="topic", text="Where is my parcel?").to_json().encode(),
    b"a-job-id",
    json.dumps(
        {
            "body": "W1tdLCB7fSwge31d",
            "content-type": "application/json",
            "headers": {"id": "1", "task": "slm.minilm"},
            "properties": {"delivery_tag": "1", "delivery_info": {}, "body_encoding": "base64"},
        }
    ).encode(),
    b"version: 1\npools: {p: {tier: slm}}\nmodels: {m: {source: 'bundled:minilm'}}\ntasks: {}\n",
    b"redis+sentinel://user:s3cret@a:1,b/master/0?ssl_ca_certs=/ca",
    json.dumps(good_body("multilabel")).encode(),
)


def submission(data: bytes) -> None:
    """A job is read, and written again as the same; anything else is refused with a reason."""
    found = read_submission({b"job": data}, MAX_BYTES)
    if isinstance(found, Job):
        assert Job.model_validate_json(found.to_json()) == found
    if isinstance(found, Refusal):
        assert found.problem.message


def cancellation(data: bytes) -> None:
    """An id, or a refusal."""
    read_submission({b"cancel": data}, MAX_BYTES)


def message(data: bytes) -> None:
    """What comes out of a queue is judged, whatever JSON it is."""
    with suppress(ValueError, RecursionError):
        why_malformed(json.loads(data))


def catalogue(data: bytes) -> None:
    """A catalogue, or an error that says where it is wrong."""
    path = FOLDER / "catalogue.yaml"
    path.write_bytes(data)
    with suppress(CatalogueError):
        load_catalogue(path)


def address(data: bytes) -> None:
    """An address, or an error that quotes nothing of it."""
    url = data.decode("utf-8", errors="replace")
    try:
        shown = RedisAddress.parse(url).shown
    except ValueError as error:
        shown = str(error)
    assert f":{SECRET}@" not in shown


def reply(data: bytes) -> None:
    """What an endpoint replies is an answer to each kind of task, or why it is none."""
    found = read_reply(data)
    for template in TEMPLATES if found else ():
        assert found is not None
        read_completion(template, TEXT, found.choices, num_asked=2)


READERS: tuple[Callable[[bytes], None], ...] = (
    submission,
    cancellation,
    message,
    catalogue,
    address,
    reply,
)


def read(data: bytes) -> None:
    """Give an input to the reader that its first byte names."""
    if data:
        READERS[data[0] % len(READERS)](data[1:])


def write_seeds(folder: Path) -> None:
    """Write an input for each reader into a corpus."""
    for number, seed in enumerate(SEEDS):
        (folder / f"seed-{number}").write_bytes(bytes([number]) + seed)


if __name__ == "__main__":
    write_seeds(Path(sys.argv[-1]))
    atheris.Setup(sys.argv, read)
    atheris.Fuzz()
