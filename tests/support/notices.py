"""What producers are told: an ear at every reply channel of a producer."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from smallfirst.ledger.keys import Keys, ProducerKeys

_END = "what was published before this was heard"


class Notices:
    """The ids that each name was told of, from the beginning of listening on."""

    def __init__(self, redis: Any, keys: ProducerKeys) -> None:
        self._keys = keys
        self._channels: Any = redis.pubsub()
        self._channels.psubscribe(keys.results("*"))
        self._told: dict[str, list[str]] = defaultdict(list)
        self.of("")

    def of(self, reply_to: str) -> list[str]:
        """Give what one name was told, in this order."""
        self._channels.ping(_END)
        while (heard := self._channels.get_message(timeout=5)) is not None:
            if heard["type"] == "pmessage":
                self._told[heard["channel"].decode()] += heard["data"].decode().split("\n")
            elif heard["type"] == "pong":
                break
        return self._told[self._keys.results(reply_to)]

    def forget(self) -> None:
        """Begin anew."""
        self.of("")
        self._told.clear()

    def close(self) -> None:
        """Listen no more."""
        self._channels.close()


@contextmanager
def listening(redis: Any, keys: ProducerKeys | None = None) -> Iterator[Notices]:
    """Listen at every reply channel."""
    notices = Notices(redis, keys or Keys().of_producer("default"))
    try:
        yield notices
    finally:
        notices.close()
