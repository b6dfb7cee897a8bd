"""Keys of answers: by which it is known that two people answered the same. Pure.

Labels are compared exactly, sets of labels and of spans without their order, records field by field
and as a whole, verdicts without their quotes, free text without regard to white space.
"""

import json
from hashlib import blake2b
from typing import Any, Final

from smallfirst.answers import (
    Answer,
    LabelAnswer,
    LabelsAnswer,
    RecordAnswer,
    SpansAnswer,
    TextAnswer,
)

#: What stands before a hash, by which it is told from a label: none begins so with 24 hex digits.
_HASHED: Final = "#"
#: The fields of a verdict, of which a quote is not compared.
_VERDICT: Final = frozenset({"verdict", "quote"})


def answer_key(answer: Answer) -> str:
    """The same for answers that are the same: a label, a verdict, or a hash; no word of a text."""
    if isinstance(answer, LabelAnswer):
        return answer.label
    compared = _compared(answer)
    if isinstance(compared, str) and isinstance(answer, RecordAnswer):
        return compared
    written = json.dumps(compared, sort_keys=True, ensure_ascii=True)
    return _HASHED + blake2b(written.encode(), digest_size=12).hexdigest()


def _compared(answer: Answer) -> Any:
    if isinstance(answer, LabelsAnswer):
        return sorted(set(answer.labels))
    if isinstance(answer, SpansAnswer):
        return sorted({(each.start, each.end, each.label) for each in answer.spans})
    if isinstance(answer, RecordAnswer):
        record = answer.record
        is_verdict = record.keys() == _VERDICT and isinstance(record["verdict"], str)
        return record["verdict"] if is_verdict else record
    if isinstance(answer, TextAnswer):
        return " ".join(answer.text.split())
    return answer.model_dump(mode="json", exclude={"confidence"})
