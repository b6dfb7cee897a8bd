"""The scripts that a holder of entries runs, each with the text that it shares with others."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from importlib import resources
from typing import Any

from redis import Redis
from redis.exceptions import NoScriptError, ResponseError

#: A script's keys and arguments.
Call = tuple[Sequence[str], Sequence[Any]]

#: What is put before a script's own text.
_SHARED: dict[str, tuple[str, ...]] = {
    "read": ("rows",),
    "recover": ("rows", "holders"),
    "settle": ("holders", "pending", "earlier", "checks", "records"),
    "take_due": ("holders",),
    "claim": (),
    "keep": ("pending",),
    "give_back": (),
    "hand_over": ("pending",),
    "mend_ids": (),
    "beat": (),
    "reap_workers": (),
    "tidy": (),
    "drop_empty": (),
    "fleet_state": (),
    "take_waiting": (),
    "count_destroyed": (),
    "lease": (),
    "renew_lease": (),
    "skip": (),
    "decide": (),
    "undo": (),
    "take_decided": (),
    "review": (),
    "ask_another": (),
    "note_pair": (),
    "drop_checks": ("earlier", "checks"),
    "record_check": ("earlier", "checks"),
    "add_golden": ("earlier", "checks"),
    "golden_due": (),
    "copy_jobs": (),
    "count_pair": (),
}


def script_texts() -> dict[str, str]:
    """Every script by its name, as Redis runs it."""
    return {name: script_text(name) for name in _SHARED}


def script_text(name: str) -> str:
    """One of them."""
    folder = resources.files("smallfirst.ledger") / "lua"
    return "".join((folder / f"{part}.lua").read_text() for part in (*_SHARED[name], name))


class Scripts:
    """The scripts over one connection; Redis is given those that it does not have."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    @cached_property
    def _registered(self) -> dict[str, Any]:
        return {name: self._redis.register_script(text) for name, text in script_texts().items()}

    def run(self, name: str, keys: Sequence[str], arguments: Iterable[object]) -> Any:
        """Run a script; give its reply."""
        return self._registered[name](keys=list(keys), args=list(arguments))

    def run_each(self, name: str, calls: Sequence[Call]) -> list[Any]:
        """Run a script for each of these keys and arguments, all in one round trip.

        Returns:
            Each one's reply; where Redis refused it, its error, which stops no other.
        """
        if len(calls) == 1:
            return [self._refusal_or(name, *calls[0])]
        pipeline = self._redis.pipeline(transaction=False)
        for keys, arguments in calls:
            pipeline.evalsha(self._registered[name].sha, len(keys), *keys, *arguments)
        replies = pipeline.execute(raise_on_error=False) if calls else []
        return [
            self._refusal_or(name, *call) if isinstance(reply, NoScriptError) else reply
            for call, reply in zip(calls, replies, strict=True)
        ]

    def _refusal_or(self, name: str, keys: Sequence[str], arguments: Sequence[object]) -> Any:
        try:
            return self.run(name, keys, arguments)
        except ResponseError as refusal:
            return refusal
