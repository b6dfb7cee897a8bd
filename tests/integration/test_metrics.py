"""Routers and workers tell Prometheus of themselves, and nothing of what the jobs say."""

import platform
import re
import socket
from importlib.metadata import version

import pytest
from tests.support.observed import Observed, ended

from smallfirst import Client, Job
from smallfirst.jobs import Status

pytestmark = pytest.mark.timeout(300)
NUM_JOBS = 60
CANARY = "canary-8f41"


@pytest.fixture(scope="module")
def busy(fleet_observed: Observed) -> Observed:
    """The fleet after a day's work: topics that a model is asked, vectors, and a refusal."""
    with Client(fleet_observed.redis_url) as client:
        jobs = [Job(task="topic", text=f"parcel {n} {CANARY} is late") for n in range(NUM_JOBS)]
        jobs += [Job(task="similar", text=f"money {n} {CANARY}") for n in range(NUM_JOBS)]
        statuses = {result.status for result in client.map(jobs)}
        assert statuses <= {Status.ANSWERED, Status.ABSTAINED}
        refused = client.result(client.submit(Job(task="no_such_task", text=CANARY)), timeout=20)
        assert refused.status is Status.REFUSED
    return fleet_observed


def test_a_router_tells_what_it_decided(busy: Observed) -> None:
    """Every job is parked once, ends at the router where its cascade ends, or is refused."""
    decided = {
        decision: busy.value("router", "smallfirst_triaged_jobs_total", decision=decision)
        for decision in ("parked", "refused", "ended")
    }
    unsure = busy.value("exporter", "smallfirst_attempts_total", outcome="escalated")
    assert decided == {"parked": 2 * NUM_JOBS, "refused": 1, "ended": unsure}
    answered = busy.value("worker", "smallfirst_ended_jobs_total", status="answered")
    assert answered == 2 * NUM_JOBS - unsure
    assert busy.value("router", "smallfirst_ended_jobs_total", status="abstained") == unsure
    assert busy.value("router", "smallfirst_ended_jobs_total", task="no_such_task") == 0
    assert busy.value("router", "smallfirst_round_seconds_count") > 1


def test_jobs_are_timed_from_their_submission(busy: Observed) -> None:
    """Once each, however they ended, by whoever ended them; a refusal is no job."""
    for component in ("router", "worker"):
        timed = busy.value(component, "smallfirst_job_seconds_count")
        assert timed == busy.value(component, "smallfirst_ended_jobs_total")
        assert timed == busy.value(component, "smallfirst_job_seconds_bucket", le="86400.0")
    waited = busy.value("worker", "smallfirst_job_wait_seconds_sum")
    assert busy.value("worker", "smallfirst_job_seconds_sum", status="answered") > 0
    assert sum(busy.value(c, "smallfirst_job_seconds_sum") for c in ("router", "worker")) > waited


def test_each_says_what_it_is(busy: Observed) -> None:
    """Its version, its Python, and by which catalogue it goes: all of a fleet by the same."""
    told = {component: busy.scrape(component) for component in busy.pages}
    for component, families in told.items():
        [build] = families["smallfirst_build_info"].samples
        assert build.labels == {
            "component": component,
            "version": version("smallfirst"),
            "python": platform.python_version(),
        }
    said = [families["smallfirst_catalogue_info"].samples for families in told.values()]
    assert [sample.labels["component"] for [sample] in said] == list(told)
    [revision] = {sample.labels["revision"] for [sample] in said}
    assert re.fullmatch("[0-9a-f]{12}", revision)


def test_batches_have_the_fill_that_the_router_gave_them(busy: Observed) -> None:
    """As many batches are published as are settled, and the jobs in them are all there were."""
    published = busy.value("router", "smallfirst_batch_fill_count", pool="cpu", model="minilm")
    settled = busy.value("worker", "smallfirst_batches_total", outcome="settled")
    assert published == settled > 0
    assert 0 < busy.value("router", "smallfirst_batch_fill_sum") <= published
    assert busy.value("worker", "smallfirst_batch_jobs_sum") == 2 * NUM_JOBS
    assert busy.value("worker", "smallfirst_batch_seconds_count") == settled


def test_a_worker_tells_how_sure_it_was(busy: Observed) -> None:
    """One observation for each answer, by task and step."""
    of_topics = busy.value("worker", "smallfirst_confidence_count", task="topic", step="0")
    assert of_topics == NUM_JOBS
    everything = busy.value("worker", "smallfirst_confidence_bucket", le="+Inf")
    assert everything == busy.value("worker", "smallfirst_confidence_count") == 2 * NUM_JOBS
    assert busy.value("worker", "smallfirst_job_wait_seconds_count") == 2 * NUM_JOBS


def test_padding_is_told_from_tokens(busy: Observed) -> None:
    """Texts of like length are padded a little; each has its two marks and some words."""
    tokens = busy.value("worker", "smallfirst_positions_total", kind="token")
    padding = busy.value("worker", "smallfirst_positions_total", kind="padding")
    assert tokens >= 2 * NUM_JOBS * 5
    assert 0 <= padding < tokens


def test_no_text_is_in_a_metric(busy: Observed) -> None:
    """Not in a name, a label or a help text."""
    pages = [busy.read(component) for component in busy.pages]
    assert all("smallfirst_" in page for page in pages)
    assert not [page for page in pages if CANARY in page]


@pytest.mark.parametrize("module", ["smallfirst_router", "smallfirst_workers"])
def test_a_port_that_is_taken_is_named(busy: Observed, module: str) -> None:
    """The component does not start, and says which setting is wrong."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, said = ended(
            ["-m", module],
            SMALLFIRST_REDIS_URL=busy.redis_url,
            SMALLFIRST_CATALOGUE=str(busy.logs["router"].parent / "catalogue.yaml"),
            SMALLFIRST_POOL="cpu",
            SMALLFIRST_METRICS_PORT=str(port),
        )
    assert status == 78
    assert f"SMALLFIRST_METRICS_PORT: 127.0.0.1:{port} cannot be listened on" in said
