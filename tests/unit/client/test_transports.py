"""Where a client finds its Redis, and how it waits between tries."""

import json
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import pytest

from smallfirst.client.backoff import pauses
from smallfirst.client.inbox import LONGEST_PAUSE, SHORTEST_PAUSE, next_pause
from smallfirst.client.producer import DEFAULT_URL, PRODUCER_VARIABLE, URL_VARIABLE, transport_to
from smallfirst.client.transports import RedisTransport
from smallfirst.local.folder import only_fleet_in
from smallfirst.process.announcement import Addresses, announced, default_folder


@pytest.mark.parametrize(
    ("url", "variable", "expected"),
    [
        ("redis://named:1/2", "redis://set:3/4", "redis://named:1/2"),
        (None, "redis://set:3/4", "redis://set:3/4"),
        (None, None, DEFAULT_URL),
    ],
)
def test_redis_is_named_or_set_or_here(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    url: str | None,
    variable: str | None,
    expected: str,
) -> None:
    """The program's word comes before the environment's, and that before this machine."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    if variable:
        monkeypatch.setenv(URL_VARIABLE, variable)
    transport = transport_to(url, "sf", None, None)
    assert isinstance(transport, RedisTransport)
    assert transport.address == expected


def test_the_fleet_of_this_machine_is_found_while_it_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where nobody names a Redis it is that of `smallfirst up`, as for the commands; not after."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    folder = default_folder()
    here = Addresses("redis://127.0.0.1:4711/0", "sf", "c.yaml", str(folder), None, 1)
    with only_fleet_in(folder), announced(here):
        running = transport_to(None, "sf", None, None)
        (folder / "fleet.json").write_text("{")
        unreadable = transport_to(None, "sf", None, None)
    (folder / "fleet.json").write_text(json.dumps(asdict(here)))
    over = transport_to(None, "sf", None, None)
    found = [each.address for each in (running, unreadable, over)]  # type: ignore[attr-defined]
    assert found == ["redis://127.0.0.1:4711/0", DEFAULT_URL, DEFAULT_URL]


def test_who_has_no_home_has_no_fleet(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container run under a number that is no user's makes a client all the same."""
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", "~nobody-is-called-so/state")
    transport = transport_to(None, "sf", None, None)
    assert isinstance(transport, RedisTransport)
    assert transport.address == DEFAULT_URL


@pytest.mark.parametrize(
    ("named", "variable", "expected"),
    [("shop", "post", "shop"), (None, "post", "post"), (None, None, "default")],
)
def test_a_producer_is_named_or_set_or_default(
    monkeypatch: pytest.MonkeyPatch, named: str | None, variable: str | None, expected: str
) -> None:
    """The program's word comes before the environment's."""
    monkeypatch.delenv(PRODUCER_VARIABLE, raising=False)
    if variable:
        monkeypatch.setenv(PRODUCER_VARIABLE, variable)
    transport = transport_to("redis://here:1/2", "sf", named, None)
    assert isinstance(transport, RedisTransport)
    assert transport.producer == expected


@pytest.mark.parametrize("name", ["a:b", "Shop", "*", "", "a b"])
def test_a_producer_has_a_name_that_keys_can_hold(name: str) -> None:
    """A colon, or a pattern, would reach into the keys of others."""
    with pytest.raises(ValueError, match="producer"):
        RedisTransport("redis://here:1/2", producer=name)


@pytest.mark.parametrize("secret", ["me:hunter2@", ":hunter2@", ":hunt%40er2@"])
def test_an_address_has_no_password(secret: str) -> None:
    """What an error shows of a URL leaves out who and with which secret."""
    assert RedisTransport(f"rediss://{secret}host:6379/1").address == "rediss://host:6379/1"


def test_pauses_grow_to_a_bound() -> None:
    """Each pause is about twice the one before, by chance up to a half shorter, and bounded."""
    for pause, most in zip(
        islice(pauses(first=0.1, longest=0.5), 5), [0.1, 0.2, 0.4, 0.5, 0.5], strict=True
    ):
        assert most / 2 <= pause <= most


def test_rounds_are_seldom_while_they_find_nothing() -> None:
    """Asking by id is frequent only while it finds something, and never most of the work."""
    assert next_pause(1.0, num_found=3, round_seconds=0.0) == SHORTEST_PAUSE
    assert next_pause(0.2, num_found=0, round_seconds=0.0) == 0.4
    assert next_pause(0.8, num_found=0, round_seconds=0.0) == LONGEST_PAUSE
    assert next_pause(0.2, num_found=9, round_seconds=2.0) == 8.0
