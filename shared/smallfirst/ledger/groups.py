"""Streams with the consumer groups that read them: made, and known to be missing."""

from typing import Any

from redis import Redis
from redis.exceptions import ResponseError


def make_group(redis: Redis, stream: str, group: str) -> None:
    """Make a stream and its group, which reads it from its beginning, where they are not there."""
    try:
        redis.xgroup_create(stream, group, id="0", mkstream=True)
    except ResponseError as error:
        if not str(error).startswith("BUSYGROUP"):
            raise


def is_of_nothing(reply: Any) -> bool:
    """Whether a script found no stream or no group.

    Raises:
        ResponseError: When Redis refused it for another reason.
    """
    if isinstance(reply, ResponseError) and not is_group_missing(reply):
        raise reply
    return isinstance(reply, ResponseError)


def is_group_missing(error: Exception) -> bool:
    """Whether a command or a script failed since a stream, or its group, is not there."""
    words = str(error)
    # A script's error begins otherwise in Redis before 7; XINFO names no group where no stream is.
    return isinstance(error, ResponseError) and ("NOGROUP" in words or "no such key" in words)
