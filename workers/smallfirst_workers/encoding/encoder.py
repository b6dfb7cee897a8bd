"""Texts in, states out: what a batch of texts looks like to a runtime.

It knows tokens, windows and padding. It does not know tasks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from smallfirst.catalogue.encoder_config import Classifier
from smallfirst.linear.probabilities import sigmoid, softmax
from smallfirst_workers.encoding.runtimes.base import Ids, Runtime, States
from smallfirst_workers.encoding.states import TextStates, WindowMerger
from smallfirst_workers.encoding.tokenising import Reader, TokenizedText
from smallfirst_workers.encoding.windows import PassCost, Window, padded_length, plan_forwards

#: The most positions in one forward pass, padding included: 16 windows of 256 tokens. Longer passes
#: are no faster (benchmarks/results/slm_runtimes.md) and need memory in proportion.
MAX_POSITIONS = 4096
#: What a forward pass costs whatever it holds, in positions; mostly the price of a shape that the
#: runtime has not met before. Source: benchmarks/results/slm_runtimes.md.
FORWARD_COST_POSITIONS = 96


@dataclass(frozen=True)
class _Row:
    """One window of one text: a row of a forward pass."""

    text: int
    window: Window
    ids: Ids


@dataclass(frozen=True)
class Encoder:
    """A model's tokenizer and its runtime.

    Attributes:
        reader: Turns texts into tokens.
        runtime: Computes forward passes.
        classifier: What the model's own last layer judges, if it has one. Its logits become
            probabilities at once, so that merging windows means something.
        is_multilabel: Whether that layer judges every label for itself.
        pooling: How an encoder's token states become one vector of the text.
        forward_cost: What a forward pass costs whatever it holds, in positions.
        length_step: Rows are padded to a multiple of this; None: see `padded_length`.
    """

    reader: Reader
    runtime: Runtime
    classifier: Classifier | None = None
    is_multilabel: bool = False
    pooling: Literal["mean", "cls"] = "mean"
    forward_cost: int = FORWARD_COST_POSITIONS
    length_step: int | None = None

    def read(
        self, texts: Sequence[str], *, wants_words: Sequence[bool]
    ) -> tuple[list[TextStates], int]:
        """Read texts in one forward pass, or as few as make sense.

        Texts of similar length, as the router batches them, are one pass. It is cut where padding
        short texts to the longest would cost more than another pass does, and where it would hold
        more than `MAX_POSITIONS` positions; see `plan_forwards`.

        Args:
            texts: The texts.
            wants_words: For each of them, whether its words' states are needed too.

        Returns:
            The states of each text, and how many positions were computed, padding included.
        """
        readings = self.reader.read(texts)
        rows = self._rows(readings)
        merging = [
            WindowMerger(reading, wants_words=wanted, takes_max=self.is_multilabel)
            for reading, wanted in zip(readings, wants_words, strict=True)
        ]
        cost = PassCost(MAX_POSITIONS, self.forward_cost, self._padded)
        groups = plan_forwards([len(row.ids) for row in rows], cost)
        positions = sum(self._pass([rows[number] for number in group], merging) for group in groups)
        return [merged.finish() for merged in merging], positions

    def _rows(self, readings: Sequence[TokenizedText]) -> list[_Row]:
        return [
            _Row(text, window, self.reader.row(reading, window))
            for text, reading in enumerate(readings)
            for window in reading.windows
        ]

    def _pass(self, rows: Sequence[_Row], merging: Sequence[WindowMerger]) -> int:
        """Compute one forward pass and hand each text its part; returns positions computed."""
        input_ids, attention_mask = self._pad(rows)  # (rows, longest), twice
        states = self._activate(self.runtime.forward(input_ids, attention_mask))
        if states.ndim == 3:
            # What stands at padding may be anything, NaN included where attention is local.
            states[attention_mask == 0] = 0
        keep = self._keep(rows, input_ids.shape[1])  # (rows, longest)
        weights = keep.sum(axis=1)
        totals = self._totals(states, keep, weights)  # (rows, width)
        before = len(self.reader.before)
        for number, row in enumerate(rows):
            text, window = merging[row.text], row.window
            text.add_window(totals[number], int(weights[number]), len(row.ids))
            if states.ndim == 3:
                first = before + window.keep_start - window.start
                kept = states[number, first : first + window.keep_end - window.keep_start]
                text.add_words(window, kept)
        return input_ids.size

    def _pad(self, rows: Sequence[_Row]) -> tuple[Ids, Ids]:
        shape = len(rows), self._padded(max(len(row.ids) for row in rows), len(rows))
        input_ids = np.full(shape, self.reader.pad_id, np.int64)
        attention_mask = np.zeros(shape, np.int64)
        for number, row in enumerate(rows):
            input_ids[number, : len(row.ids)] = row.ids
            attention_mask[number, : len(row.ids)] = 1
        return input_ids, attention_mask

    def _padded(self, longest: int, num_rows: int) -> int:
        """To how many tokens rows are padded."""
        step = self.length_step
        even = -(-longest // step) * step if step else padded_length(longest, num_rows)
        return min(even, self.reader.max_tokens)

    def _activate(self, states: States) -> States:
        if self.classifier is None:
            return states
        return sigmoid(states) if self.is_multilabel else softmax(states)

    def _keep(self, rows: Sequence[_Row], length: int) -> NDArray[np.float32]:
        """Mark the tokens that count in each row: the frame, and what is taken from this window."""
        keep = np.zeros((len(rows), length), np.float32)
        before, after = len(self.reader.before), len(self.reader.after)
        for number, row in enumerate(rows):
            window = row.window
            first = before + window.keep_start - window.start
            keep[number, :before] = 1
            keep[number, first : first + window.keep_end - window.keep_start] = 1
            keep[number, len(row.ids) - after : len(row.ids)] = 1
        return keep

    def _totals(self, states: States, keep: States, weights: States) -> States:
        """Each row's vector times its weight: `(rows, width)`."""
        if states.ndim == 2:  # (rows, labels): the model has pooled
            return states * weights[:, None]
        if self.pooling == "cls":
            return states[:, 0] * weights[:, None]
        return np.asarray((keep[:, None, :] @ states)[:, 0], np.float32)
