"""The rows of an evaluation for a file: what was right to say, and what was said. Pure.

Who looks at what went wrong, or counts otherwise than the report does, finds every row here.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from smallfirst.evaluation.evaluating import Evaluation, RowEnd
from smallfirst.evaluation.scores import Said

#: Digits after the point of a confidence.
_DIGITS = 6


def rows_as_json(found: Evaluation, texts: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """Lay the rows out as JSON, in their order.

    Args:
        found: The evaluation.
        texts: Of the rows, where they are to stand beside the answers.
    """
    models = [step.about.model for step in found.steps]
    for number, end in enumerate(found.ends):
        text = {} if texts is None else {"text": texts[number]}
        yield {**_row(end), **text, "steps": [*map(_step, models, end.row.said)]}


def _row(end: RowEnd) -> dict[str, Any]:
    row, is_accepted = end.row, end.step is not None
    return {
        "line": row.line,
        **({"id": row.id} if row.id else {}),
        "outcome": "abstained" if not is_accepted else "right" if end.is_right else "wrong",
        "gold": row.answer,
        "answer": None if end.step is None else row.said[end.step].answer,
        "confidence": round(end.confidence, _DIGITS) if is_accepted else None,
        "step": end.step,
    }


def _step(model: str, said: Said) -> dict[str, Any]:
    """What one step says of the row, whether it is asked in the cascade or not."""
    return {
        "model": model,
        "answer": said.answer,
        "confidence": round(said.confidence, _DIGITS),
        "right": said.is_right,
        **({"problem": said.problem} if said.problem else {}),
    }
