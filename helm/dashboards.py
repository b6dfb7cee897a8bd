"""Writes the dashboards of Grafana that the chart installs: `files/dashboards/*.json`.

    python helm/dashboards.py

A test holds the files to this script, and every query to what a live fleet tells a Prometheus.
"""

import sys
from pathlib import Path

# As a script it knows the folder that it is in, and not the one above.
sys.path.insert(0, str(Path(__file__).parents[1]))

from helm.dashboard_fleet import FLEET
from helm.dashboard_layout import written
from helm.dashboard_pools import POOLS

FOLDER = Path(__file__).parent / "smallfirst" / "files" / "dashboards"
DASHBOARDS = (FLEET, POOLS)


def main() -> None:
    """Write all of them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for dashboard in DASHBOARDS:
        (FOLDER / f"{dashboard.uid}.json").write_text(written(dashboard), "utf-8")


if __name__ == "__main__":
    main()
