"""Whether promises are kept as work sinks, in many streams: other labels, texts, mistakes, checks.

Each stream is one of `sinking.py`, small: its seed draws the labels, the order of the texts, where
the large model is wrong, and which answers people check. Counted is every answer that was given
while a promise was in force, whichever cascade gave it. Prints Markdown; `--write` also writes it
to `benchmarks/results/sinking_reseeded.md`.

    python benchmarks/sinking_reseeded.py --write
    python benchmarks/sinking_reseeded.py --streams 4
"""

import argparse
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from provenance import provenance, write_result
from simulated_stream import AIM, CHECKED, COST, WRONG, Round, Sinking, banking, stream_of

from smallfirst.evaluation.intervals import of_share
from smallfirst.gate.verdict import Margin
from smallfirst.jobs import Tier

DATA = Path(os.environ.get("SMALLFIRST_DATA", "../shared/data"))
MARGIN = Margin(0.01, 0.95)


@dataclass(frozen=True)
class Shape:
    """What all streams have in common.

    Attributes:
        data: The folder of public sets.
        labels: How many of BANKING77's.
        jobs: Of a stream.
        first: Jobs before the first distilling.
        test: Rows of people at the gate.
    """

    data: Path
    labels: int
    jobs: int
    first: int
    test: int

    @property
    def ends(self) -> tuple[int, ...]:
        """When they are distilled: after the first jobs, and whenever these have doubled."""
        ends = [self.first]
        while ends[-1] < self.jobs:
            ends.append(min(2 * ends[-1], self.jobs))
        return tuple(ends)


@dataclass(frozen=True)
class Lived:
    """What became of a stream.

    Attributes:
        promised: Answers that were given under a promise.
        wrong: Of these.
        new: Of these, those to texts that the cascade had not learned from.
        new_wrong: Of these.
        fewer: By what share the last round asked the large model less often than the first.
        cheaper: By what share the whole stream cost less than asking it every time.
    """

    promised: int
    wrong: int
    new: int
    new_wrong: int
    fewer: float
    cheaper: float

    @classmethod
    def of(cls, rounds: Sequence[Round]) -> "Lived":
        """Sum the rounds up."""
        bound = [each for each in rounds if each.target is not None]
        jobs, cost = sum(each.jobs for each in rounds), sum(each.cost for each in rounds)
        return cls(
            promised=sum(each.answered for each in bound),
            wrong=sum(each.wrong for each in bound),
            new=sum(each.new for each in bound),
            new_wrong=sum(each.new_wrong for each in bound),
            fewer=1 - rounds[-1].large_calls / rounds[-1].jobs,
            cheaper=1 - cost / (jobs * COST[Tier.LLM]),
        )


def lived(shape: Shape, seed: int) -> Lived:
    """Let a stream run, with all that its seed decides."""
    examples = banking(shape.data, shape.labels, seed)
    stream = stream_of(examples, shape.ends, shape.test, seed)
    return Lived.of(list(Sinking(stream, MARGIN).rounds()))


def main() -> None:
    """Measure, print, and write where asked to."""
    options = _options()
    shape = Shape(options.data, options.labels, options.jobs, options.first, options.test)
    found = []
    with ProcessPoolExecutor(options.processes, get_context("spawn")) as pool:
        for each in pool.map(partial(lived, shape), range(options.streams)):
            found.append(each)
            print(f"{len(found)} of {options.streams}", end="\r", flush=True)
    text = "\n".join([*_words(shape, found), "", provenance("scikit-learn", "numpy")])
    print(text)
    if options.write:
        write_result("sinking_reseeded", text)


def _words(shape: Shape, found: Sequence[Lived]) -> Iterator[str]:
    yield "# Whether promises are kept as work sinks"
    yield ""
    yield (
        f"{len(found)} streams of {shape.jobs:,} jobs, each of {shape.labels} labels of BANKING77,"
        f" drawn anew like the order of the texts; a large model that is wrong in {WRONG:.0%} of"
        f" them, others in each stream; people check {CHECKED:.0%} blind; {shape.test:,} rows of"
        f" people judge at the gate, margin {MARGIN.share:.0%}; distilled after {shape.first:,}"
        f" jobs and whenever they have doubled; to be promised: at most {AIM.target:.0%} wrong."
    )
    yield ""
    yield from _kept(found)
    yield ""
    yield "| of a stream | lowest | 5 % | median | 95 % | highest |"
    yield "|---|---|---|---|---|---|"
    bound = [each for each in found if each.promised]
    yield _spread("answers under a promise that are wrong", [e.wrong / e.promised for e in bound])
    yield _spread("the same, of new texts", [e.new_wrong / e.new for e in bound if e.new])
    yield _spread("large calls fewer, last round for first", [e.fewer for e in found])
    yield _spread("cheaper than the large model alone", [e.cheaper for e in found])


def _kept(found: Sequence[Lived]) -> Iterator[str]:
    bound = [each for each in found if each.promised]
    kept = sum(each.wrong <= AIM.target * each.promised for each in bound)
    fresh = [each for each in bound if each.new]
    kept_new = sum(each.new_wrong <= AIM.target * each.new for each in fresh)
    span, span_new = of_share(kept, len(bound)), of_share(kept_new, len(fresh))
    yield (
        f"A candidate was let in before the last round in **{len(bound)} of {len(found)}**, and the"
        f" promise was kept in **{kept} of these {len(bound)}** (95 %: {span.low:.1%} to"
        f" {span.high:.1%}): of the answers given under it, no larger share was wrong. A text comes"
        " about six times, and the cascade learns from it meanwhile. Of answers to texts that it"
        f" had not learned from the promise was kept in **{kept_new} of {len(fresh)}** (95 %:"
        f" {span_new.low:.1%} to {span_new.high:.1%}), by {_some([e.new for e in fresh])} answers"
        " each: where these are few, chance alone may bring more than the promised share."
    )


def _some(numbers: Sequence[int]) -> str:
    low, middle, high = (round(each) for each in np.quantile(numbers, (0.0, 0.5, 1.0)))
    return f"{low:,} to {high:,} (median {middle:,})"


def _spread(name: str, shares: Sequence[float]) -> str:
    at = np.quantile(shares, (0.0, 0.05, 0.5, 0.95, 1.0)).round(6) + 0.0  # no -0.0 %
    return f"| {name} | {' | '.join(f'{each:.1%}' for each in at)} |"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=6_400)
    parser.add_argument("--first", type=int, default=800, help="Jobs of the first round.")
    parser.add_argument("--labels", type=int, default=12)
    parser.add_argument("--test", type=int, default=500, help="Rows of people for the gate.")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--write", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
