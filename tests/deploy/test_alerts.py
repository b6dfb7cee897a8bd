"""The alerts that the chart makes: checked, and tried on series, by Prometheus's own tool."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.charts import of_kind, rendered
from tests.support.observed import Observed

PROMTOOL = shutil.which("promtool")
CASES = Path(__file__).parent / "alerts_test.yaml"
METRICS = {"enabled": True, "alerts": {"enabled": True}}
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is not installed: apt install prometheus"
)


def groups() -> Any:
    """The groups of rules, as the chart renders them."""
    [rule] = of_kind(rendered(values={"metrics": METRICS}), "PrometheusRule")
    return rule["spec"]["groups"]


def promtool(*arguments: str) -> None:
    """Run promtool; fail with what it says."""
    done = subprocess.run(
        [str(PROMTOOL), *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_alert_unless_asked_for() -> None:
    """Not every cluster knows the kind."""
    assert not of_kind(rendered(), "PrometheusRule")
    assert not of_kind(rendered(values={"metrics": {"enabled": True}}), "PrometheusRule")


@needs_promtool
def test_each_alert_fires_when_it_should_and_not_before(tmp_path: Path) -> None:
    """On series that are written down beside this test."""
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": groups()}))
    shutil.copy(CASES, tmp_path)
    promtool("check", "rules", str(tmp_path / "rules.yaml"))
    promtool("test", "rules", str(tmp_path / CASES.name))


def test_every_alert_is_tried() -> None:
    """One that nobody ever saw fire is none."""
    tried = {
        case["alertname"]
        for test in yaml.safe_load(CASES.read_text())["tests"]
        for case in test["alert_rule_test"]
        if case["exp_alerts"]
    }
    assert tried == {rule["alert"] for group in groups() for rule in group["rules"]}


def test_the_bound_of_waiting_comes_from_the_values() -> None:
    """In seconds."""
    alerts = {"enabled": True, "oldestJobSeconds": 42}
    objects = rendered(values={"metrics": {"enabled": True, "alerts": alerts}})
    assert "smallfirst_oldest_job_age_seconds) > 42" in str(of_kind(objects, "PrometheusRule"))


def test_every_metric_of_an_alert_is_exported(fleet_observed: Observed) -> None:
    """By the names that a live fleet gives."""
    used = {
        name
        for group in groups()
        for rule in group["rules"]
        for name in re.findall(r"smallfirst_\w+", rule["expr"])
    }
    assert used <= fleet_observed.names()
