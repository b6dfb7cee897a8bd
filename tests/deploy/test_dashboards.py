"""The dashboards: each query is put to a real Prometheus that scrapes a live fleet."""

import json
import math
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.charts import CHART, NAMESPACE, PLAIN, RELEASE, named, rendered, script
from tests.support.observed import Observed
from tests.support.waiting import WaitUntil

from smallfirst import Client, Job
from smallfirst.local.redis_server import free_port

PROMETHEUS = shutil.which("prometheus")
FILES = sorted((CHART / "files" / "dashboards").glob("*.json"))
#: Panels about what goes wrong, is checked blind or was calibrated, which nothing is in this test;
#: their queries give nothing.
NOTHING_TO_TELL = {
    "Failed attempts",
    "Workers that died",
    "Jobs taken over",
    "Answered by people",
    "Error among accepted answers",
    "Blind checks",
    "Reviewers' own errors",
    "Proof of drift",
    "Population stability index",
    "What drift has in force",
}
#: Queries of other panels that give nothing here: nothing goes wrong, and Redis keeps no file.
QUIET = ('outcome!="settled"', "redis_aof_delayed_fsync")
METRICS = {"enabled": True, "dashboards": {"enabled": True, "annotations": {"folder": "mail"}}}

#: What Grafana puts in the place of its variables, where nothing is chosen.
FILLED_IN = {
    "$namespace": NAMESPACE,
    "$release": RELEASE,
    "$task": ".*",
    "$pool": ".*",
    "$__rate_interval": "1m",
}

Ask = Callable[[str], list[float]]


def panels(path: Path) -> list[dict[str, Any]]:
    """The panels of a file, its rows left out."""
    page = json.loads(path.read_text("utf-8"))
    return [panel for panel in page["panels"] if panel["type"] != "row"]


def queries(path: Path) -> Iterator[tuple[str, str]]:
    """What each panel asks, by its title, as Grafana would fill it in."""
    for panel in panels(path):
        for target in panel["targets"]:
            yield panel["title"], filled_in(target["expr"])


def filled_in(asked: str) -> str:
    """A query as Grafana puts it."""
    for word, meant in FILLED_IN.items():
        asked = asked.replace(word, meant)
    assert "$" not in asked, asked
    return asked


