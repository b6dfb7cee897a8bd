"""`smallfirst acl`: the file of Redis's users, from a folder of passwords."""

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from smallfirst.redis_access.acl import hash_of
from smallfirst.redis_access.users import Role

Smallfirst = Callable[..., Any]


def test_each_file_is_a_user(smallfirst: Smallfirst, tmp_path: Path) -> None:
    """A role, a producer or a pool, with one password or two; hidden files are nobody's."""
    files = {"router": "r1\n", "producer-shop": "old\nnew\n", ".gitignore": "x"}
    files["worker-gpu"] = "w1\n"
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    lines = smallfirst("acl", tmp_path).out.splitlines()
    assert [line.split()[1] for line in lines] == [
        "default",
        "producer-shop",
        "router",
        "worker-gpu",
    ]
    shop = lines[1].split()
    assert {f"#{hash_of('old')}", f"#{hash_of('new')}"} <= set(shop)
    assert "%W~{sf:*}:jobs:shop)" in shop
    owned = {"~{sf:*}:backlog:gpu:*)", "~sf:celery:gpu", "~sf:celery:gpu:9)"}
    assert owned <= set(lines[3].split())


def test_an_empty_password_is_refused(smallfirst: Smallfirst, tmp_path: Path) -> None:
    """Whoever forgot to write one is told the file."""
    (tmp_path / "producer-shop").write_text("\n")
    done = smallfirst("acl", tmp_path)
    assert (done.code, "producer-shop: is empty" in done.err) == (2, True)


def test_a_file_named_after_no_user_is_refused(smallfirst: Smallfirst, tmp_path: Path) -> None:
    """A misspelt role would leave its component without a user; the list is told, in help too."""
    (tmp_path / "router").write_text("a")
    (tmp_path / "exportr").write_text("b")
    done = smallfirst("acl", tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "did you mean 'exporter'?" in done.err
    for role in ("router", "exporter", "scaler", "worker-POOL"):
        assert role in done.err
        assert role in smallfirst("acl", "--help").out
    (tmp_path / "exportr").rename(tmp_path / "producer-A")
    assert "producer-A: is named after no user" in smallfirst("acl", tmp_path).err


def test_passwords_are_drawn_for_who_has_none(smallfirst: Smallfirst, tmp_path: Path) -> None:
    """Every role, and who has an empty file; a password that is there stays, however often."""
    (tmp_path / "router").write_text("mine\n")
    (tmp_path / "producer-shop").touch(mode=0o644)
    first = smallfirst("acl", tmp_path, "--draw")
    assert (first.code, smallfirst("acl", tmp_path, "--draw").out) == (0, first.out)
    assert {file.name for file in tmp_path.iterdir()} == {*Role, "producer-shop"}
    assert (tmp_path / "router").read_text() == "mine\n"
    drawn = [file for file in tmp_path.iterdir() if file.name != "router"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in drawn} == {0o600}
    assert len({file.read_text() for file in drawn}) == len(drawn)


def test_a_secret_has_what_the_file_names(smallfirst: Smallfirst, tmp_path: Path) -> None:
    """The same file, and of each user the password and the address, the second one's too."""
    (tmp_path / "router").write_text("r1\n")
    (tmp_path / "producer-shop").write_text("old\nn:e/w@\n")
    (tmp_path / "scaler").write_text("s1\n")
    place = ("--secret", "users", "--redis-address", "redis://redis:6379/0")
    told = smallfirst("acl", tmp_path, *place).out
    keys = yaml.safe_load(told)["stringData"]
    assert keys.pop("users.acl") == smallfirst("acl", tmp_path).out
    assert keys.pop("producer-shop-second-url") == (
        "redis://producer-shop:n%3Ae%2Fw%40@redis:6379/0"
    )
    assert keys == {
        "router-password": "r1",
        "router-url": "redis://router:r1@redis:6379/0",
        "producer-shop-password": "old",
        "producer-shop-url": "redis://producer-shop:old@redis:6379/0",
        "producer-shop-second-password": "n:e/w@",
        "scaler-username": "scaler",
        "scaler-password": "s1",
        "scaler-url": "redis://scaler:s1@redis:6379/0",
    }


def test_addresses_of_a_secret_are_whole(smallfirst: Smallfirst, tmp_path: Path) -> None:
    """Of any kind of Redis, with its options; the broker's stand beside a cluster's."""
    (tmp_path / "worker").write_text("w1\n")
    place = ("--redis-address", "rediss+cluster://a:6379,b:6379?ssl_ca_certs=/ca.crt")
    more = ("--broker-address", "rediss://c:6379/0?ssl_ca_certs=/ca.crt")
    keys = yaml.safe_load(smallfirst("acl", tmp_path, "--secret", "users", *place, *more).out)
    assert {key: url for key, url in keys["stringData"].items() if key.endswith("url")} == {
        "worker-url": "rediss+cluster://worker:w1@a:6379,b:6379?ssl_ca_certs=/ca.crt",
        "broker-worker-url": "rediss://worker:w1@c:6379/0?ssl_ca_certs=/ca.crt",
    }


@pytest.mark.parametrize(
    ("address", "reason"),
    [("redis:6379", "must begin with redis://"), ("redis://me:secret@redis:6379", "no user")],
)
def test_an_address_that_is_none_is_refused(
    smallfirst: Smallfirst, tmp_path: Path, address: str, reason: str
) -> None:
    """The option is named, and nothing of what may be a password."""
    (tmp_path / "worker").write_text("w1\n")
    told = smallfirst("acl", tmp_path, "--secret", "users", "--redis-address", address)
    assert (told.code, "--redis-address: must" in told.err, reason in told.err) == (2, True, True)
    assert "me:" not in told.err


def test_a_secret_needs_an_address(smallfirst: Smallfirst, tmp_path: Path) -> None:
    """Without it the components would find no Redis; and three passwords are one too many."""
    (tmp_path / "router").write_text("a\nb\nc\n")
    alone = smallfirst("acl", tmp_path, "--secret", "users")
    assert (alone.code, "--redis-address" in alone.err) == (2, True)
    three = smallfirst("acl", tmp_path)
    assert (three.code, "two at most" in three.err) == (2, True)
