"""Trains the pocket model from scratch and writes it as a folder that any engine loads.

    nice python train.py --minutes 70              # from nothing; one core is enough
    nice python train.py --start model --first 10000000 --steps 4000   # papers, with their guide
    python train.py --size medium --device cuda    # the same recipe, larger

Steps, not the clock, drive the schedule: `--minutes` is turned into a number of steps once, by the
speed of the first ones, and `--steps` repeats a run exactly. What is done is kept in `--work`;
the same command goes on from there.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from circuits import hold_copying, start_with_copying
from generate_text import conversation
from pools import pool
from tokens import CONTEXT, END, LINE_STATES, PAD, Encoded, encode, train_tokenizer
from topics import TOPICS
from torch.nn import Linear
from torch.nn.functional import cross_entropy
from transformers import (
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    set_seed,
)

from smallfirst_workers.processor import resolve_precision

HERE = Path(__file__).parent
SEED = 20
#: Slow enough that a head can compare contents over some hundred tokens.
ROPE_THETA = 100_000.0
#: Conversations that are sorted by length together, so that a batch holds little padding.
NUM_CONVERSATIONS_A_CHUNK = 384
LONGEST = 768
#: How much all the text counts beside the answers, and how much of it is looked at.
TEXT_WEIGHT, TEXT_SHARE = 0.1, 0.1
#: How much the guide counts at first and at last, and after how many layers it looks: the others
#: carry its word on.
GUIDE_WEIGHT, LEAST_GUIDE_WEIGHT, NUM_GUIDED_STEPS, GUIDED_LAYER = 1.0, 0.05, 1500, 2
#: After how many layers the guide of papers looks, and how much a line counts that is right,
#: altered or unreadable: most are right.
LINE_LAYER, LINE_COUNTS = 3, (1.0, 4.0, 4.0)
NUM_STEPS_TO_RISE, FALL_SHARE, FINAL_SHARE = 80, 0.35, 0.02
CLIP, WEIGHT_DECAY = 1.0, 0.0
NUM_STEPS_TO_MEASURE, NUM_STEPS_A_CHECKPOINT = 20, 100


@dataclass(frozen=True)
class Size:
    """A shape of the model and how it is trained."""

    hidden: int
    layers: int
    heads: int
    inner: int
    vocabulary: int
    batch_tokens: int
    learning_rate: float
    minutes: float


SIZES = {
    "small": Size(256, 4, 4, 1024, 4096, 2048, 1.5e-3, 70),
    "medium": Size(768, 12, 12, 2048, 8192, 32768, 8e-4, 20),
}


@dataclass(frozen=True)
class Batch:
    """Conversations padded to one length, all `(conversations, tokens)`; see `Encoded`."""

    ids: torch.Tensor
    weights: torch.Tensor
    topics: torch.Tensor
    states: torch.Tensor


def main() -> None:
    """Read the command line, train, write the folder."""
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    set_seed(SEED)
    size = SIZES[arguments.size]
    arguments.work.mkdir(parents=True, exist_ok=True)
    tokenizer = same_tokenizer(arguments.work, size, arguments.start)
    learner = make_learner(size, tokenizer, arguments.device)
    if arguments.start:
        begun = LlamaForCausalLM.from_pretrained(arguments.start, dtype=torch.float32)
        learner.model.load_state_dict(begun.state_dict())
    say(f"{learner.model.num_parameters() / 1e6:.2f} M parameters, {len(tokenizer)} tokens")
    seconds = train(learner, tokenizer, size, arguments)
    save(learner.model, tokenizer, arguments.out, seconds)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", choices=list(SIZES), default="small")
    parser.add_argument("--minutes", type=float, help="about how long to train")
    parser.add_argument("--steps", type=int, help="exactly how long to train")
    parser.add_argument("--start", type=Path, help="folder of a model to go on from")
    parser.add_argument("--first", type=int, default=0, help="number of the first conversation")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--work", type=Path, default=HERE / "work", help="where checkpoints lie")
    parser.add_argument("--out", type=Path, default=HERE / "model")
    return parser.parse_args()


def same_tokenizer(work: Path, size: Size, start: Path | None) -> PreTrainedTokenizerFast:
    """Load the run's tokenizer, or make it: another one would turn what was learnt to noise."""
    if not (work / "tokenizer.json").is_file():
        begun = start and PreTrainedTokenizerFast.from_pretrained(start)
        (begun or train_tokenizer(size.vocabulary)).save_pretrained(work)
    return PreTrainedTokenizerFast.from_pretrained(work)


