"""The built-in recognizers on lines written from the standards: precision and recall.

The lines stand in `tests/support/recognizer_lines.jsonl`: a text, the recognizer that reads it,
what is to be found in it, and the section that says so. They were written before the code was
measured by them, and some are beyond it.
"""

import pytest
from tests.support.recognizer_lines import LINES, counts

from smallfirst_router.recognizers import RECOGNIZERS

#: The least that a recognizer may come to: precision and recall.
FLOORS = {
    "ssn": (1.0, 0.98),
    "card": (1.0, 1.0),
    "iban": (1.0, 1.0),
    "email": (0.98, 0.97),
    "phone": (0.98, 0.99),
    "date": (0.99, 1.0),
    "ip": (0.97, 1.0),
    "url": (1.0, 1.0),
}


def test_there_are_lines_of_both_kinds() -> None:
    """There are 600 lines, and for each recognizer 50 with something to find and 25 without."""
    assert len(LINES) >= 600
    for name in RECOGNIZERS:
        with_spans = [bool(line.spans) for line in LINES if line.recognizer == name]
        assert sum(with_spans) >= 50
        assert len(with_spans) - sum(with_spans) >= 25


def test_lines_are_no_repetitions() -> None:
    """No line stands twice, and what is to be found lies in its text, in order."""
    assert len({(line.recognizer, line.text) for line in LINES}) == len(LINES)
    for line in LINES:
        edges = [edge for span in line.spans for edge in span]
        assert edges == sorted(edges)
        assert all(0 <= start < end <= len(line.text) for start, end in line.spans)
        assert line.source


@pytest.mark.parametrize("name", RECOGNIZERS)
def test_a_recognizer_is_no_worse_than_it_was(name: str) -> None:
    """A recognizer's precision and recall on its lines, counted by whole spans, have a floor."""
    found = counts(name)
    assert found.precision >= FLOORS[name][0]
    assert found.recall >= FLOORS[name][1]
