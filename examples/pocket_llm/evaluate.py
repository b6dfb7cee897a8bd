"""Tests the pocket model on text it has never seen, and prints a table.

    python evaluate.py                 # 300 texts of each task, from the held-out pool
    python evaluate.py --count 60 --model /some/other/folder

Labels are scored, not written: the probability of each is that of its own tokens and of ending
there. The other answers are written greedily and nothing constrains them, so that the figures are
the model's own.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from generate_text import TASKS, examples
from pools import SUPPORT_MAIL, pool
from tokens import END, prompt_ids
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from smallfirst.catalogue import Example, Task
from smallfirst.kinds.fences import unescape
from smallfirst_workers.prompting.prompts import answer_tokens, messages_for

HERE = Path(__file__).parent
#: Texts that are answered together.
NUM_AT_ONCE = 16
#: A longer mail is cut for the test; the model's context is 2,048 tokens, prompt and answer.
LONGEST_PROMPT = 1900


@dataclass(frozen=True)
class Writer:
    """A model with its tokenizer."""

    model: Any
    tokenizer: PreTrainedTokenizerFast

    @property
    def end(self) -> int:
        """The token that ends an answer."""
        return int(self.tokenizer.convert_tokens_to_ids(END))


def load(folder: Path) -> Writer:
    """Load a model's folder, as float32 for the CPU."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return Writer(model.eval(), AutoTokenizer.from_pretrained(folder))


@torch.inference_mode()
def label_scores(writer: Writer, task: Task, text: str) -> dict[str, float]:
    """Give each label its probability, all of them together 1.

    The prompt is read once, `(1, tokens)`; the labels then go on from it, `(labels, tokens)`.
    """
    prompt = prompt_ids(writer.tokenizer, messages_for(task, text))[:LONGEST_PROMPT]
    read = writer.model(torch.tensor([prompt]), use_cache=True, logits_to_keep=1)
    endings = [_ending(writer, label) for label in task.labels]
    longest = max(map(len, endings))
    tokens = torch.tensor([ids + [writer.end] * (longest - len(ids)) for ids in endings])
    read.past_key_values.batch_repeat_interleave(len(endings))
    after = writer.model(tokens[:, :-1], past_key_values=read.past_key_values).logits
    logits = torch.cat([read.logits.expand(len(endings), -1, -1), after], dim=1)
    chances = logits.float().log_softmax(-1).gather(-1, tokens[..., None]).squeeze(-1)
    is_counted = torch.tensor([[i < len(ids) for i in range(longest)] for ids in endings])
    shares = (chances * is_counted).sum(-1).softmax(0)  # (labels,)
    return dict(zip(task.labels, shares.tolist(), strict=True))


def _ending(writer: Writer, label: str) -> list[int]:
    return [*writer.tokenizer(label, add_special_tokens=False)["input_ids"], writer.end]


@torch.inference_mode()
def answers(writer: Writer, task: Task, texts: Sequence[str]) -> list[str]:
    """Write the answers to texts greedily, in the order of the texts."""
    prompts = [prompt_ids(writer.tokenizer, messages_for(task, text)) for text in texts]
    order = sorted(range(len(texts)), key=lambda index: len(prompts[index]))
    written = [""] * len(texts)
    for start in range(0, len(order), NUM_AT_ONCE):
        chosen = order[start : start + NUM_AT_ONCE]
        for index, text in zip(
            chosen, _together(writer, task, [prompts[i] for i in chosen]), strict=True
        ):
            written[index] = text
    return written


def _together(writer: Writer, task: Task, prompts: list[list[int]]) -> list[str]:
    longest, pad = max(map(len, prompts)), writer.model.config.pad_token_id
    ids = torch.tensor([[pad] * (longest - len(one)) + one for one in prompts])
    made = writer.model.generate(
        ids, attention_mask=(ids != pad).long(), max_new_tokens=answer_tokens(task), do_sample=False
    )
    return writer.tokenizer.batch_decode(made[:, longest:], skip_special_tokens=True)


def share(hits: Iterable[bool]) -> float:
    """Tell which share is right."""
    counted = list(hits)
    return sum(counted) / len(counted)


def best(scores: dict[str, float]) -> str:
    """Name the likeliest label."""
    return max(scores, key=lambda label: scores[label])


def topic_accuracy(writer: Writer, rows: Sequence[tuple[str, str | None]]) -> float:
    """Tell how many texts get their right label as the likeliest one."""
    task = TASKS["topic"]()
    return share(best(label_scores(writer, task, text)) == label for text, label in rows)


def extraction(writer: Writer, made: Sequence[Example]) -> dict[str, float]:
    """Compare whole records, and each field."""
    task = TASKS["invoice"]()
    records = [_object(text) for text in answers(writer, task, [each.text for each in made])]
    pairs = [(record, each.record or {}) for record, each in zip(records, made, strict=True)]
    whole = {"exact match": share(record == right for record, right in pairs)}
    return whole | {
        name: share(record.get(name, "") == right[name] for record, right in pairs)
        for name in task.fields
    }


def judgement(writer: Writer, made: Sequence[Example]) -> dict[str, float]:
    """Compare verdicts, and see whether the quote is the right one and stands in the text."""
    task = TASKS["tampering"]()
    said = [_object(text) for text in answers(writer, task, [each.text for each in made])]
    quotes = [unescape(str(record.get("quote", ""))) for record in said]
    pairs = list(zip(said, quotes, made, strict=True))
    return {
        "verdict": share(record.get("verdict") == each.verdict for record, _, each in pairs),
        "verdict and quote": share(
            record.get("verdict") == each.verdict and quote == each.quote
            for record, quote, each in pairs
        ),
        "quote stands in text": share(
            quote != "" and quote in each.text for _, quote, each in pairs
        ),
    }


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def replying(writer: Writer, made: Sequence[Example]) -> dict[str, float]:
    """Compare replies letter by letter."""
    said = answers(writer, TASKS["reply"](), [each.text for each in made])
    return {"same as wanted": share(t == each.reply for t, each in zip(said, made, strict=True))}


def support_mails() -> list[tuple[str, str | None]]:
    """Read the demo's mails, none of whose requests the model was trained on."""
    rows = map(json.loads, (SUPPORT_MAIL / "mails.jsonl").read_text(encoding="utf-8").splitlines())
    return [(row["text"], row["gold"]["topic"]) for row in rows]


def main() -> None:
    """Read the command line, test, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, default=HERE / "model")
    parser.add_argument("--count", type=int, default=300, help="texts of each task")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--skip-mails", action="store_true", help="leave the demo's mails out")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    writer, words = load(arguments.model), pool("heldout")
    made = {name: list(examples(name, words, arguments.count)) for name in TASKS}
    table = {"topic, unseen mails": {"accuracy": topic_accuracy(
        writer, [(each.text, each.label) for each in made["topic"]])}}  # fmt: skip
    if not arguments.skip_mails:
        mails = support_mails()
        table[f"topic, mails.jsonl ({len(mails)})"] = {"accuracy": topic_accuracy(writer, mails)}
    table["invoice"] = extraction(writer, made["invoice"])
    table["tampering"] = judgement(writer, made["tampering"])
    table["reply"] = replying(writer, made["reply"])
    for task, figures in table.items():
        for figure, value in figures.items():
            print(f"{task:28} {figure:22} {100 * value:5.1f} %")


if __name__ == "__main__":
    main()
