"""A whole fleet on one machine: its own Redis, its processes, the order they start and stop in."""

from smallfirst.local.fleet import LocalFleet
from smallfirst.local.redis_server import RedisServer

__all__ = ["LocalFleet", "RedisServer"]
