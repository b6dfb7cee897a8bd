"""What a fleet's books say of a file of mails: who answered, what it cost, where the time went.

The demo's mails are asked their topic, by a linear model first and a small one for the rest. Then
the books are read as `smallfirst report` reads them. The picture of the page on books is drawn
from what this writes.

    python benchmarks/books.py --write
    python benchmarks/books.py --quick
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from provenance import provenance, write_numbers, write_result
from redis import Redis

from smallfirst import Client, Job
from smallfirst.accounting.as_json import as_json
from smallfirst.accounting.figures import Figures, figures_of
from smallfirst.accounting.words import USES, balance_words, escalation_words, pool_name
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.ledger.books import read_day_books
from smallfirst.ledger.keys import Keys, date_of
from smallfirst.ledger.own_books import EVERY_SECONDS
from smallfirst.ledger.slices import Slice
from smallfirst.local.fleet import LocalFleet

FOLDER = Path(__file__).resolve().parents[1] / "examples" / "support_mail"


def main() -> None:
    """Run the mails, read the books, print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="How often each mail is sent.")
    parser.add_argument("--quick", action="store_true", help="A small run, to see it run.")
    parser.add_argument("--write", action="store_true", help="Write the table and the figures.")
    options = parser.parse_args()
    found = books(1 if options.quick else options.times)
    text = "\n\n".join(_parts(found))
    print(text)
    if options.write:
        write_result("books", text)
        write_numbers("books", as_json(found))


def books(times: int) -> Figures:
    """Send every mail so often, and read what was booked."""
    with tempfile.TemporaryDirectory(prefix="books-") as folder:
        path = Path(folder) / "catalogue.yaml"
        path.write_text(yaml.safe_dump(_catalogue(), sort_keys=False), "utf-8")
        with LocalFleet(path, Path(folder) / "fleet", flower=False) as fleet:
            fleet.wait_ready(timedelta(minutes=10))
            with Client(fleet.redis_url) as client:
                list(client.map(_jobs(times), max_in_flight=2_000))
            with Redis.from_url(fleet.redis_url) as redis:
                # Workers enter their time every few seconds.
                until = time.monotonic() + 2.5 * EVERY_SECONDS
                while time.monotonic() < until and not _is_balanced(found := _read(redis, path)):
                    time.sleep(1)
                return found


def _is_balanced(found: Figures) -> bool:
    return balance_words(found).startswith("The books balance")


def _catalogue() -> dict[str, Any]:
    """The demo's topics, by a linear model first and a small one for the rest."""
    whole: dict[str, Any] = yaml.safe_load((FOLDER / "catalogue.yaml").read_text("utf-8"))
    topic = whole["tasks"]["topic"]
    topic["examples"] = str(FOLDER / topic["examples"])
    topic["cascade"] = [{"model": "words", "accept": 0.8}, {"model": "minilm", "accept": 0.5}]
    return {
        "version": 1,
        "currency": whole["currency"],
        "pools": {"cpu-small": whole["pools"]["cpu-small"]},
        "router": {"price_per_hour": 0.05},
        "models": {
            "words": {"tier": "linear", "source": "bundled:words"},
            "minilm": whole["models"]["minilm"],
        },
        "tasks": {"topic": topic},
    }


def _jobs(times: int) -> Iterator[Job]:
    """Each mail is asked its topic; a text that comes again is another job."""
    for line in (FOLDER / "mails.jsonl").read_text("utf-8").splitlines():
        for _ in range(times):
            yield Job(task="topic", text=json.loads(line)["text"])


def _read(redis: "Redis", path: Path) -> Figures:
    seconds: Any = redis.time()
    today = date_of(int(seconds[0]) * 1000)
    return figures_of(read_day_books([Slice(redis, Keys())], [today]), load_catalogue(path))


def _parts(found: Figures) -> Iterator[str]:
    yield "# What the books say of the demo's mails"
    rows = [
        "| step | tried | answered | worker seconds | tokens | worth |",
        "|---|---|---|---|---|---|",
    ]
    for task in found.tasks:
        for step in task.steps:
            worth = escalation_words(step, found.currency) or "-"
            rows.append(
                f"| {step.tier} {step.name} | {step.num_tried:,} | {step.num_accepted:,} |"
                f" {step.spent.seconds:.1f} | {step.spent.num_tokens:,} | {worth} |"
            )
    yield "\n".join(rows)
    names = list(USES.values())
    rows = [f"| pool | {' | '.join(names)} | seconds |", "|---" * (len(names) + 2) + "|"]
    for pool in found.pools:
        whole, uses = pool.whole, {"asked": pool.asked, **pool.uses}
        cells = [f"{100 * uses[use].seconds / (whole.seconds or 1):.1f} %" for use in USES]
        rows.append(f"| {pool_name(pool)} | {' | '.join(cells)} | {whole.seconds:,.0f} |")
    yield "\n".join(rows)
    yield balance_words(found)
    yield provenance("openvino", "transformers")


if __name__ == "__main__":
    main()
