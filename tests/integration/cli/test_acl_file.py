"""`smallfirst acl`: the file of Redis's users, from a folder of passwords."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from smallfirst.redis_access.acl import hash_of

Smallfirst = Callable[..., Any]


def test_each_file_is_a_user(smallfirst: Smallfirst, tmp_path: Path) -> None:
    """A role, a producer or a pool, with one password or two; other files are nobody's."""
    files = {"router": "r1\n", "producer-shop": "old\nnew\n", "readme": "x", "producer-A": "x"}
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
