"""The alerts that the chart makes: checked, and tried on series, by Prometheus's own tool."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.charts import CHART, ROOT, of_kind, rendered
from tests.support.observed import Observed

from smallfirst.cli.main import COMMANDS
from smallfirst.telemetry.ended_jobs import JOB_SECONDS_BUCKETS

PROMTOOL = shutil.which("promtool")
CASES = Path(__file__).parent / "alerts_test.yaml"
METRICS = {"enabled": True, "alerts": {"enabled": True}}
RUNBOOK = ROOT / "docs" / "how-to" / "runbook.md"
APP_VERSION = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))["appVersion"]
#: How a series says which of two releases in one namespace it is of.
OURS, THEIRS = 'release="acme"', 'release="healthy"'
#: What is 1 in a healthy fleet; everything else that alerts look at is 0, or grows evenly.
GOOD_AT_ONE = {
    "smallfirst_redis_up",
    "smallfirst_workers",
    "smallfirst_jobs_unread",
    "smallfirst_people_least_left_ratio",
    "smallfirst_redis_aof_write_ok",
    "smallfirst_redis_rdb_save_ok",
    "smallfirst_build_info",
}
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is not installed: apt install prometheus"
)


def groups() -> Any:
    """The groups of rules, as the chart renders them."""
    [rule] = of_kind(rendered(values={"metrics": METRICS}), "PrometheusRule")
    return rule["spec"]["groups"]


def rules() -> list[dict[str, Any]]:
    """All rules."""
    return [rule for group in groups() for rule in group["rules"]]


def promtool(*arguments: str) -> str:
    """Run promtool; return what it complains of, nothing where all is well."""
    done = subprocess.run(
        [str(PROMTOOL), *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0 or done.stdout + done.stderr
    return "" if done.returncode == 0 else done.stdout + done.stderr


def healthy_values(series: str) -> str:
    """What a fleet that lacks nothing tells, in a series of this name and with these labels."""
    if series.startswith(("smallfirst_attempts_total", "smallfirst_job_seconds")):
        return "0x500" if "abstained" in series or "failed" in series else "0+50x500"
    if series.startswith("smallfirst_catalogue_info"):
        return "1x500" if 'revision="b"' in series else "_x500"
    name = series.partition("{")[0]
    return f"{1 if name in GOOD_AT_ONE else 1000 if 'max_memory' in name else 0}x500"


def with_a_healthy_neighbour(test: dict[str, Any]) -> dict[str, Any]:
    """The same case in a namespace where another fleet has every series too, and nothing amiss."""
    written = [one["series"] for one in test["input_series"]]
    assert all(OURS in series for series in written), written
    beside = [
        {"series": series.replace(OURS, THEIRS), "values": healthy_values(series)}
        for series in written
    ]
    return {**test, "input_series": [*test["input_series"], *beside]}


def of(release: str, rule: dict[str, Any]) -> dict[str, Any]:
    """The same rule as another release has it, without the address that every alert has."""
    said = {k: v for k, v in rule.get("annotations", {}).items() if k != "runbook_url"}
    about = {"annotations": said} if said else {}
    return {**rule, **about, "expr": rule["expr"].replace(OURS, release)}


def write_case(path: Path, test: dict[str, Any], made: list[dict[str, Any]]) -> str:
    """Write one case for promtool, with the rules that it is about, for both releases."""
    due = {case["alertname"] for case in test["alert_rule_test"]}
    about = [rule for rule in made if rule.get("alert", "") in due]
    asked = " ".join(rule["expr"] for rule in about)
    # Before what asks for them.
    about[:0] = [rule for rule in made if "record" in rule and rule["record"] in asked]
    both = [
        {"name": release, "rules": [of(release, rule) for rule in about]}
        for release in (OURS, THEIRS)
    ]
    path.with_suffix(".rules").write_text(yaml.safe_dump({"groups": both}))
    case = {
        "rule_files": [path.with_suffix(".rules").name],
        "evaluation_interval": test["interval"],
        "tests": [with_a_healthy_neighbour(test)],
    }
    path.write_text(yaml.safe_dump(case))
    return str(path)


def try_rules(folder: Path, made: list[dict[str, Any]]) -> str:
    """Put rules to the cases that are about them; return what promtool complains of."""
    tests = yaml.safe_load(CASES.read_text())["tests"]
    about = {rule.get("alert") for rule in made}
    tests = [test for test in tests if test["alert_rule_test"][0]["alertname"] in about]
    files = [write_case(folder / f"{n}.yaml", test, made) for n, test in enumerate(tests)]
    return promtool("test", "rules", *files)


def test_no_alert_unless_asked_for() -> None:
    """Not every cluster knows the kind."""
    assert not of_kind(rendered(), "PrometheusRule")
    assert not of_kind(rendered(values={"metrics": {"enabled": True}}), "PrometheusRule")


@needs_promtool
def test_each_alert_fires_when_it_should_and_not_before(tmp_path: Path) -> None:
    """On series that are written down beside this test, with a healthy fleet in the namespace."""
    assert try_rules(tmp_path, rules()) == ""
    (tmp_path / "all.yaml").write_text(yaml.safe_dump({"groups": groups()}))
    assert promtool("check", "rules", str(tmp_path / "all.yaml")) == ""


@needs_promtool
def test_rules_that_forget_the_release_are_blind(tmp_path: Path) -> None:
    """So says the test above of rules as they were: a healthy fleet hid one without its Redis."""
    hidden = ("SmallfirstRedisDown", "SmallfirstUnseen", "SmallfirstNoWorker")
    old = [without_release(rule) for rule in rules() if rule.get("alert") in hidden]
    said = try_rules(tmp_path, old)
    for alert in hidden:
        silent = rf"alertname: {alert},(?:(?!alertname:).)*got:\[\]"
        assert re.search(silent, said, flags=re.DOTALL), alert


def without_release(rule: dict[str, Any]) -> dict[str, Any]:
    """A rule over whatever the namespace holds."""
    return {**rule, "expr": rule["expr"].replace(f",{OURS}", "").replace(", release", "")}


def test_every_alert_is_tried() -> None:
    """One that nobody ever saw fire is none."""
    tried = {
        case["alertname"]
        for test in yaml.safe_load(CASES.read_text())["tests"]
        for case in test["alert_rule_test"]
        if case["exp_alerts"]
    }
    assert tried == {rule["alert"] for rule in rules() if "alert" in rule}


def test_every_alert_says_which_fleet_it_is_of() -> None:
    """It looks at the series of its own release alone, and keeps the release among its labels."""
    for rule in rules():
        chosen = re.findall(r"\{([^}]*)\}", rule["expr"])
        assert chosen, str(rule)
        assert all(f'namespace="prod",{OURS}' in each for each in chosen), str(rule)
        for labels in re.findall(r"\b(?:by|on) \(([^)]*)\)", rule["expr"]):
            assert labels.startswith("namespace, release"), str(rule)


def test_the_bound_of_waiting_comes_from_the_values() -> None:
    """In seconds."""
    alerts = {"enabled": True, "oldestJobSeconds": 42}
    objects = rendered(values={"metrics": {"enabled": True, "alerts": alerts}})
    assert 'smallfirst_oldest_job_age_seconds{namespace="prod",release="acme"}) > 42' in str(
        of_kind(objects, "PrometheusRule")
    )


def test_the_objective_comes_from_the_values() -> None:
    """What is promised of which tasks, in seconds that are told apart in what is counted."""
    objective = {"percent": 99.5, "seconds": 10, "tasks": ["topic", "ids"]}
    alerts = {"enabled": True, "objective": objective}
    values: dict[str, Any] = {"metrics": {"enabled": True, "alerts": alerts}}
    said = str(of_kind(rendered(values=values), "PrometheusRule"))
    assert 'le="10.0"' in said
    assert 'task=~"topic|ids"' in said
    assert "> 14.4 * 0.005" in said
    assert "The objective is 99.5 %" in said
    schema = json.loads((CHART / "values.schema.json").read_text())
    alerts = schema["properties"]["metrics"]["properties"]["alerts"]["properties"]
    known = alerts["objective"]["properties"]["seconds"]["enum"]
    assert set(known) == {bound for bound in JOB_SECONDS_BUCKETS if bound >= 1}


def test_every_metric_of_an_alert_is_exported(fleet_observed: Observed) -> None:
    """By the names that a live fleet gives."""
    used = {name for rule in rules() for name in re.findall(r"smallfirst_\w+", rule["expr"])}
    assert used <= fleet_observed.names()


def test_every_alert_has_a_section_of_the_runbook_and_leads_to_it() -> None:
    """In the order of the rules; each says what it means, where to look, and what to do."""
    names = [rule["alert"] for rule in rules() if "alert" in rule]
    _, *sections = RUNBOOK.read_text("utf-8").split("\n## ")
    assert [section.partition("\n")[0] for section in sections] == names
    for section in sections:
        assert re.findall(r"^\*\*(\w+):\*\*", section, re.MULTILINE) == ["Means", "Look", "Do"]
    place = f"https://github.com/smallfirst/smallfirst/blob/v{APP_VERSION}/docs/how-to/runbook.md"
    for rule in rules():
        if "alert" in rule:
            assert rule["annotations"]["runbook_url"] == f"{place}#{rule['alert'].lower()}"


def test_the_runbook_may_be_a_team_s_own() -> None:
    """Whose page has a section for each alert too."""
    alerts = {"enabled": True, "runbookUrl": "https://wiki.example.com/mail"}
    made = of_kind(
        rendered(values={"metrics": {"enabled": True, "alerts": alerts}}), "PrometheusRule"
    )
    assert "https://wiki.example.com/mail#smallfirstredisdown" in str(made)


def test_the_runbook_names_commands_and_objects_that_there_are() -> None:
    """Whoever is woken at night types them as they stand."""
    page = RUNBOOK.read_text("utf-8")
    written = "\n".join(map("".join, re.findall(r"```sh\n(.*?)```|`([^`\n]+)`", page, re.DOTALL)))
    assert set(re.findall(r"^smallfirst ([a-z]+)", written, re.MULTILINE)) <= set(COMMANDS)
    log = {"enabled": True, "existingClaim": "log", "existingSecret": "log-key"}
    objects = {
        f"{each['kind'].lower()}/{each['metadata']['name']}"
        for each in rendered(values={"metrics": METRICS, "auditLog": log})
    }
    named = re.findall(r"\b(?:deployment|statefulset|podmonitor)/[\w-]+", written)
    assert named
    assert set(named) <= objects
