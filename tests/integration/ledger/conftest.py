"""What producers are told."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.notices import Notices, listening


@pytest.fixture
def notices(redis: Any) -> Iterator[Notices]:
    """What producers are told from here on."""
    with listening(redis) as heard:
        yield heard
