"""Slices: which of them a job is in, as other programs compute it too, and where they lie."""

import re
from collections import Counter
from pathlib import Path
from uuid import uuid4

import pytest
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from smallfirst.ledger.keys import Keys
from smallfirst.ledger.slices import keys_of_slices, slice_of

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "job.md"


def test_the_page_s_example_is_where_a_client_looks() -> None:
    """Programs in other languages follow the page, number by number."""
    page = PAGE.read_text("utf-8")
    told = re.search(
        r"CRC-32 of `(\S+)` is (\d+).*?of (\d+)\s+slices (\d+) % \d+ = (\d+)", page, re.DOTALL
    )
    assert told is not None
    job_id, number, num_slices, again, right = told.groups()
    assert (number, int(number) % int(num_slices)) == (again, int(right))
    assert slice_of(job_id, int(num_slices)) == int(right)
    own = Keys("sf", int(right)).of_producer("default")
    assert f"`{own.jobs}`" in page
    assert f"`{own.result(job_id)}`" in page


@pytest.mark.parametrize("num_slices", [2, 3, 4, 8])
def test_ids_spread_jobs_evenly(num_slices: int) -> None:
    """So bounds that are divided among slices are reached in all at about the same time."""
    counts = Counter(slice_of(uuid4().hex, num_slices) for _ in range(8000))
    mean = 8000 / num_slices
    assert all(0.8 * mean < counts[number] < 1.2 * mean for number in range(num_slices))


@pytest.mark.parametrize("namespace", ["sf", "shop", "team-a", "x9"])
@pytest.mark.parametrize(("num_slices", "num_each"), [(4, 1), (8, 2)])
def test_four_slices_lie_in_the_four_quarters(
    namespace: str, num_slices: int, num_each: int
) -> None:
    """Of a cluster's slots, whatever the namespace: CRC-16 is linear in the last digit."""
    quarter = REDIS_CLUSTER_HASH_SLOTS // 4
    keys = keys_of_slices(namespace, num_slices)
    found = Counter(key_slot(each.due.encode()) // quarter for each in keys)
    assert found == dict.fromkeys(range(4), num_each)
