"""Progress of a training for people: a bar on a terminal's stderr, and log events anywhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import TrainerCallback

log = structlog.get_logger()


@contextmanager
def folds_bar(num_folds: int) -> Iterator[Callable[[], None]]:
    """Draw the folds of a cross-validation as they are done; called after each."""
    with _bar() as bar:
        task = bar.add_task("cross-validating", total=num_folds)
        done = count(1)

        def advance() -> None:
            bar.advance(task)
            log.info("training.fold", fold=next(done), folds=num_folds)

        yield advance


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(file=sys.stderr),
        disable=not sys.stderr.isatty(),
        transient=True,
    )


class Bar(TrainerCallback):
    """Draws the steps of a fit as they are done."""

    def __init__(self) -> None:
        self._bar = _bar()
        self._steps = self._bar.add_task("training", total=None)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002 - the Trainer\'s
        """Show the bar, at the step that a resumed fit is at."""
        self._bar.start()
        self._bar.update(self._steps, total=state.max_steps, completed=state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002 - the Trainer\'s
        """Move on."""
        self._bar.update(self._steps, completed=state.global_step)

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002 - the Trainer\'s
        """Say what an epoch came to."""
        logs = kwargs.get("logs") or {}
        said = {"loss": "loss", "eval_loss": "held_out_loss", "eval_score": "held_out_score"}
        facts = {name: round(float(logs[key]), 4) for key, name in said.items() if key in logs}
        if facts:
            log.info("training.epoch", epoch=round(state.epoch or 0), **facts)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002 - the Trainer\'s
        """Take the bar away."""
        self._bar.stop()
