"""Makes streams with the consumer groups that read them."""

from redis import Redis
from redis.exceptions import ResponseError


def make_group(redis: Redis, stream: str, group: str) -> None:
    """Make a stream and its group, which reads it from its beginning, where they are not there."""
    try:
        redis.xgroup_create(stream, group, id="0", mkstream=True)
    except ResponseError as error:
        if not str(error).startswith("BUSYGROUP"):
            raise
