"""The page about rules tells how often recognizers are right, as measured."""

from pathlib import Path

import pytest
from tests.support.recognizer_lines import LINES, counts

from smallfirst_router.recognizers import RECOGNIZERS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/how-to/add-a-rule.md").read_text(encoding="utf-8")
RESULTS = (ROOT / "benchmarks/results/recognizers.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", RECOGNIZERS)
def test_the_figures_are_those_measured(name: str) -> None:
    """Precision and recall on the page and in the results are those of today's code."""
    found = counts(name)
    precision, recall = f"{found.precision:.3f}", f"{found.recall:.3f}"
    num_lines = sum(line.recognizer == name for line in LINES)
    row = f"| `{name}` | {precision} | {recall} |".replace(" 0.", " .")
    assert row in PAGE
    assert f"| {name} | {num_lines} | Smallfirst | {precision} | {recall} |" in RESULTS


def test_the_number_of_lines_is_told() -> None:
    """The page says how many lines there are."""
    assert f"{len(LINES)} lines" in PAGE
