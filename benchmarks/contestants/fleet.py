"""This product: client, Redis, a router and a worker process a core, all on the same cores."""

import sys
import tempfile
from datetime import timedelta
from pathlib import Path

from contest import NUM_WARM, asked, tell, timed

from smallfirst import Client, Job
from smallfirst.local.fleet import LocalFleet

#: Jobs under way at once: what a producer with a file has.
IN_FLIGHT = 5000


def main() -> None:
    """Send every text through a fleet that serves the catalogue of the work's folder."""
    import os

    work = asked()
    with tempfile.TemporaryDirectory(prefix="speed-fleet-") as folder:
        fleet = LocalFleet(
            Path(sys.argv[1]) / "catalogue.yaml", Path(folder), flower=False, persistent=True
        )
        with fleet:
            fleet.wait_ready(timedelta(minutes=10))
            parts = {"client": [os.getpid()]}
            for name, child in fleet.children().items():
                parts.setdefault(name.split("-")[0], []).append(child.pid)
            with Client(fleet.redis_url) as client:
                list(client.map(Job(task="intent", text=text) for text in work.texts[:NUM_WARM]))
                jobs = (
                    Job(id=str(number), task="intent", text=text)
                    for number, text in enumerate(work.texts)
                )
                labels = [""] * len(work.texts)
                # The client's own process leads the others, so theirs are counted apart.
                with timed(parts) as timing:
                    for result in client.map(jobs, max_in_flight=IN_FLIGHT):
                        labels[int(result.id)] = result.answer.label if result.answer else ""
    others = sum(spent for part, spent in timing.cpu_seconds.items() if part != "client")
    timing.cpu_seconds["client"] -= others
    tell(timing, labels)


if __name__ == "__main__":
    main()
