"""Training encoder and head together with transformers' Trainer: resumable, the same each time.

It owns one fit: a folder of checkpoints that a killed run goes on from, and what it came to. What
is learned from, and what the result is for, is `methods`' business.
"""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import structlog
import torch
import transformers
from safetensors.torch import load_model, save_model
from transformers import EarlyStoppingCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME

from smallfirst.process.training_plan import TrainingPlan
from smallfirst_workers.processor import resolve_precision
from smallfirst_workers.training.progress import Bar
from smallfirst_workers.training.time_limit import TimeLimit
from smallfirst_workers.training.training_data import Row

#: Share of the steps in which the learning rates rise.
_WARM_UP = 0.1
#: The most rows in one pass that only judges.
_JUDGED_ROWS = 64

log = structlog.get_logger()


@dataclass(frozen=True)
class Fitted:
    """What a fit came to.

    Attributes:
        epochs: After which the weights stood that were kept.
        score: On the rows held out, by epoch; empty where none were. Accuracy of labels; F1 over
            labels or over words that bear one.
    """

    epochs: int
    scores: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Fit:
    """One fit of a network.

    Attributes:
        folder: Of its checkpoints; a fit that is done stands there and is not done again.
        rows: To learn from.
        judges: Held out; empty for none.
        collator: Puts rows into batches.
        score: Judges logits and truth of `judges`; higher is better.
        epochs: The most passes over the rows; learning rates fall to nothing over so many.
        stop_after: Epochs after which it ends all the same.
        plan: The rest: seed, threads, rows of a step, patience.
    """

    folder: Path
    rows: Sequence[Row]
    judges: Sequence[Row] = ()
    collator: Callable[[Sequence[Row]], dict[str, torch.Tensor]]
    score: Callable[[Any, Any], float] | None = None
    epochs: int
    stop_after: int | None = None
    plan: TrainingPlan

    def run(self, network: torch.nn.Module, groups: list[dict[str, Any]]) -> Fitted:
        """Train a network in place, from the last checkpoint if there is one.

        Args:
            network: Gives a `loss` and, to be judged, `logits`.
            groups: Of its parameters, with their learning rates, as torch's optimizers take them.
        """
        weights, facts = self.folder / "fitted.safetensors", self.folder / "fitted.json"
        if not facts.is_file():
            fitted = self._train(network, groups)
            network.cpu()
            save_model(network, str(weights))
            _write_whole(facts, json.dumps(asdict(fitted)))
        load_model(network, str(weights))
        found = json.loads(facts.read_text(encoding="utf-8"))
        network.eval()
        return Fitted(found["epochs"], tuple(found["scores"]))

    def _train(self, network: torch.nn.Module, groups: list[dict[str, Any]]) -> Fitted:
        torch.set_num_threads(self.plan.threads)
        trainer = self._trainer(network, groups)
        checkpoint = last_whole(self.folder)
        if checkpoint is not None:
            log.info("training.resumed", checkpoint=checkpoint.name)
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        scores = tuple(
            round(float(entry["eval_score"]), 6)
            for entry in trainer.state.log_history
            if "eval_score" in entry
        )
        last = self.stop_after or self.epochs
        return Fitted(1 + int(np.argmax(scores)) if scores else last, scores)

    def _trainer(self, network: torch.nn.Module, groups: list[dict[str, Any]]) -> Trainer:
        trainer = Trainer(
            model=network,
            args=self._arguments(),
            train_dataset=_dataset(self.rows),
            eval_dataset=_dataset(self.judges) if self.judges else None,
            data_collator=self.collator,
            compute_metrics=self._score if self.judges else None,
            optimizers=(torch.optim.AdamW(groups, fused=True), None),
            callbacks=self._callbacks(),
        )
        trainer.remove_callback(transformers.PrinterCallback)
        return trainer

    def _arguments(self) -> TrainingArguments:
        return TrainingArguments(
            output_dir=str(self.folder),
            use_cpu=not torch.cuda.is_available(),
            bf16=_has_bfloat16(),
            seed=self.plan.seed,
            num_train_epochs=self.epochs,
            per_device_train_batch_size=self.plan.batch_rows,
            per_device_eval_batch_size=_JUDGED_ROWS,
            warmup_steps=_WARM_UP,
            lr_scheduler_type="linear",
            train_sampling_strategy="group_by_length",
            eval_strategy="epoch" if self.judges else "no",
            save_strategy="epoch",
            save_total_limit=2,
            # Or a resumed fit would have all its patience again.
            restore_callback_states_from_checkpoint=True,
            load_best_model_at_end=bool(self.judges),
            metric_for_best_model="score" if self.judges else None,
            greater_is_better=True if self.judges else None,
            logging_strategy="epoch",
            label_names=["truth"],
            remove_unused_columns=False,
            dataloader_pin_memory=False,
            disable_tqdm=True,
            report_to=[],
        )

    def _callbacks(self) -> list[TrainerCallback]:
        callbacks: list[TrainerCallback] = [Bar()]
        if self.judges:
            callbacks.append(EarlyStoppingCallback(self.plan.patience))
        if self.plan.time_limit is not None:
            callbacks.append(TimeLimit(self.plan.time_limit))
        if self.stop_after is not None:
            callbacks.append(_StopAfter(self.stop_after))
        return callbacks

    def _score(self, said: transformers.EvalPrediction) -> dict[str, float]:
        logits, truth = np.asarray(said.predictions), np.asarray(said.label_ids)
        assert self.score is not None, "rows that judge need a score"
        return {"score": self.score(logits, truth)}


class _StopAfter(TrainerCallback):
    """Ends a fit after so many epochs, whatever the plan of its rates."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:  # noqa: ARG002
        """Stop where it is time."""
        control.should_training_stop |= state.epoch >= self._epochs - 1e-6
        return control


def _has_bfloat16() -> bool:
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    return resolve_precision("auto") == "bfloat16"


def _dataset(rows: Sequence[Row]) -> Any:
    """Rows as the Trainer takes them: what has a length and an order is a dataset too."""
    return list(rows)


def last_whole(folder: Path) -> Path | None:
    """Find the last checkpoint that was written to its end, and remove what is not whole.

    The Trainer writes its state last; a killed one leaves a checkpoint without it, or with half.
    """
    steps = {int(path.name.rpartition("-")[2]): path for path in folder.glob("checkpoint-*")}
    for _, path in sorted(steps.items(), reverse=True):
        if _is_whole(path / TRAINER_STATE_NAME):
            return path
        shutil.rmtree(path)
    return None


def _is_whole(state: Path) -> bool:
    try:
        json.loads(state.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True


def _write_whole(path: Path, content: str) -> None:
    beside = path.with_suffix(".part")
    beside.write_text(content, encoding="utf-8")
    os.replace(beside, path)  # noqa: PTH105 - atomic, and says so
