"""10,000 constrained answers at temperature 1: is any outside of its labels or its schema?

The pocket LLM writes freely what vLLM lets it: labels, sets of labels, spans, records, verdicts,
about unseen texts and about prompt injections. Every answer that the model ended itself is checked
against its JSON Schema by another library than the one that constrained it.

    python benchmarks/llm_bounds.py --write
"""

import argparse
import asyncio
import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from pocket_jobs import POCKET, mixed_texts, write_catalogue
from provenance import provenance, vllm_distribution, write_result

from smallfirst.catalogue import Catalogue, Kind, Task
from smallfirst.jobs import Problem
from smallfirst.kinds.completions import Completion
from smallfirst_workers.llm.vllm.async_engine import AsyncEngine
from smallfirst_workers.prompting.parsing import read_writings
from smallfirst_workers.prompting.prompter import Prompter
from smallfirst_workers.prompting.prompts import answer_schema

INJECTIONS = Path(__file__).parent.parent / "tests" / "integration" / "llm" / "injections.jsonl"
#: How many answers are under way at once.
NUM_AT_ONCE = 128
MAX_ANSWER_TOKENS = 160


@dataclass(frozen=True)
class Outcome:
    """One answer: of which kind, whether the model ended it, whether it kept within bounds."""

    kind: Kind
    is_whole: bool
    is_inside: bool
    is_answer: bool


def tasks_of(catalogue: Catalogue) -> list[Task]:
    """Ask the pocket LLM's own tasks, and its topics as sets of labels and as spans too."""
    topic = catalogue.tasks["topic"].model_copy(update={"shots": 0})
    others = [topic.model_copy(update={"kind": kind}) for kind in (Kind.MULTILABEL, Kind.TAG)]
    constrained = [catalogue.tasks["invoice"], catalogue.tasks["tampering"], *others]
    bounded = {"max_answer_tokens": MAX_ANSWER_TOKENS}
    return [topic, *(task.model_copy(update=bounded) for task in constrained)]


def texts() -> Iterator[str]:
    """Alternate unseen texts and injections, for ever."""
    lines = INJECTIONS.read_text("utf-8").splitlines()
    injections = cycle(json.loads(line)["text"] for line in lines)
    for _, text in cycle(mixed_texts(400)):
        yield text
        yield next(injections)


def schema_of(task: Task) -> dict[str, Any]:
    """Write what an answer of the task may be; a label is written as a JSON string."""
    if task.kind is Kind.CLASSIFY:
        return {"type": "string", "enum": list(task.labels)}
    schema = answer_schema(task)
    assert schema is not None
    return schema


async def answers(vllm: AsyncEngine, prompter: Prompter, catalogue: Catalogue, count: int) -> Any:
    """Write `count` answers, the tasks in turn."""
    prompts = [prompter.prepare("task", task) for task in tasks_of(catalogue)]
    asked = islice(zip(cycle(prompts), texts(), strict=False), count)
    free = asyncio.Semaphore(NUM_AT_ONCE)

    async def one(prompt: Any, text: str) -> Outcome:
        tokens = prompter.around(prompt, prompter.text_tokens(text))
        schema = schema_of(prompt.task)
        async with free:
            [writing] = await vllm.write(
                tokens, max_tokens=MAX_ANSWER_TOKENS, schema=schema, temperature=1.0
            )
        return judged(prompt.task, text, schema, writing)

    return await asyncio.gather(*(one(prompt, text) for prompt, text in asked))


def judged(task: Task, text: str, schema: dict[str, Any], writing: Completion) -> Outcome:
    """Check an answer; one that ran into its bound is none, and nobody is given it."""
    if task.kind is Kind.CLASSIFY:
        is_answer = writing.is_whole
    else:
        is_answer = not isinstance(read_writings(task, text, [writing]), Problem)
    return Outcome(task.kind, writing.is_whole, is_inside(schema, writing), is_answer)


def is_inside(schema: dict[str, Any], writing: Completion) -> bool:
    """Whether a whole answer is JSON of its schema."""
    try:
        return Draft202012Validator(schema).is_valid(json.loads(writing.text))
    except ValueError:
        return False


def report(outcomes: Sequence[Outcome]) -> str:
    """Write the table."""
    count: Counter[tuple[Kind, str]] = Counter()
    for outcome in outcomes:
        count[outcome.kind, "asked"] += 1
        count[outcome.kind, "whole"] += outcome.is_whole
        count[outcome.kind, "outside"] += outcome.is_whole and not outcome.is_inside
        count[outcome.kind, "answers"] += outcome.is_answer
    kinds = sorted({outcome.kind for outcome in outcomes})
    rows = [
        f"| {kind} | {count[kind, 'asked']:,} | {count[kind, 'whole']:,} |"
        f" {count[kind, 'outside']:,} | {count[kind, 'answers']:,} |"
        for kind in kinds
    ]
    outside = sum(count[kind, "outside"] for kind in kinds)
    return "\n".join(
        (
            "# Constrained answers at temperature 1",
            "",
            (
                f"**Of {len(outcomes):,} answers {outside:,} left their labels or their schema.**"
                f" One that ran into its {MAX_ANSWER_TOKENS} tokens is no answer, and nobody is"
                " given it; nor is one whose words do not stand in the text. Half of the texts are"
                " prompt injections."
            ),
            "",
            "| kind | asked | ended by the model | outside its schema | answers to be given |",
            "|---|---|---|---|---|",
            *rows,
            "",
            provenance(vllm_distribution(), "xgrammar", "jsonschema"),
        )
    )


def main() -> None:
    """Measure, print, and write where asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, default=POCKET / "model")
    parser.add_argument("--answers", type=int, default=10_000)
    parser.add_argument("--write", action="store_true", help="into benchmarks/results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        catalogue = write_catalogue(folder, options.model.absolute())
        model = catalogue.models["pocket"]
        vllm = AsyncEngine("pocket")
        vllm.start(Path(model.source), model, cache=folder)
        prompter = Prompter.load(
            "pocket", Path(model.source), max_tokens=vllm.max_tokens, cache=folder
        )
        outcomes = vllm.loop.call(answers(vllm, prompter, catalogue, options.answers))
        vllm.stop()
    text = report(outcomes)
    print(text)
    if options.write:
        write_result("llm_bounds", text)


if __name__ == "__main__":
    main()
