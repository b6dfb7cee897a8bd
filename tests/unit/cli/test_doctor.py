"""What `doctor` makes of what Redis says of itself."""

import pytest

from smallfirst.cli.doctor import CheckState, check_persistence


@pytest.mark.parametrize(
    ("about", "state"),
    [
        ({"aof_enabled": 0}, CheckState.WARN),
        ({"aof_enabled": 1, "aof_delayed_fsync": 0}, CheckState.OK),
        ({"aof_enabled": 1, "aof_delayed_fsync": 1}, CheckState.WARN),
    ],
)
def test_a_redis_that_may_forget_what_it_confirmed_is_warned_of(
    about: dict[str, int], state: CheckState
) -> None:
    """Without a file, or with one on a disk that is slower than its answers."""
    check = check_persistence(about)
    assert check.state is state
    assert bool(check.remedy) == (state is CheckState.WARN)
