"""Every pod keeps the restricted standard, and mounts no more than it needs."""

import pytest
from tests.support.charts import EXAMPLES, containers, of_kind, pods, rendered


@pytest.mark.parametrize("example", EXAMPLES)
def test_pods_are_restricted(example: str | None) -> None:
    """No root, no privilege gained, no capability, the runtime's seccomp, nothing of the host's."""
    for name, pod in pods(rendered(example)):
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["runAsUser"] >= 10_000, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), name
        kinds = {kind for volume in spec["volumes"] for kind in set(volume) - {"name"}}
        assert kinds <= {"configMap", "secret", "emptyDir", "persistentVolumeClaim"}, name
        for container in containers(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_component_is_somebody_without_a_token(example: str | None) -> None:
    """Each component has a ServiceAccount of its own, no token, no Service's variables."""
    objects = rendered(example)
    accounts = [pod["spec"]["serviceAccountName"] for _, pod in pods(objects)]
    assert len(accounts) == len(set(accounts))
    for name, pod in pods(objects):
        assert pod["spec"]["automountServiceAccountToken"] is False, name
        assert pod["spec"]["enableServiceLinks"] is False, name
    for account in of_kind(objects, "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False
    assert not of_kind(objects, "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")


@pytest.mark.parametrize("example", EXAMPLES)
def test_memory_is_bounded(example: str | None) -> None:
    """Every container asks for processor and memory and has a limit of memory, scratch too."""
    for name, pod in pods(rendered(example)):
        for container in containers(pod):
            assert "memory" in container["resources"]["limits"], name
            assert set(container["resources"]["requests"]) >= {"cpu", "memory"}, name
        for volume in pod["spec"]["volumes"]:
            if "emptyDir" in volume and volume["name"] != "data":
                assert volume["emptyDir"]["sizeLimit"], f"{name}: {volume['name']}"


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_process_can_write_where_it_must(example: str | None) -> None:
    """With a root that cannot be written, /tmp and the workers' cache are volumes."""
    for name, pod in pods(rendered(example)):
        for container in pod["spec"]["containers"]:
            paths = {mount["mountPath"] for mount in container["volumeMounts"]}
            assert "/tmp" in paths, name
            if container["name"] == "worker":
                assert "/var/cache/smallfirst" in paths, name


def test_secrets_stand_in_no_command_and_no_plain_variable() -> None:
    """A password reaches a process from a Secret, never from the pod's own text."""
    values = {"flower": {"auth": {"basicAuth": "ops:hunter2"}}}
    text = str([pod for _, pod in pods(rendered(values=values))])
    assert "hunter2" not in text
    assert "redis://" not in text
