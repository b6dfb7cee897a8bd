"""What a step that asks an encoder answers by: its head, a linear model over words, or their mean.

Pure. Chosen on examples that neither had learned from, so that no step is beaten by something
simpler that its own examples make.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from smallfirst.kinds import HeadForm
from smallfirst.linear.probabilities import Floats
from smallfirst.linear.regression import LeftOut, log_losses, probabilities_of
from smallfirst_workers.heads.means import mean_of

#: Weights of the linear model in a mean that are tried. So coarse that the rounding of another
#: processor chooses the same.
WEIGHTS: Final = tuple(round(0.1 * tenth, 1) for tenth in range(1, 10))

_Key = TypeVar("_Key")


class Way(StrEnum):
    """By what a step is answered, the simplest first."""

    LINEAR = "linear"
    HEAD = "head"
    MEAN = "mean"


@dataclass(frozen=True)
class Figures:
    """How good a way was on examples left out.

    Attributes:
        right: Share of them all of whose labels were right.
        log_loss: Mean over them.
    """

    right: float
    log_loss: float


@dataclass(frozen=True)
class Choice:
    """What was chosen, and on what grounds.

    Attributes:
        way: By what is answered.
        weight: Of the linear model in the mean.
        num_rows: Examples that were left out.
        figures: Of every way.
    """

    way: Way
    weight: float
    num_rows: int
    figures: dict[Way, Figures]

    @property
    def weights(self) -> tuple[float, float]:
        """Of the linear model and of the head, in the mean."""
        return self.weight, round(1 - self.weight, 1)

    def as_json(self) -> dict[str, Any]:
        """Lay it out for a card."""
        digits = {
            str(way): {"right": round(found.right, 4), "log_loss": round(found.log_loss, 4)}
            for way, found in self.figures.items()
        }
        return {
            "way": str(self.way),
            "weight_of_linear": self.weight,
            "left_out": self.num_rows,
            "figures": digits,
        }

    @classmethod
    def from_json(cls, card: Mapping[str, Any]) -> "Choice":
        """Read what `as_json` laid out."""
        figures = {Way(way): Figures(**found) for way, found in card["figures"].items()}
        return cls(Way(card["way"]), card["weight_of_linear"], card["left_out"], figures)


def choose(form: HeadForm, truth: NDArray[np.bool_], linear: LeftOut, head: LeftOut) -> Choice:
    """Choose by what a linear model and a head said of the same examples left out.

    Args:
        form: How the task is answered.
        truth: Which labels are right for each example: `(examples, labels)`.
        linear: What the linear model said.
        head: What the head said.

    Of the three ways the one that was right most often is taken; where others come within a
    standard error of it, the one of them with the least log loss. In the mean both count the same,
    unless another weight is right more often by more than a standard error: weights that few rows
    chose are worse than none. (Weights of the least log loss took the demo's `topic` from 86.4 %
    right of 396 mails to 83.8: its examples are shorter than its mails.)
    """
    truth = truth[linear.places]
    words, states = (probabilities_of(form, said.logits) for said in (linear, head))
    means = {w: mean_of(form, [words, states], [w, 1 - w]) for w in WEIGHTS}
    wrong_by_weight = {w: _is_wrong(form, said, truth) for w, said in means.items()}
    weight = min(_as_good(wrong_by_weight), key=lambda w: abs(w - 0.5))
    said = {Way.LINEAR: words, Way.HEAD: states, Way.MEAN: means[weight]}
    wrong = {way: _is_wrong(form, given, truth) for way, given in said.items()}
    losses_by_way = {way: log_losses(form, given, truth) for way, given in said.items()}
    figures = {
        way: Figures(1 - float(wrong[way].mean(dtype=np.float64)), float(losses_by_way[way].mean()))
        for way in Way
    }
    way = min(_as_good(wrong), key=lambda way: round(figures[way].log_loss, 4))
    return Choice(way, weight, len(truth), figures)


def _as_good(losses: Mapping[_Key, Floats]) -> list[_Key]:
    """Name the least mean loss, and those above it by less than the difference's standard error.

    Source: Breiman et al. 1984, "Classification and regression trees", section 3.4.3; here of
    differences row by row.

    Args:
        losses: `(rows,)` each, of the same rows.
    """
    best = min(losses, key=lambda key: losses[key].mean())
    worse = {key: np.asarray(loss - losses[best], np.float64) for key, loss in losses.items()}
    return [
        key for key, rows in worse.items() if rows.mean() <= rows.std() / np.sqrt(max(1, len(rows)))
    ]


def _is_wrong(form: HeadForm, said: Floats, truth: NDArray[np.bool_]) -> Floats:
    """1 for a row of which anything is wrong, 0 for others: `(rows,)`."""
    if form is HeadForm.EACH:
        return np.asarray(((said >= 0.5) != truth).any(axis=1), np.float32)
    return np.asarray(~truth[np.arange(len(truth)), said.argmax(axis=1)], np.float32)
