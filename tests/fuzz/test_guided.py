"""A short run of the coverage-guided fuzzer; `make fuzz` runs a longer one."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("atheris", reason="atheris is not installed: pip install '.[dev]'")
NUM_INPUTS = 10_000


def test_no_reader_raises_what_it_does_not_promise(tmp_path: Path) -> None:
    """Ten thousand inputs that libFuzzer makes from good ones, and not one crash."""
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    # The peak that libFuzzer sees is that of the process that started it, two gigabytes where tests
    # ran in it before; so single allocations are bounded, and not the whole.
    bounds = ("-timeout=20", "-rss_limit_mb=0", "-malloc_limit_mb=512")
    options = (f"-runs={NUM_INPUTS}", "-seed=1", "-max_len=2048", *bounds, str(corpus))
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.guided_fuzz", *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert f"Done {NUM_INPUTS}" in done.stderr
