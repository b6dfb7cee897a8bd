"""How many pods and slices serve so many jobs a day, what they cost, and where the design ends.

A simulation on measured costs (`simulated_fleet.py`), but for the connections of a real fleet,
which are counted.

    python benchmarks/capacity.py --write
    python benchmarks/capacity.py --quick
"""

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from operator import itemgetter
from pathlib import Path

from provenance import provenance, write_numbers, write_result
from redis import Redis
from simulated_fleet import (
    PROMPTS_A_SECOND,
    Costs,
    Mix,
    Outcome,
    SimulatedFleet,
    Sizes,
    kept_bytes,
    percentiles,
    redis_us,
    router_us,
)

from smallfirst.local.fleet import LocalFleet

MILLION = 1_000_000
DAY = 86_400
#: Millions of jobs a day, and for how many hours their results stay.
VOLUMES = ((1, 24.0), (100, 24.0), (10_000, 24.0), (10_000, 1.0))
#: The busiest hour is so many times the day's mean.
PEAK = 2.0
#: How busy each part may be in it.
MOST_BUSY = 0.7
#: Memory of one Redis, and its connections (`maxclients` of Redis's own default).
REDIS_BYTES, REDIS_CLIENTS = 64 * 2**30, 10_000
#: What a person decides in a day, of jobs whose text is some sentences. An assumption.
DECISIONS_A_DAY = 1_000
#: The most jobs that one simulation follows.
MOST_FOLLOWED = 1_500_000
SECONDS = 30.0
CATALOGUE = """
version: 1
pools: {cpu: {tier: slm, max_parameters: 50M}}
models: {minilm: {source: "bundled:minilm"}}
tasks:
  similar: {kind: embed, cascade: [{model: minilm}]}
"""


@dataclass(frozen=True)
class Prices:
    """Of an hour: a core, a GPU, and a gibibyte of memory of Redis."""

    core: float
    gpu: float
    gib: float


@dataclass(frozen=True)
class Connections:
    """How many each part keeps to a Redis, by a fleet of one slice."""

    router: float
    worker: float


@dataclass(frozen=True)
class Case:
    """One volume, the sizes that serve it, and what the simulation made of them."""

    millions: int
    keep_hours: float
    sizes: Sizes
    gib: float
    outcome: Outcome


def main() -> None:
    """Size a fleet for each volume, run it, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--core-hour", type=float, default=0.05, help="Price of a core for an hour."
    )
    parser.add_argument("--gpu-hour", type=float, default=2.50, help="Price of a GPU for an hour.")
    parser.add_argument("--gib-hour", type=float, default=0.01, help="Price of a GiB for Redis.")
    parser.add_argument("--quick", action="store_true", help="One million alone, to see it run.")
    parser.add_argument("--write", action="store_true", help="Write the table of results.")
    options = parser.parse_args()
    prices = Prices(options.core_hour, options.gpu_hour, options.gib_hour)
    costs, mix = Costs.measured(), Mix()
    volumes = VOLUMES[:1] if options.quick else VOLUMES
    cases = [served(millions, hours, costs, mix) for millions, hours in volumes]
    limits = ends(costs, mix, counted(), cases[-1])
    text = page(cases, limits, costs, mix, prices)
    print(text)
    if options.write:
        write_result("capacity", text)
        write_numbers("capacity", {"costs": vars(costs), "ends": limits})


def served(millions: int, keep_hours: float, costs: Costs, mix: Mix) -> Case:
    """Find sizes that serve the busiest hour of so many million jobs a day."""
    peak = millions * MILLION / DAY * PEAK
    gib = millions * MILLION * keep_hours / 24 * kept_bytes(mix) / 2**30
    sizes = sized(peak, costs, mix, gib)
    outcome = followed(sizes, costs, mix, peak)
    # Batches that are not full cost more rounds than full ones.
    while outcome.router > MOST_BUSY:
        routers = math.ceil(sizes.routers * outcome.router / MOST_BUSY)
        sizes = replace(sizes, routers=max(routers, sizes.routers + 1))
        outcome = followed(sizes, costs, mix, peak)
    print(f"{millions:,} million, kept {keep_hours:g} h: {sizes}", file=sys.stderr)
    return Case(millions, keep_hours, sizes, gib, outcome)


def sized(peak: float, costs: Costs, mix: Mix, gib: float) -> Sizes:
    """Cut each part so that it is at most so busy; slices by Redis's time and by its memory."""
    _rule, linear, small, _large = mix.ends

    def needed(load: float) -> int:
        return max(1, math.ceil(load / MOST_BUSY))

    by_memory = math.ceil(gib * 2**30 / MOST_BUSY / REDIS_BYTES)
    return Sizes(
        slices=max(needed(peak * redis_us(costs, mix) * 1e-6), by_memory),
        routers=needed(peak * router_us(costs, mix) * 1e-6),
        cores=needed(peak * (1 - linear) * costs.worker * 1e-6),
        gpus=needed(peak * (1 - small) / PROMPTS_A_SECOND),
    )


