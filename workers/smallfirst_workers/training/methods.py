"""The three ways to a trained model: a head alone, the whole encoder, an encoder from nothing.

Each gives an encoder and a head, fitted without the rows held out so that those can judge, and then
the ones to keep.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers

from smallfirst.catalogue import Example, MeanStep
from smallfirst.catalogue.build_once import build_once
from smallfirst.kinds import HeadForm
from smallfirst.process.training_plan import Method
from smallfirst.provenance.row_vectors import TaughtRow
from smallfirst_workers.encoding.model_folder import ModelFolder
from smallfirst_workers.encoding.tokenising import Reader
from smallfirst_workers.heads.heads import LinearHead
from smallfirst_workers.slm.engine import SlmEngine
from smallfirst_workers.training.casing import fold_case, teach_case, unfold_case
from smallfirst_workers.training.network import Network, parameter_groups
from smallfirst_workers.training.pretraining import make_encoder
from smallfirst_workers.training.row_vectors import rows_of_head, rows_of_network
from smallfirst_workers.training.scoring import score_units
from smallfirst_workers.training.training_data import Collator, make_material
from smallfirst_workers.training.tuning import Fit, Fitted
from smallfirst_workers.training.workspace import Bench


@dataclass(frozen=True)
class Made:
    """A trained encoder and its head.

    Attributes:
        base: Folder of the tokenizer, and of the weights where the encoder stayed as it was.
        head: The task's.
        encoder: Where its weights were trained.
        fitted: The same.
        taught: The rows that made it, as they are kept; none where words are judged.
    """

    base: ModelFolder
    head: LinearHead
    encoder: Any = None
    fitted: Fitted | None = None
    taught: Sequence[TaughtRow] = ()


def judged(bench: Bench) -> Made:
    """Train on the rows that are not held out."""
    if bench.plan.method is Method.HEAD:
        return _on_frozen(bench, bench.rows.fit)
    return _tune(_on(bench, _base(bench)), "fit", bench.rows.fit, bench.rows.held_out)


def final(bench: Bench, made: Made) -> Made:
    """Train on all rows, where that was asked for or costs nothing; else keep what was judged."""
    if not bench.rows.held_out:
        return made
    if bench.plan.method is Method.HEAD:
        return _on_frozen(bench, bench.rows.all)
    if not bench.plan.refit or made.fitted is None:
        return made
    stop_after = made.fitted.epochs
    again = _tune(_on(bench, made.base), "refit", bench.rows.all, (), stop_after=stop_after)
    return replace(again, fitted=made.fitted)


def _on(bench: Bench, base: ModelFolder) -> Bench:
    """The same bench with another base; what is converted of one made here is kept here."""
    is_own = base.path.is_relative_to(bench.work)
    return replace(bench, base=base, cache=bench.work / "cache" if is_own else bench.cache)


def _on_frozen(bench: Bench, examples: tuple[Example, ...]) -> Made:
    head = fit_head(bench, examples)
    return Made(bench.base, head, taught=rows_of_head(bench, examples, head))


def fit_head(bench: Bench, examples: tuple[Example, ...]) -> LinearHead:
    """Fit a head on the frozen base, as a worker does that is asked for exactly it."""
    plan = bench.plan
    engine = SlmEngine.load(
        bench.base.name, bench.model, bench.base.path, cache=bench.cache, threads=plan.threads
    )
    step = MeanStep(models=(bench.base.name,))
    task = bench.task.model_copy(update={"examples": examples, "cascade": (step,)})
    engine.prepare({plan.task: task})
    head = engine.head_of(plan.task, step.options)
    engine.unload()
    assert isinstance(head, LinearHead), "a bare encoder has no other"
    return head


def _base(bench: Bench) -> ModelFolder:
    """The encoder that is tuned: the catalogue's, or made from it or from nothing in `work`."""
    folder = bench.base
    if bench.plan.method is Method.SCRATCH:
        folder = ModelFolder.open("scratch", make_encoder(bench))
    if bench.plan.keep_case:
        to = bench.work / "cased"
        build_once(to, partial(teach_case, folder))
        folder = ModelFolder.open(folder.name, to)
    return folder


def _tune(
    bench: Bench,
    name: str,
    examples: tuple[Example, ...],
    judges: tuple[Example, ...],
    *,
    stop_after: int | None = None,
) -> Made:
    plan, task = bench.plan, bench.task
    head = fit_head(bench, examples)
    reader = Reader.load(bench.base, cache=bench.cache, max_tokens=bench.model.max_tokens)
    encoder = load_encoder(bench.base.path)
    unfold_case(encoder, bench.base.path)
    network = Network(encoder, head, smoothing=plan.smoothing, consistency=plan.consistency)
    material = make_material(examples, task, reader)
    fit = Fit(
        folder=bench.work / name,
        rows=material,
        judges=make_material(judges, task, reader),
        collator=Collator(reader.pad_id, is_multilabel=head.form is HeadForm.EACH),
        score=partial(score_units, task.kind),
        epochs=plan.epochs,
        stop_after=stop_after,
        plan=plan,
    )
    rates = {"rate": plan.learning_rate, "decay": plan.layer_decay, "head_rate": plan.head_rate}
    fitted = fit.run(network, parameter_groups(network, **rates))
    taught = rows_of_network(bench, examples, network, material, reader.pad_id)
    fold_case(encoder)
    return Made(bench.base, network.linear_head(head), encoder, fitted, taught)


def load_encoder(folder: Path) -> Any:
    """Load an encoder to be trained, in float32."""
    transformers.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    return transformers.AutoModel.from_pretrained(
        folder,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        dtype=torch.float32,
    )
