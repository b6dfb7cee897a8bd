"""How work sinks from a large model to a small one: labels, a distilling, the gate, round by round.

A stream is made of BANKING77's training rows. At first a large model answers every job; it is an
oracle that is right in a stated share of texts, always says the same of a text, and is surer where
it is right. After each round its answers, and those of people who checked some blind, are distilled
and fitted by the product's own code, a candidate is held against the live cascade on rows that
people labelled and nobody learned from, and is promoted where the gate lets it in. The fleet alone
is left out: models are asked in this process. Prints Markdown; `--write` also writes it to
`benchmarks/results/sinking.md`, with a figure beside it. What chance has to do with it tells
`sinking_reseeded.py`.

    python benchmarks/sinking.py --write
    python benchmarks/sinking.py --labels 12 --jobs 6000 --every 1000 --test 500
"""

import argparse
import os
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

from provenance import provenance, write_result
from simulated_stream import AIM, CHECKED, COST, WRONG, Round, Sinking, Stream, banking, stream_of

from smallfirst.evaluation.figure_style import PERCENT, colour_of, figure_of
from smallfirst.evaluation.intervals import of_share
from smallfirst.gate.verdict import Margin
from smallfirst.jobs import Tier

RESULTS = Path(__file__).parent / "results"
DATA = Path(os.environ.get("SMALLFIRST_DATA", "../shared/data"))
COLUMNS = (
    "round", "live", "jobs", "large calls", "cost $", "promised", "wrong of answered", "95 %",
    "wrong of new texts", "answered", "people's labels", "candidate",
)  # fmt: skip


def table(rounds: Sequence[Round]) -> Iterator[str]:
    """Lay the rounds out as Markdown."""
    yield f"| {' | '.join(COLUMNS)} |"
    yield f"|{'---|' * len(COLUMNS)}"
    for number, each in enumerate(rounds, start=1):
        span = of_share(each.wrong, each.answered)
        promised = "-" if each.target is None else f"{each.target:.0%}"
        new = f"{each.new_wrong / each.new:.1%}" if each.new else "-"
        yield (
            f"| {number} | {each.steps} | {each.jobs:,} | {each.large_calls:,}"
            f" ({each.large_calls / each.jobs:.0%}) | {each.cost:.2f} | {promised} |"
            f" {each.wrong / each.answered:.1%} | {span.low:.1%} to {span.high:.1%} | {new} |"
            f" {each.answered / each.jobs:.1%} | {each.people:,} | {each.outcome} |"
        )


def draw(rounds: Sequence[Round], path: Path) -> None:
    """Draw who was asked, and how often answers were wrong."""
    ends = [0, *accumulate(each.jobs for each in rounds)]
    shares = [each.large_calls / each.jobs for each in rounds]
    wrong = [each.wrong / each.answered for each in rounds]
    dearest = max(each.cost / each.jobs for each in rounds)
    costs = [each.cost / each.jobs / dearest for each in rounds]
    with figure_of("jobs so far", "share of jobs, of answers, of the first cost") as (figure, axes):
        axes.stairs(shares, ends, color=colour_of(0), linewidth=2, label="ask the large model")
        axes.stairs(costs, ends, color=colour_of(3), linestyle="--", label="cost of a job")
        axes.stairs(wrong, ends, color=colour_of(1), linewidth=2, label="answers that are wrong")
        axes.axhline(AIM.target, color=colour_of(2), linestyle=":", label="the promise")
        axes.yaxis.set_major_formatter(PERCENT)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.set_ylim(0, 1.05)
        axes.legend(frameon=False)
        figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Measure, print, and write where asked to."""
    options = _options()
    examples = banking(options.data, options.labels)
    stream = stream_of(
        examples, range(options.every, options.jobs + 1, options.every), options.test
    )
    done = []
    for each in Sinking(stream, Margin(options.margin, 0.95)).rounds():
        done.append(each)
        print(
            f"round {len(done)}: {each.large_calls:,} of {each.jobs:,}; {each.outcome}", flush=True
        )
    origin = provenance("scikit-learn", "numpy")
    text = "\n".join([*_words(stream, options), *table(done), "", *_sums(done), "", origin])
    print(text)
    if options.write:
        write_result("sinking", text)
        draw(done, RESULTS / "sinking.svg")


def _words(stream: Stream, options: argparse.Namespace) -> Iterator[str]:
    texts = len({each.text for each in stream.jobs})
    yield "# How work sinks to a small model"
    yield ""
    yield (
        f"{len(stream.jobs):,} jobs of {texts:,} texts of BANKING77 ({len(stream.labels)} labels)"
        f"; a large model that is wrong in {WRONG:.0%} of texts and"
        f" costs ${COST[Tier.LLM]} a job; people check {CHECKED:.0%} of the answers blind;"
        f" {len(stream.test):,} rows of people judge at the gate, margin {options.margin:.0%};"
        f" to be promised: at most {AIM.target:.0%} of answers wrong, or the least that the rows"
        " bear. A text that came before may come again; `wrong of new texts` is of those that the"
        " live cascade had not learned from."
    )
    yield ""


def _sums(rounds: Sequence[Round]) -> Iterator[str]:
    jobs, large = sum(each.jobs for each in rounds), sum(each.large_calls for each in rounds)
    cost, last = sum(each.cost for each in rounds), rounds[-1]
    yield "![Who was asked, and how often answers were wrong, by round](sinking.svg)"
    yield ""
    yield (
        f"The last round asked the large model {1 - last.large_calls / last.jobs:.0%} less often"
        f" than the first. In all {large:,} of {jobs:,} jobs asked the large"
        f" model; they cost ${cost:.2f}, and ${jobs * COST[Tier.LLM]:.2f} by the large model alone."
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--jobs", type=int, default=50_000)
    parser.add_argument("--every", type=int, default=5_000, help="Jobs of a round.")
    parser.add_argument("--labels", type=int, default=77)
    parser.add_argument("--test", type=int, default=2_000, help="Rows of people for the gate.")
    parser.add_argument("--margin", type=float, default=0.01)
    parser.add_argument("--write", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