def followed(sizes: Sizes, costs: Costs, mix: Mix, peak: float) -> Outcome:
    """Run the simulation, as long as the number of jobs allows."""
    seconds = max(4.0, min(SECONDS, MOST_FOLLOWED / peak))
    return SimulatedFleet(sizes, costs, mix).run(peak, seconds)


def counted() -> Connections:
    """Count the connections of a real fleet, and what one router and one worker more add."""
    found = {}
    for routers, workers in ((1, 1), (2, 1), (1, 2)):
        with tempfile.TemporaryDirectory(prefix="capacity-") as folder:
            catalogue = Path(folder) / "catalogue.yaml"
            catalogue.write_text(CATALOGUE, "utf-8")
            fleet = LocalFleet(
                catalogue,
                Path(folder) / "fleet",
                flower=False,
                routers=routers,
                slm_processes=workers,
            )
            with fleet:
                fleet.wait_ready(timedelta(minutes=5))
                time.sleep(2.0)
                with Redis.from_url(fleet.redis_url) as redis:
                    found[routers, workers] = redis.info("clients")["connected_clients"]
    return Connections(found[2, 1] - found[1, 1], found[1, 2] - found[1, 1])


def ends(costs: Costs, mix: Mix, connections: Connections, largest: Case) -> Mapping[str, float]:
    """Say at how many million jobs a day each part that cannot be doubled is at its end.

    The broker's by the batches of the largest case, whose slices each fill their own.
    """
    busiest = MOST_BUSY * DAY / PEAK / MILLION
    # Every router and every worker is connected to every slice, so these grow with the volume.
    many = sized(1e6, costs, mix, 0.0)
    clients = many.routers * connections.router + (many.cores + many.gpus) * connections.worker
    return {
        "one slice, by its Redis's time": busiest / (redis_us(costs, mix) * 1e-6),
        "one slice, by its Redis's memory, results kept a day": (
            REDIS_BYTES * MOST_BUSY / kept_bytes(mix) / MILLION
        ),
        "every slice's connections": REDIS_CLIENTS / clients * 1e6 * DAY / PEAK / MILLION,
        "the broker's Redis, by its time": largest.millions * MOST_BUSY / largest.outcome.broker,
    }


def page(
    cases: Sequence[Case],
    limits: Mapping[str, float],
    costs: Costs,
    mix: Mix,
    prices: Prices,
) -> str:
    """Write the tables."""
    lines = ["# How many pods serve how many jobs a day: a simulation", "", _about(mix)]
    lines += ["", *_table([_sizes_of(each) for each in cases])]
    lines += [
        "",
        "In the busiest hour, simulated:",
        "",
        *_table([_load_of(each) for each in cases]),
    ]
    lines += ["", _prices(prices), "", *_table([_money_of(each, costs, prices) for each in cases])]
    lines += ["", "Where it ends, were nothing else in the way:", ""]
    lines += ["| what | million jobs a day |", "|---|---|"]
    lines += [
        f"| {name} | {_rounded(most)} |" for name, most in sorted(limits.items(), key=itemgetter(1))
    ]
    return "\n".join([*lines, "", _reading(costs), "", provenance("simpy", "redis", "celery")])


def _about(mix: Mix) -> str:
    people = 1 - mix.ends[-1]
    return (
        f"Of the jobs a rule answers {mix.rule:.0%}, a linear model {mix.linear:.0%}, a small model"
        f" {mix.small:.1%}, a large one {mix.large:.0%}, a person {people:.1%}. The busiest hour is"
        f" {PEAK:g} times the mean. No part is more than {MOST_BUSY:.0%} busy in it, nor the memory"
        f" of a Redis of {REDIS_BYTES // 2**30} GiB fuller."
    )


