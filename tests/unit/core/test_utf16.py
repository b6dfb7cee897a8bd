"""Where a stretch stands for those who count in UTF-16 code units."""

import json
import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallfirst.answers import Evidence, LabelAnswer, Span, SpansAnswer, with_utf16
from smallfirst.jobs import Job, Result
from smallfirst.results import answered

TEXT = "\U0001f600\U0001f600 card 4111, \U0001f469\u200d\U0001f4bb Anna \u00e9"
PAGE = Path(__file__).parents[3] / "docs" / "reference" / "result.md"


def result_of(text: str, *words: str) -> Result:
    """The result of a job whose answer marks these words."""
    starts = [text.index(word) for word in words]
    spans = tuple(
        Span(start=start, end=start + len(word), label="x")
        for start, word in zip(starts, words, strict=True)
    )
    job = Job(task="ids", text=text, deadline=timedelta(seconds=1))
    answer = SpansAnswer(spans=spans, confidence=1.0)
    trail = [_ATTEMPT]
    return answered(job, answer, trail, submitted_ms=0, now_ms=0)


_ATTEMPT = Result.model_validate_json(
    """{"id": "x", "status": "answered", "submitted_at": "2026-11-29T00:00:00Z",
    "finished_at": "2026-11-29T00:00:00Z", "trail": [
    {"step": 0, "tier": "rule", "model": "rules", "revision": "1", "outcome": "accepted"}]}"""
).trail[0]


@given(st.text(min_size=1), st.data())
def test_utf16_offsets_cut_out_the_very_words(text: str, data: st.DataObject) -> None:
    """Two bytes a unit, the slice of units is the slice of code points."""
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    evidence = (Evidence(start=start, end=end, weight=1.0),)
    told = with_utf16(LabelAnswer(label="x", confidence=1.0, evidence=evidence), text)
    assert isinstance(told, LabelAnswer)
    [found] = told.evidence
    units = text.encode("utf-16-le", "surrogatepass")
    if any(character > "\uffff" for character in text):
        assert found.start_utf16 is not None
        assert found.end_utf16 is not None
        cut = units[2 * found.start_utf16 : 2 * found.end_utf16]
        assert cut.decode("utf-16-le", "surrogatepass") == text[start:end]
    else:
        assert (found.start_utf16, found.end_utf16) == (None, None)
        assert units[2 * start : 2 * end].decode("utf-16-le", "surrogatepass") == text[start:end]


def test_a_result_tells_both_where_they_differ() -> None:
    """Code points stay what they were; without such a character nothing is added to the JSON."""
    [card, name] = json.loads(result_of(TEXT, "4111", "Anna").to_json())["answer"]["spans"]
    assert (card["start"], card["start_utf16"]) == (8, 10)
    assert (name["end"], name["end_utf16"]) == (22, 26)
    assert "utf16" not in result_of("card 4111, Anna \u00e9", "4111").to_json()


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not there")
def test_the_page_s_javascript_cuts_out_the_very_words() -> None:
    """What the reference tells a reader to write gives the words, with and without emoji."""
    [line] = re.findall(r"^const words = .*$", PAGE.read_text(), re.MULTILINE)
    for text in (TEXT, "card 4111, Anna"):
        spans = json.loads(result_of(text, "4111", "Anna").to_json())["answer"]["spans"]
        program = f"for (const span of {json.dumps(spans)}) {{ {line} console.log(words); }}"
        program = f"const text = {json.dumps(text)}; {program}"
        done = subprocess.run(["node", "-e", program], capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["4111", "Anna"]
