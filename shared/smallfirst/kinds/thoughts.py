"""What a model writes around its answer without being asked: a thought, Markdown's fence. Pure.

A model that was taught to reason writes its thought before its answer wherever nobody takes it off:
in vLLM where its template has no switch for it, at an endpoint that has no parser for it. Its mark
may be missing at the beginning, where a template wrote it. One without an end is all thought.
"""

import re
from typing import Final

#: A thought that leads, by the words that models of the field were taught; then one whose beginning
#: is not there: its end stands at the end of a line.
_THOUGHT: Final = re.compile(
    r"\s*(?:<(think|thinking|thought|reasoning)>.*?(?:</\1>|\Z)"
    r"|\[THINK\].*?(?:\[/THINK\]|\Z)"
    r"|<\|channel\|>.*?(?:\bfinal<\|message\|>|\Z))",
    re.DOTALL,
)
_THOUGHT_END: Final = re.compile(r"(?:</think>|\[/THINK\])[ \t]*(?=\n|\Z)")
#: A fence of Markdown around all there is, as models write JSON where nothing holds them to it.
_FENCED: Final = re.compile(
    r"\s*```(?:json)?[ \t]*\n(.*?)\n?[ \t]*```\s*", re.DOTALL | re.IGNORECASE
)
_BLANKS: Final = re.compile(r"\s*")


def answer_place(text: str, *, is_json: bool) -> tuple[int, int]:
    """Tell where the answer begins and ends in what a model wrote.

    Args:
        text: All of it.
        is_json: Whether the answer is JSON, which may stand in a fence.
    """
    start = _past_thought(text)
    fenced = _FENCED.fullmatch(text, start) if is_json else None
    return fenced.span(1) if fenced else (start, len(text))


def _past_thought(text: str) -> int:
    found = _THOUGHT.match(text) or _THOUGHT_END.search(text)
    if found is None:
        return 0
    blanks = _BLANKS.match(text, found.end())
    return blanks.end() if blanks else found.end()
