"""What a producer's program loads, and what the health probe does."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import smallfirst

HEAVY = ("torch", "transformers", "celery", "kombu", "vllm", "numpy", "typer", "rich", "yaml")


def loaded_by(module: str, names: tuple[str, ...]) -> str:
    """Which of some modules there are once another is imported, as Python prints a list."""
    script = f"import sys, {module}; print([m for m in {names} if m in sys.modules])"
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30
    )
    return ended.stdout.strip()


def test_the_package_itself_loads_no_library() -> None:
    """`import smallfirst` waits for nothing that none of its names was asked for."""
    others = ("pydantic", "pydantic_settings", "redis", "structlog", "smallfirst.errors")
    assert loaded_by("smallfirst", (*HEAVY, *others)) == "[]"


def test_the_client_loads_nothing_heavy() -> None:
    """`from smallfirst import Client` loads no model library, no Celery and no command line."""
    assert loaded_by("smallfirst.client", HEAVY) == "[]"


def test_the_desk_loads_no_model_and_no_queue() -> None:
    """It reads YAML and serves pages; what reads texts, and Celery, it never needs."""
    others = ("smallfirst_router", "smallfirst_workers", "sklearn", "scipy", "matplotlib")
    models = ("torch", "transformers", "celery", "kombu", "vllm", "numpy", "typer")
    assert loaded_by("smallfirst_desk.__main__", (*models, *others)) == "[]"


def test_a_dashboard_is_drawn_without_statistics() -> None:
    """Drawing is in the desk's extra, what fits and tests hypotheses is not."""
    others = ("smallfirst_router", "smallfirst_workers", "sklearn", "scipy", "celery", "torch")
    assert loaded_by("smallfirst_desk.dashboard.panels", others) == "[]"


def test_the_probe_waits_for_no_library() -> None:
    """It runs every few seconds beside each process: the standard library is enough for it."""
    others = ("pydantic", "pydantic_settings", "redis", "structlog", "smallfirst.errors")
    assert loaded_by("smallfirst.health", (*HEAVY, *others)) == "[]"


def test_every_name_of_the_contract_is_there_when_asked_for() -> None:
    """Names are imported late, and none is listed twice."""
    listed = [name for names in smallfirst._NAMES.values() for name in names]
    assert listed == smallfirst.__all__
    assert [name for name in smallfirst.__all__ if not hasattr(smallfirst, name)] == []
    assert set(smallfirst.__all__) <= set(dir(smallfirst))


def test_type_checkers_are_told_of_every_name_of_the_contract() -> None:
    """What they read is the list that counts at run time: each name, from the same module."""
    tree = ast.parse(Path(smallfirst.__file__).read_text("utf-8"))
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    told = {name.asname: node.module for node in imported for name in node.names if name.asname}
    assert told == smallfirst._HOMES


def test_a_name_that_is_none_of_ours_is_refused() -> None:
    """Nothing is imported for it."""
    with pytest.raises(AttributeError, match="no attribute 'Clinet'"):
        _ = smallfirst.Clinet  # type: ignore[attr-defined]
