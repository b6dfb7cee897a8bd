"""How much of vLLM's own speed the fleet keeps: 1,000 mixed prompts, in turns with `LLM.generate`.

Both rivals start once and stay; they take turns on the same prompts, so that a slow minute of the
machine hits both. Offline, all requests of all prompts are handed to `LLM.generate` at once, as
many times as labels need another look, and only the time within it counts; the fleet's time is
from the first job submitted to the last result read, through Redis, router and worker.

    python benchmarks/llm_throughput.py --write
"""

import argparse
import asyncio
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pocket_jobs import POCKET, mixed_texts, write_catalogue
from provenance import provenance, vllm_distribution, write_result

from smallfirst import Client, Job
from smallfirst.catalogue import Catalogue
from smallfirst.catalogue.model_files import count_parameters
from smallfirst.local.fleet import LocalFleet
from smallfirst_workers.llm.vllm.async_engine import STOP_SECONDS, AsyncEngine, environment
from smallfirst_workers.llm.vllm.engine_arguments import engine_arguments
from smallfirst_workers.llm.vllm.generating import Generator, Question
from smallfirst_workers.prompting.prompter import Prompter

#: Prompts of a first round that is not counted.
NUM_WARM_UP = 200
Texts = Sequence[tuple[str, str]]


class OfflineLoop(AsyncEngine):
    """Gathers all requests that are waiting, and has `LLM.generate` answer them together."""

    def __init__(self, llm: Any) -> None:
        super().__init__("offline")
        self._llm = llm
        self._waiting: list[tuple[Any, Any, asyncio.Future[Any]]] = []
        self.seconds = 0.0

    async def _run(self, prompt: Sequence[int], wanted: Any, adapter: str | None) -> Any:
        del adapter
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(({"prompt_token_ids": list(prompt)}, wanted, answer))
        return await answer

    async def answer(self, questions: Sequence[Question], generator: Generator) -> int:
        """Ask all questions; return how many tokens were written."""
        asking = [asyncio.create_task(generator.ask(question)) for question in questions]
        while not all(task.done() for task in asking):
            await self._settle()
            batch, self._waiting = self._waiting, []
            if batch:
                self._generate(batch)
        return sum(task.result().num_written for task in asking)

    async def _settle(self) -> None:
        """Let every question run up to where it waits for the model."""
        before = -1
        while before != len(self._waiting):
            before = len(self._waiting)
            for _ in range(8):
                await asyncio.sleep(0)

    def _generate(self, batch: Sequence[tuple[Any, Any, "asyncio.Future[Any]"]]) -> None:
        prompts, wanted, answers = zip(*batch, strict=True)
        started = time.perf_counter()
        found = self._llm.generate(list(prompts), list(wanted), use_tqdm=False)
        self.seconds += time.perf_counter() - started
        for answer, one in zip(answers, found, strict=True):
            answer.set_result(one)


def offline(catalogue: Catalogue, cache: Path, ends: Connection) -> None:
    """Serve rounds: texts in, seconds within `LLM.generate` and tokens written out."""
    os.environ.update(environment(cache))
    from vllm import LLM  # noqa: PLC0415 - reads the environment

    model = catalogue.models["pocket"]
    folder = Path(model.source)
    llm = LLM(**engine_arguments("pocket", folder, model))
    loop = OfflineLoop(llm)
    longest = llm.llm_engine.model_config.max_model_len
    prompter = Prompter.load("pocket", folder, max_tokens=longest, cache=cache)
    prompts = {name: prompter.prepare(name, task) for name, task in catalogue.tasks.items()}
    generator = Generator(prompter, loop)
    ends.send("ready")
    while texts := ends.recv():
        loop.seconds = 0.0
        questions = []
        for task, text in texts:
            tokens = prompter.around(prompts[task], prompter.text_tokens(text))
            step = prompts[task].task.cascade[0]
            questions.append(Question(prompts[task], step, text, tokens))
        written = asyncio.run(loop.answer(questions, generator))
        ends.send((loop.seconds, written))
    loop.loop.stop()
    # Nobody else ends vLLM's own process, and this one would wait for it for ever.
    llm.llm_engine.engine_core.shutdown(timeout=STOP_SECONDS)


