"""What Redis refuses, told apart from a Redis that cannot be reached: its words, and the remedy.

A refusal passes by itself, as a full memory does once there is room, or does not, as a missing
right. An outage is no refusal: nobody answered.
"""

import re
from dataclasses import dataclass
from errno import ECONNREFUSED
from typing import Any, Final

from redis.exceptions import AuthenticationError, AuthorizationError, OutOfMemoryError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from smallfirst.errors import RedisUnfit
from smallfirst.redis_access.address import RedisAddress

#: What stands before the words of an error in a pipeline: the whole command, and so a job's text.
_OF_PIPELINE = " of pipeline caused error: "
#: What stands behind those of a command that this Redis does not know: its arguments.
_OF_UNKNOWN = re.compile(r",? with args beginning with:.*", re.DOTALL)
#: What stands before those of a command in a script, on Redis before 7.
_OF_SCRIPT = re.compile(r"^.*@user_script: ?\d+: -?", re.DOTALL)
#: Whether Redis is several servers that share its keys, in its own words.
CLUSTER: Final = "it is a Redis Cluster"
CLUSTER_REMEDY: Final = (
    "name some of its nodes, redis+cluster://HOST:PORT,HOST:PORT, and in SMALLFIRST_BROKER_URL one"
    " Redis with cluster mode off, for Celery's lists"
)
_BROKER_REMEDY: Final = (
    "name one Redis in SMALLFIRST_BROKER_URL, or one behind Sentinels, with cluster mode off:"
    " Celery's transport knows no cluster"
)


@dataclass(frozen=True)
class Refusal:
    """What Redis answered instead of doing what it was asked.

    Attributes:
        reason: In its words, without a command's arguments.
        remedy: What an operator can do.
        is_passing: Whether it refuses everybody's writes for now: it is full, or not the master.
    """

    reason: str
    remedy: str
    is_passing: bool = False


_DISK = "MISCONF: its disk is full, or cannot be written"
_FULL = "raise maxmemory, or add workers; all goes on once there is room"
_RIGHTS = "give this user the rights that `smallfirst acl` prints for its role"
_PRIMARY = "it passes when a failover is over; else name the primary in SMALLFIRST_REDIS_URL"
#: How Redis begins to say it, as the driver leaves it; what to do; whether it passes.
_KNOWN: Final = (
    (r"NOPERM|.*has no permissions|.*No permissions|The user executing the", _RIGHTS, False),
    (r"OOM ", _FULL, True),
    (r"MOVED|ASK |CROSSSLOT|CLUSTERDOWN|TRYAGAIN", CLUSTER_REMEDY, False),
    (r".*(do not|don't) hash to the same slot|.*in a cluster node", CLUSTER_REMEDY, False),
    (r"READONLY|MASTERDOWN|.*read only replica|.*Link with MASTER", _PRIMARY, True),
    (r"MISCONF", "make room on Redis's disk, or see in its log why it cannot write", True),
    (r"BUSY ", "a script runs for too long; an administrator ends it with SCRIPT KILL", True),
    (r"WRONGTYPE", "another program writes these keys; set another SMALLFIRST_NAMESPACE", False),
    (
        r".*unknown command",
        "this server is no Redis 6.2 or newer, or has the command renamed",
        False,
    ),
)
_WRONG_USER = Refusal(
    "the user or the password is wrong, or the user is switched off (WRONGPASS)",
    "mend user and password in SMALLFIRST_REDIS_URL, redis://USER:PASSWORD@HOST:PORT",
)
_NO_USER = Refusal(
    "it wants a password, and the address holds none",
    "write it into SMALLFIRST_REDIS_URL, redis://USER:PASSWORD@HOST:PORT, with %40 for @, %2F for /"
    " and %23 for #",
)
_NEEDLESS = Refusal(
    "the address holds a password, and this Redis asks for none",
    "leave it out of SMALLFIRST_REDIS_URL, or set one in Redis",
)
#: How Redis says that nobody told it a password, and that nobody need have.
_ASKS_FOR_ONE = re.compile(r"NOAUTH|.*HELLO must be called|.*Authentication required", re.DOTALL)
_KNOWS_NONE = re.compile(r".*no password is set|.*without any password configured", re.DOTALL)
_ELSE = "see Redis's own log; if nothing there explains it, report it"


