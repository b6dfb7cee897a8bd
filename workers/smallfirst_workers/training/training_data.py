"""Labelled texts as tensors: tokens, which of them make up a unit, and what is true of each unit.

A unit is what the head judges: the whole text, or each of its words. Tokens, windows and words are
the ones that the engine will see, since its own reader makes them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from smallfirst.catalogue import Example, Task
from smallfirst.kinds import KINDS, HeadForm
from smallfirst.linear.messages import text_read
from smallfirst_workers.encoding.tokenising import Reader, TokenizedText
from smallfirst_workers.encoding.windows import Window
from smallfirst_workers.encoding.words import find_words, label_words, words_of_tokens

#: The truth of a unit that is only padding; torch's losses leave it out.
#: Source: `ignore_index` of torch.nn.functional.cross_entropy.
NOTHING = -100

#: One row: `window_sizes (windows,)`, how many tokens each of its windows has; of all windows, one
#: after the other, `input_ids (tokens,)` and `units (tokens,)` with -1 for tokens of none; and
#: `truth`: `(units,)` the right output of each, or `(labels,)` 0 and 1 where labels are judged
#: separately.
Row = Mapping[str, Any]


def make_material(examples: Sequence[Example], task: Task, reader: Reader) -> list[Row]:
    """Make rows of examples; those in which the model can read nothing are left out.

    Where texts are judged as a whole a row is a text with all of its windows, since nothing says
    which part of it the label is about. Where words are judged a row is a window.
    """
    readings = reader.read([text_read(task, example.text) for example in examples])
    rows: list[Row] = []
    for example, reading in zip(examples, readings, strict=True):
        if KINDS[task.kind].head is HeadForm.WORDS:
            rows.extend(_word_rows(example, reading, task, reader))
        elif reading.windows:
            rows.append(_text_row(example, reading, task, reader))
    return rows


def _text_row(example: Example, reading: TokenizedText, task: Task, reader: Reader) -> Row:
    ids = [reader.row(reading, window) for window in reading.windows]
    return {
        "window_sizes": np.array([len(each) for each in ids]),
        "input_ids": np.concatenate(ids),
        "units": np.concatenate([_text_units(window, reader) for window in reading.windows]),
        "truth": _text_truth(example, task),
    }


def _text_units(window: Window, reader: Reader) -> NDArray[np.int64]:
    """Mark the tokens that the engine counts: the frame, and what is taken from this window."""
    before, after, size = len(reader.before), len(reader.after), window.end - window.start
    units = np.full(before + size + after, -1, np.int64)
    units[:before] = units[before + size :] = 0
    units[before:][window.keep_start - window.start : window.keep_end - window.start] = 0
    return units


def _text_truth(example: Example, task: Task) -> Any:
    spec, labels = KINDS[task.kind], list(task.labels)
    right = spec.labels_of(example)
    if spec.head is HeadForm.EACH:
        return np.array([label in right for label in labels], np.float32)
    return np.array([labels.index(right[0])], np.int64)


def _word_rows(example: Example, reading: TokenizedText, task: Task, reader: Reader) -> list[Row]:
    places = find_words(reading.text)
    outputs = {label: number for number, label in enumerate((None, *task.labels))}
    truth = [outputs[label] for label in label_words(places, example.spans or ())]
    words = words_of_tokens(reading.offsets, places)
    return [_window_row(reading, window, words, truth, reader) for window in reading.windows]


def _window_row(
    reading: TokenizedText, window: Window, words: Any, truth: Sequence[int], reader: Reader
) -> Row:
    ids = reader.row(reading, window)
    kept = words[window.keep_start : window.keep_end]
    seen, numbers = np.unique(kept[kept >= 0], return_inverse=True)
    units = np.full(len(ids), -1, np.int64)
    first = len(reader.before) + window.keep_start - window.start
    inside = units[first : first + len(kept)]  # a view: writing here writes there
    inside[kept >= 0] = numbers
    return {
        "window_sizes": np.array([len(ids)]),
        "input_ids": ids,
        "units": units,
        "truth": np.array(truth, np.int64)[seen],
    }


@dataclass(frozen=True)
class Collator:
    """Puts rows of unequal length into one batch.

    Attributes:
        pad_id: Fills the shorter rows.
        is_multilabel: Whether every label is judged for itself.
    """

    pad_id: int
    is_multilabel: bool

    def __call__(self, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
        """Pad windows on the right, and rows of few windows with empty ones.

        Returns:
            `input_ids` and `attention_mask` `(rows, windows, tokens)`; `shares (rows, windows,
            units, tokens)`, each unit's weights of the tokens whose mean it is, whichever windows
            those are in; `truth (rows, units)`, or `(rows, labels)` where labels are judged
            separately.
        """
        longest = max(int(row["window_sizes"].max()) for row in rows)
        num_units = max(1, *(int(row["units"].max(initial=-1)) + 1 for row in rows))
        shape = len(rows), max(len(row["window_sizes"]) for row in rows), longest
        input_ids = torch.full(shape, self.pad_id)
        mask = torch.zeros(shape, dtype=torch.long)
        shares = torch.zeros(*shape[:2], num_units, longest)
        for number, row in enumerate(rows):
            for window, (ids, units) in enumerate(_windows(row)):
                input_ids[number, window, : len(ids)] = torch.from_numpy(ids)
                mask[number, window, : len(ids)] = 1
                tokens = np.flatnonzero(units >= 0)
                shares[number, window, units[tokens], tokens] = 1
        shares = shares / shares.sum(dim=(1, 3), keepdim=True).clamp(min=1)
        truth = self._truth(rows, num_units)
        return {"input_ids": input_ids, "attention_mask": mask, "shares": shares, "truth": truth}

    def _truth(self, rows: Sequence[Row], num_units: int) -> torch.Tensor:
        if self.is_multilabel:
            return torch.from_numpy(np.stack([row["truth"] for row in rows]))
        truth = torch.full((len(rows), num_units), NOTHING)
        for number, row in enumerate(rows):
            truth[number, : len(row["truth"])] = torch.from_numpy(row["truth"])
        return truth


def _windows(row: Row) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Part a row into its windows: token ids and units of each, both `(tokens,)`."""
    seams = np.cumsum(row["window_sizes"])[:-1]
    return zip(np.split(row["input_ids"], seams), np.split(row["units"], seams), strict=True)
