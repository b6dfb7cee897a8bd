"""What a candidate in shadow costs the router and its Redis for each live job.

A rule answers the live jobs, and a rule is the candidate, so that nothing is measured but what the
shadow itself takes: to draw, copy, answer, compare and count. Jobs come in groups as large as a
router takes copies of; in a flood it takes none. Arms take turns. Prints Markdown; `--write` also
writes it to `benchmarks/results/shadow.md`.

    python benchmarks/shadow.py --write
    python benchmarks/shadow.py --quick
"""

import argparse
import itertools
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from provenance import provenance, write_result
from redis import Redis
from router_speed import RouterAlone, cpu_seconds

from smallfirst import Client, Job
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.catalogue.shadow_orders import shadow_order
from smallfirst.ledger.keys import Keys
from smallfirst.ledger.shadows import Shadows

CATALOGUE = """
version: 1
tasks:
  numbers:
    kind: tag
    labels: {card: a payment card, iban: a bank account}
    cascade: [{rule: {find: [card, iban]}, accept: always}]
"""
SHADOW = """
  candidate:
    kind: tag
    labels: {card: a payment card, iban: a bank account}
    cascade: [{rule: {find: [card, iban]}, accept: always}]
    shadow: {of: numbers, share: SHARE}
"""
TEXT = "Please cancel my card 4111 1111 1111 1111, it was stolen in the train yesterday"
#: So many jobs come at once: a router that has more before it makes no copies.
GROUP = 50
#: The shares of an arm each; 0 for none in shadow.
SHARES = (0.0, 0.05, 0.5)


@dataclass(frozen=True)
class Round:
    """What one arm came to in a round.

    Attributes:
        share: Of the jobs that the candidate is to be asked about.
        micros: CPU of the router and of Redis, a live job.
        copied: The share of live jobs that were copied.
    """

    share: float
    micros: float
    copied: float


def main() -> None:
    """Let the arms take turns, and print what they cost."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=12_000, help="Live jobs of an arm in a round.")
    parser.add_argument("--rounds", type=int, default=5, help="Rounds.")
    parser.add_argument("--quick", action="store_true", help="One small round, to see it run.")
    parser.add_argument("--write", action="store_true", help="Write the table of results.")
    options = parser.parse_args()
    if options.quick:
        options.jobs, options.rounds = 1_000, 1
    turns = itertools.product(range(options.rounds), SHARES)
    found = [lived(share, options.jobs) for _, share in turns]
    text = "\n".join([*_page(found, options.jobs), "", provenance("redis", "hiredis")])
    print(text)
    if options.write:
        write_result("shadow", text)


def lived(share: float, num_jobs: int) -> Round:
    """Have jobs answered by a fleet of their own."""
    with tempfile.TemporaryDirectory(prefix="shadow-") as folder:
        path = Path(folder) / "catalogue.yaml"
        path.write_text(CATALOGUE + (SHADOW.replace("SHARE", str(share)) if share else ""), "utf-8")
        with RouterAlone(path, Path(folder) / "fleet", flower=False) as fleet:
            fleet.wait_ready(timedelta(minutes=2))
            _answer(fleet.redis_url, "before", GROUP)
            before = _used(fleet)
            _answer(fleet.redis_url, "job", num_jobs)
            micros = (_used(fleet) - before) / num_jobs * 1e6
            return Round(share, micros, _copied(fleet.redis_url, path) / num_jobs)


def _answer(redis_url: str, name: str, num_jobs: int) -> None:
    with Client(redis_url) as client:
        for begin in range(0, num_jobs, GROUP):
            jobs = [Job(id=f"{name}{begin + n}", task="numbers", text=TEXT) for n in range(GROUP)]
            assert all(each.is_answered for each in client.map(jobs))


def _used(fleet: RouterAlone) -> float:
    """CPU seconds of the router and of Redis."""
    return sum(cpu_seconds(fleet.children()[name].pid) for name in ("router-1", "redis"))


def _copied(redis_url: str, path: Path) -> float:
    order = shadow_order(load_catalogue(path), "numbers")
    if order is None:
        return 0.0
    with Redis.from_url(redis_url) as redis:
        counts = Shadows(redis, Keys()).counts(order.candidate, order.series)
    return counts.get("copied", 0.0)


def _page(found: Sequence[Round], num_jobs: int) -> Iterator[str]:
    yield "# What a candidate in shadow costs the router"
    yield ""
    yield (
        f"{num_jobs:,} live jobs an arm and round, {GROUP} at a time, {len(found) // len(SHARES)}"
        " rounds; us of CPU of router and Redis, a live job; median (lowest to highest)."
    )
    yield ""
    yield "| share asked for | share copied | us a live job | more than without | us a copy |"
    yield "|---|---|---|---|---|"
    arms = {share: [each for each in found if each.share == share] for share in SHARES}
    for share, rounds in arms.items():
        copied = statistics.median(each.copied for each in rounds)
        more = [each.micros - none.micros for each, none in zip(rounds, arms[0.0], strict=True)]
        cells = [f"{share:.0%}", f"{copied:.1%}", _spread([each.micros for each in rounds])]
        if copied:
            cells += [_spread(more), _spread([each / copied for each in more])]
        else:
            cells += ["", ""]
        yield f"| {' | '.join(cells)} |"


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


if __name__ == "__main__":
    main()
