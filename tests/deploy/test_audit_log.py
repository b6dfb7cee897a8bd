"""The keeper of the audit log in the chart: alone, on a claim, with a key that no chart makes."""

from typing import Any

import pytest
from tests.support.charts import environment, named, of_kind, refusal, rendered

ON: dict[str, Any] = {"enabled": True, "existingClaim": "log", "existingSecret": "log-key"}


def container(objects: list[Any]) -> Any:
    """The keeper's container."""
    return named(objects, "Deployment", "audit-log")["spec"]["template"]["spec"]["containers"][0]


def test_no_log_is_kept_unless_asked_for() -> None:
    """The chart as it comes keeps none."""
    names = [each["metadata"]["name"] for each in of_kind(rendered(), "Deployment")]
    assert not [name for name in names if name.endswith("audit-log")]


@pytest.mark.parametrize("missing", ["existingClaim", "existingSecret"])
def test_a_log_without_a_place_or_a_key_is_refused(missing: str) -> None:
    """Its records would go with the pod, or nobody could verify them."""
    told = refusal({"auditLog": {**ON, missing: ""}})
    assert f"auditLog.{missing}" in told


def test_its_keeper_is_alone_and_connects_as_itself() -> None:
    """A new pod waits for the end of the old one; and two are never asked for."""
    objects = rendered(values={"auditLog": ON, "defaults": {"replicas": 3}})
    spec = named(objects, "Deployment", "audit-log")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    url = environment(container(objects))["SMALLFIRST_REDIS_URL"]
    assert url["secretKeyRef"]["key"] == "audit-log-url"


def test_it_has_its_folder_and_its_key_from_where_it_is_told() -> None:
    """The claim and the Secret; the key is read alone."""
    objects = rendered(values={"auditLog": ON})
    pod = named(objects, "Deployment", "audit-log")["spec"]["template"]["spec"]
    volumes = {each["name"]: each for each in pod["volumes"]}
    mounts = {each["name"]: each for each in container(objects)["volumeMounts"]}
    assert volumes["kept"]["persistentVolumeClaim"] == {"claimName": "log"}
    assert volumes["audit-log-key"]["secret"]["secretName"] == "log-key"
    given = environment(container(objects))
    assert given["SMALLFIRST_AUDIT_LOG"].startswith(mounts["kept"]["mountPath"])
    key = mounts["audit-log-key"]
    assert given["SMALLFIRST_AUDIT_LOG_KEY"] == f"{key['mountPath']}/key"
    assert key["readOnly"]


def test_beside_a_cluster_it_reaches_no_broker() -> None:
    """It is no client of Celery's, and has neither a password nor a way there."""
    objects = rendered("redis-cluster", values={"auditLog": ON})
    assert "@" not in environment(container(objects))["SMALLFIRST_BROKER_URL"]
    rules = named(objects, "NetworkPolicy", "audit-log")["spec"]["egress"]
    assert 6380 not in [port["port"] for rule in rules for port in rule["ports"]]
