"""What a producer's program loads."""

import subprocess
import sys

HEAVY = ("torch", "transformers", "celery", "kombu", "vllm", "numpy", "typer", "rich", "yaml")


def test_the_client_loads_nothing_heavy() -> None:
    """`import smallfirst` loads no model library, no Celery and no command line."""
    script = f"import sys, smallfirst; print([m for m in {HEAVY} if m in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30
    )
    assert loaded.stdout.strip() == "[]"
