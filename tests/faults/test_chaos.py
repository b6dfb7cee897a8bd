"""The chaos run in its short form; `make chaos` runs the long one."""

from pathlib import Path

import pytest
from tests.support import chaos, strikes

pytestmark = pytest.mark.timeout(900)
SEED, MINUTES, NUM_JOBS, NUM_POISON = 5, 1.25, 2500, 2


def test_a_fleet_under_random_faults_keeps_its_promise(tmp_path: Path) -> None:
    """Every job ends once, and nothing is left; `chaos.run` asserts it."""
    report = chaos.run(
        minutes=MINUTES, seed=SEED, num_jobs=NUM_JOBS, num_poison=NUM_POISON, folder=tmp_path
    )
    print(report)  # noqa: T201 - the figures of a drill
    assert report.jobs.statuses.total() == NUM_JOBS
    assert report.jobs.statuses["failed"] == NUM_POISON
    assert report.jobs.num_documents
    assert report.jobs.num_worded
    assert report.num_keepers
    assert len(report.faults) >= MINUTES * 60 / (strikes.PAUSE[1] + 5)
