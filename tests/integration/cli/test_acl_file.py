"""`smallfirst acl`: the file of Redis's users, from a folder of passwords."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from smallfirst.redis_access.acl import hash_of

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