def test_the_files_are_what_the_script_writes() -> None:
    """Nobody edits them by hand."""
    boards = script("dashboards")
    held = {path.name: path.read_text("utf-8") for path in FILES}
    made = {f"{each.uid}.json": boards.written(each) for each in boards.DASHBOARDS}
    assert held == made, "run: python helm/dashboards.py"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_panels_do_not_lie_on_each_other(path: Path) -> None:
    """Each has a place of its own within the grid, and a number of its own."""
    page = json.loads(path.read_text("utf-8"))
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in page["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    numbers = [panel["id"] for panel in page["panels"]]
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_whoever_looks_is_told_what_it_means(path: Path) -> None:
    """Panels have a sentence and a unit; pages lead to each other, and mark deployments."""
    for panel in panels(path):
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        is_of_money = any("_cost_total" in target["expr"] for target in panel["targets"])
        assert is_of_money == (panel["fieldConfig"]["defaults"]["unit"] == "currency:USD")
    page = json.loads(path.read_text("utf-8"))
    [link] = page["links"]
    assert set(link["tags"]) <= set(page["tags"])
    assert link["includeVars"]
    assert [mark["name"] for mark in page["annotations"]["list"]] == ["Versions", "Catalogues"]


def test_costs_are_in_the_catalogue_s_currency() -> None:
    """Or in the one that is said, as where the chart has no catalogue to look into."""
    content = yaml.safe_load(PLAIN.read_text("utf-8"))["catalogue"]["content"]
    francs = {"content": content.replace("currency: USD", "currency: CHF")}
    unsaid = {"content": content.replace("currency: USD\n", "")}
    elsewhere = {"existingConfigMap": "ours", "content": ""}
    for catalogue in (unsaid, elsewhere):
        assert units_of({"metrics": METRICS, "catalogue": catalogue}) == {"currency:USD"}
    assert units_of({"metrics": METRICS, "catalogue": francs}) == {"currency:CHF"}
    said = {**METRICS, "dashboards": {"enabled": True, "currency": "EUR"}}
    assert units_of({"metrics": said, "catalogue": francs}) == {"currency:EUR"}


def units_of(values: dict[str, Any]) -> set[str]:
    """The units of money in the dashboards that are rendered."""
    boards = [each for each in rendered(values=values) if "dashboard-" in each["metadata"]["name"]]
    return set(re.findall(r"currency:\w+", str([board["data"] for board in boards])))


def test_each_becomes_a_config_map_where_asked_for() -> None:
    """With the label that Grafana's sidecar looks for, whole and unchanged."""
    assert not [each for each in rendered() if "dashboard" in each["metadata"]["name"]]
    objects = rendered(values={"metrics": METRICS})
    for path in FILES:
        made = named(objects, "ConfigMap", f"dashboard-{path.stem.removeprefix('smallfirst-')}")
        assert made["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert made["metadata"]["annotations"] == {"folder": "mail"}
        assert json.loads(made["data"][path.name]) == json.loads(path.read_text("utf-8"))
    switched_off = rendered(values={"metrics": {"enabled": False, "dashboards": {"enabled": True}}})
    assert not [each for each in switched_off if "dashboard" in each["metadata"]["name"]]


def test_every_metric_of_a_dashboard_is_exported(fleet_observed: Observed) -> None:
    """By the names that a live fleet gives, and no metric of its is left out of all dashboards."""
    used = {
        name
        for path in FILES
        for _, query in queries(path)
        for name in re.findall(r"smallfirst_\w+", query)
    }
    assert used <= fleet_observed.names()
    shown = {re.sub(r"_(bucket|sum|count|total)$", "", name) for name in used}
    ours = {name for name in fleet_observed.scrape() if name.startswith("smallfirst_")}
    assert {re.sub(r"_total$", "", name) for name in ours} <= shown


def test_every_query_is_of_one_fleet_and_of_what_is_chosen(fleet_observed: Observed) -> None:
    """Two fleets are never added up, and what has the label of a variable is narrowed by it."""
    labels = {
        sample.name: set(sample.labels)
        for family in fleet_observed.scrape().values()
        for sample in family.samples
    }
    for path in FILES:
        for panel in panels(path):
            for target in panel["targets"]:
                for name, where in re.findall(r"(smallfirst_\w+)(\{[^}]*\})?", target["expr"]):
                    assert 'namespace="$namespace", release="$release"' in where, panel["title"]
                    for label in {"task", "pool"} & labels.get(name, set()):
                        assert f'{label}=~"${label}"' in where, (panel["title"], name)


@pytest.fixture
def ask(fleet_observed: Observed, tmp_path: Path, wait_until: WaitUntil) -> Iterator[Ask]:
    """A Prometheus that scrapes the fleet each second; ask it for the values of a query."""
    place = {"namespace": NAMESPACE, "release": RELEASE}
    targets = [
        {"targets": [url.split("/")[2]], "labels": {**place, "pod": name}}
        for name, url in fleet_observed.pages.items()
    ]
    jobs = [{"job_name": "fleet", "static_configs": targets}]
    settings = {"global": {"scrape_interval": "1s"}, "scrape_configs": jobs}
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(settings))
    port = free_port()
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            [
                str(PROMETHEUS),
                f"--config.file={tmp_path / 'prometheus.yml'}",
                f"--storage.tsdb.path={tmp_path / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )

    def values(query: str) -> list[float]:
        words = urllib.parse.urlencode({"query": query})
        address = f"http://127.0.0.1:{port}/api/v1/query?{words}"
        with urllib.request.urlopen(address, timeout=10) as reply:
            return [float(one["value"][1]) for one in json.load(reply)["data"]["result"]]

    def has_started() -> bool:
        try:
            return sum(values("up")) == len(targets)
        except OSError:
            return False

    try:
        wait_until(has_started, description="Prometheus scrapes everybody", timeout=60)
        yield values
    finally:
        server.terminate()
        server.wait(30)


@pytest.mark.timeout(300)
@pytest.mark.skipif(PROMETHEUS is None, reason="not installed: apt install prometheus")
def test_every_panel_has_something_to_show(
    fleet_observed: Observed, ask: Ask, wait_until: WaitUntil
) -> None:
    """Each query gives numbers while a fleet works, but for those about what goes wrong."""
    due = [
        (title, query)
        for path in FILES
        for title, query in queries(path)
        if title not in NOTHING_TO_TELL and not any(words in query for words in QUIET)
    ]
    with Client(fleet_observed.redis_url) as client:

        def silent() -> list[str]:
            work(client)
            return [title for title, query in due if not any(map(math.isfinite, ask(query)))]

        wait_until(lambda: not silent(), description=f"not one of {silent()}", timeout=60)
    for path in FILES:
        for mark in json.loads(path.read_text("utf-8"))["annotations"]["list"]:
            assert ask(filled_in(mark["expr"])), mark["name"]
        for title, query in queries(path):
            assert title not in NOTHING_TO_TELL or ask(query) == [], query


def work(client: Client) -> None:
    """Do something of everything: jobs answered, jobs that nobody is sure of, one refused."""
    jobs = [Job(task="topic", text=f"where is parcel {n}") for n in range(20)]
    jobs += [Job(task="similar", text=f"money {n}") for n in range(20)]
    jobs.append(Job(task="no_such_task", text="x"))
    assert len(list(client.map(jobs))) == len(jobs)
    # Nobody is there to answer it: it waits.
    client.submit(Job(id="asked", task="asked", text="where is my parcel?"))
