"""What Redis refuses is told apart from an outage, and with a remedy."""

import pytest
from kombu.exceptions import OperationalError
from redis import exceptions
from structlog.testing import capture_logs

from smallfirst.errors import RedisUnfit
from smallfirst.redis_access.address import RedisAddress
from smallfirst.redis_access.refusals import (
    CLUSTER_REMEDY,
    is_cluster,
    is_passing,
    refusal_of,
    refuse_cluster,
    words_of,
)
from smallfirst.telemetry.outages import tell

HERE = RedisAddress.parse("redis://here")


@pytest.mark.parametrize(
    ("error", "remedy", "passes"),
    [
        (exceptions.NoPermissionError("User a has no permissions"), "smallfirst acl", False),
        (exceptions.ResponseError("NOPERM this user has no permissions"), "smallfirst acl", False),
        (exceptions.AuthenticationError("invalid username-password pair"), "password", False),
        (exceptions.MovedError("3999 127.0.0.1:6381"), CLUSTER_REMEDY, False),
        (exceptions.ClusterCrossSlotError("Keys in request don't hash"), CLUSTER_REMEDY, False),
        (
            exceptions.ResponseError(
                "Script attempted to access a non local key in a cluster node"
            ),
            CLUSTER_REMEDY,
            False,
        ),
        (exceptions.OutOfMemoryError("command not allowed"), "maxmemory", True),
        (
            exceptions.ResponseError("@user_script: 1: -OOM command not allowed when used memory"),
            "maxmemory",
            True,
        ),
        (
            exceptions.ResponseError("The user executing the script can't run this command"),
            "smallfirst acl",
            False,
        ),
        (exceptions.ReadOnlyError("You can't write against a read only replica."), "primary", True),
        (exceptions.ResponseError("MISCONF Redis is configured to save"), "disk", True),
        (exceptions.ResponseError(("MISCONF Errors writing to the AOF file",)), "disk", True),
        (exceptions.AuthenticationError("HELLO must be called with the"), "%40 for @", False),
        (exceptions.ResponseError("NOAUTH Authentication required."), "%40 for @", False),
        (
            exceptions.AuthenticationError(
                "AUTH <password> called without any password configured"
            ),
            "leave it out",
            False,
        ),
        (exceptions.ResponseError("BUSY Redis is busy running a script."), "SCRIPT KILL", True),
        (exceptions.ResponseError("WRONGTYPE Operation against a key"), "NAMESPACE", False),
        (exceptions.ResponseError("ERR user_script:3: attempt to index nil"), "report it", False),
    ],
)
def test_a_refusal_has_a_remedy(error: exceptions.RedisError, remedy: str, *, passes: bool) -> None:
    """Whatever Redis answers with, an operator reads what to do, and whether it passes."""
    refusal = refusal_of(error)
    assert refusal is not None
    assert remedy in refusal.remedy
    assert refusal.is_passing == is_passing(error) == passes


@pytest.mark.parametrize(
    "error",
    [
        exceptions.ConnectionError("Connection refused"),
        exceptions.TimeoutError("Timeout reading"),
        exceptions.BusyLoadingError("Redis is loading the dataset in memory"),
        OSError("No route to host"),
        OperationalError("Connection refused"),
    ],
)
def test_an_outage_is_no_refusal(error: Exception) -> None:
    """Where nobody answered, nothing was refused: it is logged as an outage."""
    assert refusal_of(error) is None
    with capture_logs() as logs:
        tell(error, consequence="jobs wait")
    assert [(one["event"], one["log_level"]) for one in logs] == [("redis.unreachable", "warning")]


def test_a_refusal_is_found_behind_celery_s_own_error() -> None:
    """Kombu translates what the driver raised; the reason is what the driver said."""
    try:
        try:
            raise exceptions.NoPermissionError("User router has no permissions")
        except exceptions.RedisError as error:
            raise OperationalError("it failed") from error
    except OperationalError as error:
        with capture_logs() as logs:
            tell(error, consequence="jobs wait", retry_seconds=1)
    [line] = logs
    assert (line["event"], line["log_level"], line["retry_seconds"]) == (
        "redis.refused",
        "error",
        1,
    )
    assert line["reason"].startswith("NOPERM")


def test_an_error_s_words_are_no_python() -> None:
    """Of an error that holds another one's arguments, the words are told."""
    told = words_of(exceptions.ResponseError(("MISCONF Errors writing to the AOF file",)))
    assert told == "MISCONF: its disk is full, or cannot be written"


def test_no_refusal_repeats_a_text() -> None:
    """Neither the driver's command nor the arguments that Redis repeats are told."""
    of_pipeline = (
        "Command # 1 (XADD {sf:0}:jobs * job canary) of pipeline caused error: WRONGTYPE no"
    )
    of_unknown = "ERR unknown command 'XADD', with args beginning with: '{sf:0}:jobs' 'canary' "
    for said in (of_pipeline, of_unknown):
        refusal = refusal_of(exceptions.ResponseError(said))
        assert refusal is not None
        assert "canary" not in refusal.reason + words_of(exceptions.ResponseError(said))


def test_a_cluster_is_refused_by_its_own_word() -> None:
    """In either version of the protocol a server says whether it is one of many."""
    alone = [b"server", b"redis", b"mode", b"standalone", b"modules", []]
    assert not is_cluster(alone)
    assert is_cluster({"server": "valkey", "mode": "cluster"})
    refuse_cluster(alone, HERE)
    refuse_cluster({b"mode": b"cluster"}, RedisAddress.parse("redis+cluster://here"))
    with pytest.raises(RedisUnfit, match=r"redis://here.*redis\+cluster://"):
        refuse_cluster({b"mode": b"cluster"}, HERE)