@dataclass(frozen=True)
class Learner:
    """A model in training, with guides that are thrown away after it.

    One reads off the hidden states what a mail is about, at each of its tokens; the other whether
    a line of a paper is right, altered or unreadable, at its end. One label among hundreds of
    copied tokens would take far longer to be heard.
    """

    model: LlamaForCausalLM
    guide: Linear
    line_guide: Linear
    optimizer: torch.optim.Optimizer

    def state(self) -> dict[str, Any]:
        """Give all that a later run needs to go on."""
        parts = (self.model, self.guide, self.line_guide, self.optimizer)
        names = ("model", "guide", "line_guide", "optimizer")
        return {name: part.state_dict() for name, part in zip(names, parts, strict=True)}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.model.load_state_dict(state["model"])
        self.guide.load_state_dict(state["guide"])
        self.line_guide.load_state_dict(state["line_guide"])
        self.optimizer.load_state_dict(state["optimizer"])


def make_learner(size: Size, tokenizer: PreTrainedTokenizerFast, device: str) -> Learner:
    """Make an untrained model with all that its training needs."""
    model = make_model(size, tokenizer).to(device)
    guide = Linear(size.hidden, len(TOPICS)).to(device)
    line_guide = Linear(size.hidden, len(LINE_STATES)).to(device)
    optimizer = torch.optim.AdamW(
        [*model.parameters(), *guide.parameters(), *line_guide.parameters()],
        lr=size.learning_rate,
        betas=(0.9, 0.97),
        weight_decay=WEIGHT_DECAY,
        fused=True,
    )
    return Learner(model, guide, line_guide, optimizer)


def make_model(size: Size, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Make an untrained model of a size, which knows how to copy and nothing else."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=size.hidden,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        intermediate_size=size.inner,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        rope_parameters={"rope_theta": ROPE_THETA, "rope_type": "default"},
        bos_token_id=None,
        eos_token_id=tokenizer.convert_tokens_to_ids(END),
        pad_token_id=tokenizer.convert_tokens_to_ids(PAD),
    )
    model = LlamaForCausalLM(config)
    start_with_copying(model)
    hold_copying(model)
    return model


def batches(
    tokenizer: PreTrainedTokenizerFast, size: Size, start: int, first_of_all: int
) -> Iterator[Batch]:
    """Yield batches of ever new conversations from one on, the first batches left out."""
    words, chunk, done = pool("train"), 0, 0
    while True:
        first = first_of_all + chunk * NUM_CONVERSATIONS_A_CHUNK
        made = (conversation(words, first + i) for i in range(NUM_CONVERSATIONS_A_CHUNK))
        encoded = [encode(tokenizer, one) for one in made]
        groups = grouped([each for each in encoded if len(each.ids) <= LONGEST], size.batch_tokens)
        random.Random(chunk).shuffle(groups)
        for group in groups:
            if done >= start:
                yield padded(group, tokenizer.convert_tokens_to_ids(PAD))
            done += 1
        chunk += 1


def grouped(encoded: list[Encoded], batch_tokens: int) -> list[list[Encoded]]:
    """Put conversations of like length together, up to a number of tokens with padding."""
    groups: list[list[Encoded]] = [[]]
    for each in sorted(encoded, key=lambda one: len(one.ids)):
        if (len(groups[-1]) + 1) * len(each.ids) > batch_tokens:
            groups.append([])
        groups[-1].append(each)
    return [group for group in groups if group]


def padded(group: list[Encoded], pad: int) -> Batch:
    """Fill up to the longest conversation; padding comes last, where nothing attends to it."""
    longest = max(len(each.ids) for each in group)
    ids = [each.ids + [pad] * (longest - len(each.ids)) for each in group]
    # A pad counts less than nothing, so that it can be told from text that counts nothing.
    weights = [each.weights + [-1.0] * (longest - len(each.ids)) for each in group]
    topics = [each.topics + [-1] * (longest - len(each.topics)) for each in group]
    states = [each.states + [-1] * (longest - len(each.states)) for each in group]
    return Batch(*map(torch.tensor, (ids, weights, topics, states)))


def loss_of(learner: Learner, batch: Batch, step: int) -> torch.Tensor:
    """Weigh the loss on the answers, on a share of all the text, and on what the guides say.

    Only the states that count go through the output layer: `(targets, vocabulary)`.
    """
    model, device = learner.model, learner.model.device
    targets, weights = batch.ids[:, 1:], batch.weights[:, 1:]
    topics, states = batch.topics[:, :-1], batch.states[:, :-1]
    # Which text is looked at depends on the step alone, so that a resumed run is the same run.
    chance = torch.rand(weights.shape, generator=torch.Generator().manual_seed(SEED + step))
    is_looked_at = (chance < TEXT_SHARE) & (weights == 0)
    counts = (is_looked_at | (weights > 0)).to(device)
    with torch.autocast(device.type, torch.bfloat16, enabled=has_bfloat16(device)):
        read = model.model(batch.ids[:, :-1].to(device), output_hidden_states=True)
        logits = model.lm_head(read.last_hidden_state[counts])  # (targets, vocabulary)
        guesses = learner.guide(read.hidden_states[GUIDED_LAYER][topics >= 0])  # (tokens, topics)
        lines = learner.line_guide(read.hidden_states[LINE_LAYER][states >= 0])  # (lines, states)
    each = cross_entropy(logits.float(), targets.to(device)[counts], reduction="none")
    answer = weights.to(device)[counts]
    loss = (each * answer).sum() / answer.sum()
    if bool((answer == 0).any()):
        loss = loss + TEXT_WEIGHT * each[answer == 0].mean()
    if len(guesses):
        told = topics[topics >= 0].to(device)
        loss = loss + guide_weight(step) * cross_entropy(guesses.float(), told)
    if len(lines):
        told, counts_as = states[states >= 0].to(device), torch.tensor(LINE_COUNTS, device=device)
        loss = loss + cross_entropy(lines.float(), told, weight=counts_as)
    return loss


