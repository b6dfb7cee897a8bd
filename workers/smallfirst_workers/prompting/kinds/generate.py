"""`generate` for a large model: free text."""

from smallfirst.answers import rounded
from smallfirst.catalogue import Task
from smallfirst.jobs import TextAnswer
from smallfirst_workers.prompting.completions import Completion, InvalidAnswer
from smallfirst_workers.prompting.votes import middle_text
from smallfirst_workers.prompting.written_kind import WrittenKind


def _read(_task: Task, _text: str, writing: Completion) -> TextAnswer:
    # Half a character, which JSON can carry and the wire cannot, becomes a question mark.
    text = writing.text.encode(errors="replace").decode().strip()
    if not text:
        raise InvalidAnswer("the model wrote nothing")
    return TextAnswer(text=text, confidence=rounded(writing.mean_probability))


WRITTEN = WrittenKind(
    order="Read the text and write the answer to it, and nothing else.",
    cue="Answer?",
    max_tokens=256,
    write=lambda _task, example: example.reply,
    read=_read,
    vote=middle_text,
    is_json=False,
    may_be_cut=True,
)
