"""How the tests themselves are laid out."""

import ast
from pathlib import Path

import pytest

SUPPORT = Path(__file__).parents[2] / "support"


@pytest.mark.parametrize("path", sorted(SUPPORT.glob("*.py")), ids=lambda path: path.stem)
def test_what_tests_share_imports_no_test(path: Path) -> None:
    """A module of `support` draws from `support` and the product, so that any test may use it."""
    imported = [
        node.module or ""
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom)
    ]
    of_tests = [module for module in imported if module.startswith("tests")]
    assert all(module.startswith("tests.support.") for module in of_tests), of_tests