def refusal_of(error: BaseException) -> Refusal | None:
    """Read an error of the driver's, or of a library above it; None where nobody answered."""
    while not isinstance(error, RedisError) and error.__cause__ is not None:
        error = error.__cause__
    if not isinstance(error, RedisError):
        return None
    if _ASKS_FOR_ONE.match(words_of(error)):
        return _NO_USER
    if isinstance(error, AuthenticationError | AuthorizationError):
        return _NEEDLESS if _KNOWS_NONE.match(words_of(error)) else _WRONG_USER
    if isinstance(error, RedisConnectionError | RedisTimeoutError):
        return None
    if isinstance(error, OutOfMemoryError):
        return Refusal(words_of(error), _FULL, is_passing=True)
    return _by_words(error)


def _by_words(error: RedisError) -> Refusal:
    # The driver cuts the first word off where it has a class for it.
    said = f"{_PREFIXES.get(type(error).__name__, '')}{_OF_SCRIPT.sub('', words_of(error))}"
    for pattern, remedy, is_passing in _KNOWN:
        if re.match(pattern, said):
            return Refusal(said, remedy, is_passing)
    return Refusal(said, _ELSE)


_PREFIXES: Final = {
    "NoPermissionError": "NOPERM ",
    "MovedError": "MOVED ",
    "AskError": "ASK ",
    "ClusterCrossSlotError": "CROSSSLOT ",
    "ClusterDownError": "CLUSTERDOWN ",
    "TryAgainError": "TRYAGAIN ",
    "ReadOnlyError": "READONLY ",
    "MasterDownError": "MASTERDOWN ",
}


def is_passing(error: RedisError) -> bool:
    """Whether Redis refuses everybody's writes for now: it is full, or it is not the master."""
    refusal = refusal_of(error)
    return refusal is not None and refusal.is_passing


def is_nobody_there(error: BaseException | None) -> bool:
    """Whether it says that nobody listens at the address, rather than that a link is broken."""
    if error is None or isinstance(error, ConnectionRefusedError | FileNotFoundError):
        return error is not None
    # With several addresses of one host, asyncio joins the words and drops the number.
    is_told = isinstance(error, OSError) and f"[Errno {ECONNREFUSED}]" in str(error)
    return is_told or is_nobody_there(error.__cause__ or error.__context__)


def words_of(error: RedisError | OSError) -> str:
    """What Redis said, without the command that it, or the driver, repeats."""
    if isinstance(error, OutOfMemoryError):
        return "its memory is full (OOM)"
    said: Any = error
    # The driver, and what stands on it, put one error's words into another's, as they are or not.
    while isinstance(said, BaseException | tuple) and len(_parts(said)) == 1:
        [said] = _parts(said)
    words = _OF_UNKNOWN.sub("", str(said).rpartition(_OF_PIPELINE)[2])
    return _DISK if words.startswith("MISCONF") else words


def _parts(said: BaseException | tuple[Any, ...]) -> tuple[Any, ...]:
    return said.args if isinstance(said, BaseException) else said


def refuse_cluster(hello: Any, address: RedisAddress) -> None:
    """Make sure that a cluster is known for one: else most of its keys are elsewhere.

    Args:
        hello: What it said of itself.
        address: By which it was found.

    Raises:
        RedisUnfit: When it is one of a cluster, and its address names one server.
    """
    if not address.is_cluster and is_cluster(hello):
        raise RedisUnfit(address.shown, CLUSTER, CLUSTER_REMEDY)


def refuse_cluster_as_broker(hello: Any, address: RedisAddress) -> None:
    """Make sure that Celery's Redis is one server.

    Raises:
        RedisUnfit: When it is one of a cluster.
    """
    if is_cluster(hello):
        raise RedisUnfit(address.shown, CLUSTER, _BROKER_REMEDY)


def is_cluster(hello: Any) -> bool:
    """Read what a server says of itself: a map, or a list of names and values."""
    pairs = hello.items() if isinstance(hello, dict) else zip(hello[::2], hello[1::2], strict=True)
    told = {_text(name): _text(value) for name, value in pairs}
    return told.get("mode") == "cluster"


def _text(value: object) -> object:
    return value.decode() if isinstance(value, bytes) else value