def has_bfloat16(device: torch.device) -> bool:
    """Tell whether bfloat16 is fast there; where a processor lacks it, it is slower by far."""
    return device.type != "cpu" or resolve_precision("auto") == "bfloat16"


def train(
    learner: Learner, tokenizer: PreTrainedTokenizerFast, size: Size, arguments: argparse.Namespace
) -> float:
    """Train in place; returns the seconds it took, those before a resumption included."""
    step, num_steps, seconds = resume(arguments.work, learner)
    num_steps = arguments.steps or num_steps
    budget = 60 * (arguments.minutes or size.minutes)
    source, began = batches(tokenizer, size, step, arguments.first), time.monotonic()
    mean: float | None = None
    learner.model.train()
    while not num_steps or step < num_steps:
        if not num_steps and step == NUM_STEPS_TO_MEASURE:
            num_steps = round(budget / (time.monotonic() - began) * NUM_STEPS_TO_MEASURE)
            say(f"{num_steps} steps fit into {budget / 60:.0f} minutes")
        rate = size.learning_rate * share_of_rate(step, num_steps)
        loss = take_step(learner, next(source), rate, step)
        mean = loss if mean is None else 0.98 * mean + 0.02 * loss
        step += 1
        spent = seconds + time.monotonic() - began
        if step % 25 == 0:
            say(f"step {step}/{num_steps} loss {mean:.3f} rate {rate:.1e} {spent / 60:.1f} min")
        if step % NUM_STEPS_A_CHECKPOINT == 0:
            keep(arguments.work, learner, (step, num_steps, spent))
    spent = seconds + time.monotonic() - began
    keep(arguments.work, learner, (step, num_steps, spent))
    return spent


def take_step(learner: Learner, batch: Batch, rate: float, step: int) -> float:
    """Learn from one batch."""
    for group in learner.optimizer.param_groups:
        group["lr"] = rate
    loss = loss_of(learner, batch, step)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(learner.model.parameters(), CLIP)
    learner.optimizer.step()
    learner.optimizer.zero_grad(set_to_none=True)
    return float(loss.detach())


def guide_weight(step: int) -> float:
    """Begin loudly, and leave the room to copying when topics are known."""
    return max(LEAST_GUIDE_WEIGHT, GUIDE_WEIGHT * (1 - step / NUM_GUIDED_STEPS))


def share_of_rate(step: int, num_steps: int) -> float:
    """Rise, stay, and fall in a straight line at the end; of unknown length it has no end.

    Staying level until the last third lets a resumed run be made longer or shorter by `--steps`.
    """
    rise = min(1.0, (step + 1) / NUM_STEPS_TO_RISE)
    if not num_steps:
        return rise
    left = (num_steps - step) / max(1.0, num_steps * FALL_SHARE)
    return rise * max(FINAL_SHARE, min(1.0, left))


def keep(work: Path, learner: Learner, state: tuple[int, int, float]) -> None:
    """Write a checkpoint, whole or not at all."""
    torch.save(learner.state() | {"state": state}, work / "state.new")
    (work / "state.new").replace(work / "state.pt")


def resume(work: Path, learner: Learner) -> tuple[int, int, float]:
    """Go on from a checkpoint: the step, the number of steps, the seconds spent; zeros without."""
    if not (work / "state.pt").is_file():
        return 0, 0, 0.0
    whole = torch.load(work / "state.pt", map_location=learner.model.device, weights_only=True)
    learner.load(whole)
    step, num_steps, seconds = whole["state"]
    say(f"goes on at step {step} of {num_steps}")
    return step, num_steps, seconds


def save(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, out: Path, seconds: float
) -> None:
    """Write the folder that an engine loads, the weights in bfloat16."""
    end = tokenizer.convert_tokens_to_ids(END)
    model.generation_config = GenerationConfig(
        eos_token_id=end, pad_token_id=tokenizer.convert_tokens_to_ids(PAD), do_sample=False
    )
    model.to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)
    say(json.dumps({"seconds": round(seconds), "parameters": model.num_parameters()}))


def say(line: str) -> None:
    """Tell how it goes, on stderr."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