def through_fleet(client: Client, texts: Texts) -> float:
    """Send texts through the fleet; return the seconds until the last result."""
    started = time.perf_counter()
    results = list(client.map(Job(task=task, text=text) for task, text in texts))
    seconds = time.perf_counter() - started
    failed = [result for result in results if result.problem and result.problem.code == "internal"]
    assert len(results) == len(texts)
    assert not failed
    return seconds


def measure(options: argparse.Namespace, folder: Path) -> list[tuple[float, float, int]]:
    """Take turns; (seconds offline, seconds of the fleet, tokens written offline) a round."""
    catalogue = write_catalogue(
        folder, options.model.absolute(), gpu_memory_utilization=options.gpu_memory_utilization
    )
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    rival = context.Process(target=offline, args=(catalogue, folder / "cache", theirs))
    rival.start()
    theirs.close()  # so that its death is an EOFError here
    mine.recv()
    rounds = []
    fleet = LocalFleet(folder / "catalogue.yaml", folder / "fleet", flower=False, persistent=False)
    with fleet, Client(fleet.redis_url) as client:
        fleet.wait_ready(timedelta(minutes=10))
        texts = mixed_texts(NUM_WARM_UP + options.rounds * options.prompts)
        starts = range(NUM_WARM_UP, len(texts), options.prompts)
        for first, last in ((0, NUM_WARM_UP), *((n, n + options.prompts) for n in starts)):
            mine.send(texts[first:last])
            seconds, written = mine.recv()
            rounds.append((seconds, through_fleet(client, texts[first:last]), written))
            print(f"{last}: offline {seconds:.1f} s, fleet {rounds[-1][1]:.1f} s", flush=True)
    mine.send([])
    rival.join()
    return rounds[1:]


def report(options: argparse.Namespace, rounds: Sequence[tuple[float, float, int]]) -> str:
    """Write the table."""
    rows = [
        f"| {n} | {options.prompts / alone:.1f} | {options.prompts / fleet:.1f} |"
        f" {alone / fleet:.1%} | {written:,} |"
        for n, (alone, fleet, written) in enumerate(rounds, start=1)
    ]
    ratios = [alone / fleet for alone, fleet, _ in rounds]
    return "\n".join(
        (
            "# The fleet beside vLLM's own `LLM.generate`",
            "",
            (
                f"{options.prompts:,} prompts a round, topic, invoice, tampering and reply in"
                f" turn, {_model_in_words(options.model)} on vLLM, greedy, constrained as in the"
                " fleet. Offline: time within `LLM.generate` alone. Fleet: from the first"
                " submission to the last result."
            ),
            "",
            (
                f"**The fleet reaches {statistics.median(ratios):.1%} of it (median; lowest"
                f" {min(ratios):.1%}, highest {max(ratios):.1%}).**"
            ),
            "",
            "| round | `LLM.generate`, prompts/s | fleet, prompts/s | ratio | tokens written |",
            "|---|---|---|---|---|",
            *rows,
            "",
            provenance(vllm_distribution(), "torch", "celery"),
        )
    )


def _model_in_words(model: Path) -> str:
    if model == POCKET / "model":
        return "the pocket LLM"
    return f"a model of {count_parameters(model) / 1e9:.2f} billion random weights"


def main() -> None:
    """Measure, print, and write where asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, default=POCKET / "model")
    parser.add_argument("--prompts", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--memory-share", type=float, help="of a GPU, for each of the two engines; two fit in one"
    )
    parser.add_argument("--write", action="store_true", help="into benchmarks/results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        text = report(options, measure(options, Path(folder)))
    print(text)
    if options.write:
        write_result("llm_throughput", text)


if __name__ == "__main__":
    main()
