"""The codes of problems that producers meet."""

import ast
from pathlib import Path

from smallfirst import jobs
from smallfirst.jobs import PROBLEM_CODES, Result

ROOT = Path(__file__).parents[3]


def codes_in(folder: Path) -> set[str]:
    """Every code that a problem is made with, where it stands there as a word or by its name."""
    calls = (
        node
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Problem"
    )
    words = (word.value for call in calls for word in call.keywords if word.arg == "code")
    return {str(found) for word in words if (found := _said_by(word)) is not None}


def _said_by(word: ast.expr) -> object:
    if isinstance(word, ast.Name):
        return getattr(jobs, word.id, None)
    return word.value if isinstance(word, ast.Constant) else None


def test_every_code_is_listed() -> None:
    """Whatever a router or the ledger gives for a reason is in the schema and the reference.

    A worker's own codes end in its attempts, as sentences.
    """
    made = codes_in(ROOT / "shared") | codes_in(ROOT / "router")
    assert made <= set(PROBLEM_CODES)
    assert set(PROBLEM_CODES) - made == {"id_conflict", "result_unreadable"}


def test_the_schema_has_the_codes_and_stays_open() -> None:
    """A reader made from the schema knows each, and passes over a newer one."""
    code = Result.model_json_schema()["$defs"]["Problem"]["properties"]["code"]
    assert code["anyOf"] == [{"enum": list(PROBLEM_CODES)}, {"type": "string"}]
