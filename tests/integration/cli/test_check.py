"""What `smallfirst check` prints and exits with; what it finds is `test_checking`'s."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

Smallfirst = Callable[..., Any]
GOOD = """version: 1
pools: {cpu: {tier: slm, max_parameters: 50M}}
tasks:
  found: {kind: tag, labels: {email: ""}, cascade: [{rule: {find: [email]}}]}
"""


def test_a_catalogue_is_checked_without_redis(smallfirst: Smallfirst, tmp_path: Path) -> None:
    """Exit 0 where nothing is wrong, 1 where something is, 2 where there is no such file."""
    good, wrong = tmp_path / "good.yaml", tmp_path / "wrong.yaml"
    good.write_text(GOOD)
    wrong.write_text(GOOD.replace("email]", "emial]").replace("tag", "judge"))
    nowhere = {"SMALLFIRST_REDIS_URL": "redis://127.0.0.1:1"}
    done = smallfirst("check", str(good), **nowhere)
    assert (done.code, done.out) == (0, "")
    assert done.err.strip() == f"{good}: ok, 1 task, 0 models"
    done = smallfirst("check", str(good), str(wrong), **nowhere)
    assert done.code == 1
    assert f"{wrong}:4: tasks.found.cascade[0].rule.find[0]: unknown recognizer 'emial'" in done.out
    found = smallfirst("check", "--json", str(wrong), **nowhere).json
    assert {each["state"] for each in found} == {"fail"}
    assert found[0]["line"] == 4
    assert smallfirst("check", str(tmp_path / "none.yaml")).code == 2