def _table(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Lay rows of the same columns out."""
    head = list(rows[0])
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return lines + [f"| {' | '.join(row.values())} |" for row in rows]


def _named(case: Case) -> str:
    return f"{case.millions:,}, kept {case.keep_hours:g} h"


def _sizes_of(case: Case) -> dict[str, str]:
    people = math.ceil((1 - Mix().ends[-1]) * case.millions * MILLION / DECISIONS_A_DAY)
    sizes = case.sizes
    return {
        "million a day": _named(case),
        "a second at peak": f"{case.millions * MILLION / DAY * PEAK:,.0f}",
        "routers": f"{sizes.routers:,}",
        "cores of small models": f"{sizes.cores:,}",
        "GPUs": f"{sizes.gpus:,}",
        "slices": f"{sizes.slices:,}",
        "GiB of results": f"{case.gib:,.0f}",
        "people": f"{people:,}",
    }


def _load_of(case: Case) -> dict[str, str]:
    outcome = case.outcome
    row = {
        "million a day": _named(case),
        "router busy": f"{outcome.router:.0%}",
        "Redis of a slice": f"{outcome.redis:.0%}",
        "cores": f"{outcome.cores:.0%}",
        "GPUs": f"{outcome.gpus:.0%}",
        "broker's Redis": f"{outcome.broker:.1%}",
        "jobs in a batch": f"{outcome.mean_batch:.0f}",
    }
    for step, waits in outcome.waits.items():
        row[f"{step}: p50, p99, ms"] = ", ".join(f"{each:,.0f}" for each in percentiles(waits))
    return row


def _money_of(case: Case, costs: Costs, prices: Prices) -> dict[str, str]:
    """What it costs a day, beside every job by the small model, and every one by the large one."""
    rate = case.millions * MILLION / DAY * PEAK
    small = sized(rate, costs, Mix(0.0, 0.0, 1.0, 0.0), case.gib)
    large = sized(rate, costs, Mix(0.0, 0.0, 0.0, 1.0), case.gib)
    ours = _a_day(case.sizes, case.gib, prices)
    # A team of one kind of model alone would run no small ones for what the large one answers.
    all_large = Sizes(large.slices, large.routers, 0, large.gpus)
    per_thousand = ours / (case.millions * 1_000)
    return {
        "million a day": _named(case),
        "a day": f"{ours:,.0f}",
        "a thousand jobs": f"{per_thousand:.4f}",
        "all by the small model": f"{_a_day(small, case.gib, prices):,.0f}",
        "all by the large model": f"{_a_day(all_large, case.gib, prices):,.0f}",
        "GPUs then": f"{large.gpus:,}",
    }


def _a_day(sizes: Sizes, gib: float, prices: Prices) -> float:
    cores = sizes.routers + sizes.cores + sizes.slices
    return 24 * (cores * prices.core + sizes.gpus * prices.gpu + gib / MOST_BUSY * prices.gib)


def _prices(prices: Prices) -> str:
    return (
        f"In money, people left out, at {prices.core:g} a core and hour, {prices.gpu:g} a GPU,"
        f" {prices.gib:g} a GiB of Redis (put in what yours cost, `--core-hour` and so on); the"
        " machines of the busiest hour run all day:"
    )


def _rounded(most: float) -> str:
    return f"{float(f'{most:.2g}'):,.0f}"


def _reading(costs: Costs) -> str:
    of_redis = costs.redis_dispatch + costs.redis_worker
    return f"""\
Measured, microseconds of CPU: router {costs.rule:.0f} a rule's job, {costs.linear:.0f} a linear
model's, {costs.dispatch:.0f} one for a model, {costs.round:.0f} a round besides; a core of small
models {costs.worker:,.0f}; Redis {costs.redis_rule:.0f}, {costs.redis_linear:.0f}, {of_redis:.0f};
the broker's Redis {costs.message:.0f} a message. A GPU writes {PROMPTS_A_SECOND:g} answers a
second. A person decides {DECISIONS_A_DAY:,} jobs a day, which is assumed. Waits are of what was
submitted in the second half of the simulated time, at the rate of the busiest hour."""


if __name__ == "__main__":
    main()
