"""A small API server that remembers: enough of Kubernetes for helm and kubectl to work against.

It stores what it is sent, by kind, namespace and name, merged as a real one merges it, and refuses
what a real one would (`kube_admission.py`); it runs nothing. helm and kubectl write Secrets and
namespaces in protobuf, so that much is read of it.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

import base64
import copy
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml
from tests.support.kube_admission import refusals
from tests.support.kube_merging import applied, merged, patched
from tests.support.kube_schema import duplicates, schema_of

Object = dict[str, Any]
#: Group and version, plural, namespace, name.
Place = tuple[str, str, str, str]
#: Each kind's plural, by group and version.
KINDS = {
    "v1": {
        "configmaps": "ConfigMap",
        "namespaces": "Namespace",
        "persistentvolumeclaims": "PersistentVolumeClaim",
        "pods": "Pod",
        "secrets": "Secret",
        "serviceaccounts": "ServiceAccount",
        "services": "Service",
    },
    "apps/v1": {"deployments": "Deployment", "statefulsets": "StatefulSet"},
    "autoscaling/v2": {"horizontalpodautoscalers": "HorizontalPodAutoscaler"},
    "batch/v1": {"jobs": "Job"},
    "gateway.networking.k8s.io/v1": {"httproutes": "HTTPRoute"},
    "keda.sh/v1alpha1": {
        "scaledobjects": "ScaledObject",
        "triggerauthentications": "TriggerAuthentication",
    },
    "monitoring.coreos.com/v1": {
        "podmonitors": "PodMonitor",
        "prometheusrules": "PrometheusRule",
    },
    "networking.k8s.io/v1": {"ingresses": "Ingress", "networkpolicies": "NetworkPolicy"},
    "policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
}
_SCHEMAS = "/openapi/v3"
_VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


class Refused(Exception):
    """Raised when a real server would not store an object."""


class Cluster:
    """What the server remembers: objects by group and version, plural, namespace and name."""

    def __init__(self) -> None:
        self.objects: dict[Place, Object] = {}
        self.lock = threading.Lock()
        self._revision = 0
        #: What each manager applied last, by object.
        self._applied: dict[tuple[Place, str], Object] = {}

    def put(self, place: Place, one: Object) -> Object:
        """Store an object under its place, as the server would complete it.

        An object that is stored already as it is keeps its `resourceVersion`.

        Raises:
            Refused: A real server would not store it.
        """
        version, plural, namespace, name = place
        before = self.objects.get(place)
        one |= {"apiVersion": version, "kind": KINDS[version][plural]}
        known = {"name": name, "namespace": namespace, "uid": str(uuid.uuid4())}
        one["metadata"] = {**known, **one.get("metadata", {})}
        if told := refusals(one, before=before):
            raise Refused(f'{one["kind"]} "{name}" is invalid: {"; ".join(told)}')
        if one["kind"] == "Secret":
            plain = one.pop("stringData", {})
            coded = {
                key: base64.b64encode(text.encode()).decode()
                for key, text in plain.items()
                if text is not None
            }
            one["data"] = one.get("data", {}) | coded
        if before is None or one != before:
            self._revision += 1
            one["metadata"]["resourceVersion"] = str(self._revision)
        self.objects[place] = one
        return one

    def apply(self, place: Place, one: Object, manager: str) -> Object:
        """Apply an object server-side: what this manager does not name any more goes.

        Raises:
            Refused: A real server would not store it.
        """
        wanted = copy.deepcopy(one)
        whole = applied(self.objects.get(place), self._applied.get((place, manager)), one)
        if told := list(duplicates(wanted, schema_of(wanted))):
            raise Refused(f"failed to create typed patch object: {'; '.join(told)}")
        stored = self.put(place, whole)
        self._applied[place, manager] = wanted
        return stored

    def of(self, kind: str) -> dict[str, Object]:
        """All objects of a kind, by name, but for helm's own records."""
        found = [one for one in self.objects.values() if one["kind"] == kind]
        records = "helm.sh/release.v1"
        return {one["metadata"]["name"]: one for one in found if one.get("type") != records}


@contextmanager
def api_server() -> Iterator[tuple[Cluster, int]]:
    """Serve an empty cluster on a free port of this machine until the block ends."""
    cluster = Cluster()
    handler = type("Handler", (_Handler,), {"cluster": cluster})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, name="kube-api", daemon=True)
    thread.start()
    try:
        yield cluster, server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


class _Handler(BaseHTTPRequestHandler):
    """One request: discovery, or an object's life."""

    protocol_version = "HTTP/1.1"
    cluster: Cluster

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        path = urlsplit(self.path).path.rstrip("/")
        found = _discovered(path)
        if found is not None:
            self._answer(found)
            return
        version, plural, namespace, name = self._place()
        if plural not in KINDS.get(version, {}):
            self._refuse(404, "NotFound")
            return
        with self.cluster.lock:
            if name:
                self._answer_one(self.cluster.objects.get((version, plural, namespace, name)))
            else:
                items = list(self._listed(version, plural, namespace))
                self._answer({"kind": f"{KINDS[version][plural]}List", "items": items})

    def do_POST(self) -> None:
        version, plural, namespace, _ = self._place()
        one = self._body()
        place = (version, plural, namespace, one["metadata"]["name"])
        with self.cluster.lock:
            if place in self.cluster.objects:
                self._refuse(409, "AlreadyExists")
            else:
                self._store(lambda: self.cluster.put(place, one), 201)

    def do_PUT(self) -> None:
        place, one = self._place(), self._body()
        with self.cluster.lock:
            self._store(lambda: self.cluster.put(place, one))

    def do_PATCH(self) -> None:
        change, place = self._body(), self._place()
        kind = str(self.headers.get("Content-Type"))
        manager = parse_qs(urlsplit(self.path).query).get("fieldManager", [""])[0]
        with self.cluster.lock:
            known = self.cluster.objects.get(place)
            if "apply-patch" in kind:
                code = 200 if known else 201
                self._store(lambda: self.cluster.apply(place, change, manager), code)
            elif known is None:
                self._refuse(404, "NotFound")
            else:
                merge = patched if "strategic" in kind else merged
                self._store(lambda: self.cluster.put(place, merge(copy.deepcopy(known), change)))

    def do_DELETE(self) -> None:
        self._body()
        with self.cluster.lock:
            self._answer_one(self.cluster.objects.pop(self._place(), None))

    def _place(self) -> tuple[str, str, str, str]:
        """Read group and version, plural, namespace and name; what is not said is empty."""
        parts = [part for part in urlsplit(self.path).path.split("/") if part]
        version, rest = (
            (parts[1], parts[2:]) if parts[0] == "api" else ("/".join(parts[1:3]), parts[3:])
        )
        namespace = ""
        if rest[:1] == ["namespaces"] and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        return version, "".join(rest[:1]), namespace, rest[1] if len(rest) > 1 else ""

    def _listed(self, version: str, plural: str, namespace: str) -> Iterator[Object]:
        """Give what a list would, by the equalities of its label selector."""
        asked = parse_qs(urlsplit(self.path).query).get("labelSelector", [""])[0]
        wanted = dict(
            term.split("=", 1) for term in asked.split(",") if "=" in term and "!" not in term
        )
        for place, one in self.cluster.objects.items():
            labels = one["metadata"].get("labels") or {}
            is_there = place[:2] == (version, plural) and namespace in {"", place[2]}
            if is_there and wanted.items() <= labels.items():
                yield one

    def _body(self) -> Object:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if content.startswith(b"k8s\0"):
            return _object_of(content)
        found: Object = yaml.safe_load(content) if content else {}
        return found

    def _answer_one(self, one: Object | None) -> None:
        if one is None:
            self._refuse(404, "NotFound")
        else:
            self._answer(one)

    def _store(self, store: Callable[[], Object], code: int = 200) -> None:
        try:
            stored = store()
        except Refused as refused:
            self._refuse(422, "Invalid", str(refused))
        else:
            self._answer(stored, code)

    def _refuse(self, code: int, reason: str, message: str = "") -> None:
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code}
        self._answer(status | {"reason": reason, "message": message or reason}, code)

    def _answer(self, one: Object, code: int = 200) -> None:
        content = json.dumps(one).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _discovered(path: str) -> Object | None:
    """Say which kinds there are; None where something else is asked."""
    if path == "/version":
        return {"major": "1", "minor": "32", "gitVersion": "v1.32.0"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        return {"kind": "APIGroupList", "groups": [_group(one) for one in KINDS if "/" in one]}
    if path.startswith(_SCHEMAS):
        return _schemas(path.removeprefix(_SCHEMAS).strip("/"))
    version = path.removeprefix("/apis/").removeprefix("/api/")
    if version not in KINDS:
        return None
    kinds = [_kind(*one) for one in KINDS[version].items()]
    return {"kind": "APIResourceList", "groupVersion": version, "resources": kinds}


def _root(version: str) -> str:
    return f"apis/{version}" if "/" in version else f"api/{version}"


def _schemas(root: str) -> Object:
    """Say where schemas are; of each kind only that unknown fields are refused, as kubectl asks.

    Source: query_param_verifier_v3.go in k8s.io/cli-runtime/pkg/resource
    """
    if not root:
        roots = [_root(each) for each in KINDS]
        return {"paths": {one: {"serverRelativeURL": f"{_SCHEMAS}/{one}"} for one in roots}}
    version = root.partition("/")[2]
    group, _, number = version.rpartition("/")
    paths = {}
    for plural, kind in KINDS[version].items():
        known = {"group": group, "version": number, "kind": kind}
        patch = {"parameters": [{"name": "fieldValidation", "in": "query"}]}
        path = f"/{root}/namespaces/{{namespace}}/{plural}/{{name}}"
        paths[path] = {"patch": patch | {"x-kubernetes-group-version-kind": known}}
    return {"openapi": "3.0.0", "info": {"title": "", "version": ""}, "paths": paths}


def _group(version: str) -> Object:
    known = {"groupVersion": version, "version": version.rpartition("/")[2]}
    name = version.rpartition("/")[0]
    return {"name": name, "versions": [known], "preferredVersion": known}


def _kind(plural: str, kind: str) -> Object:
    namespaced = kind != "Namespace"
    known = {"name": plural, "singularName": kind.lower(), "kind": kind}
    return known | {"namespaced": namespaced, "verbs": _VERBS}


def _object_of(content: bytes) -> Object:
    """Read a Secret or a namespace, the kinds that are written so.

    Source: `Unknown` in k8s.io/apimachinery/pkg/runtime/generated.proto, `ObjectMeta` in
    k8s.io/apimachinery/pkg/apis/meta/v1, `Secret` in k8s.io/api/core/v1.
    """
    unknown = dict(_fields(content[4:]))
    is_secret = dict(_fields(unknown[1]))[2] == b"Secret"
    found: Object = {"metadata": {"labels": {}}} | ({"data": {}} if is_secret else {})
    for field, value in _fields(unknown[2]):
        if field == 1:
            for part, known in _fields(value):
                if part == 1:
                    found["metadata"]["name"] = known.decode()
                elif part == 11:
                    pair = dict(_fields(known))
                    found["metadata"]["labels"][pair[1].decode()] = pair.get(2, b"").decode()
        elif field == 2 and is_secret:
            pair = dict(_fields(value))
            found["data"][pair[1].decode()] = base64.b64encode(pair.get(2, b"")).decode()
        elif field == 3 and is_secret:
            found["type"] = value.decode()
    return found


def _fields(content: bytes) -> Iterator[tuple[int, Any]]:
    """Read the fields of a protobuf message that are numbers or have a length."""
    at = 0
    while at < len(content):
        tag, at = _number(content, at)
        value, at = _number(content, at)
        if tag & 7 == 2:
            yield tag >> 3, content[at : at + value]
            at += value
        else:
            yield tag >> 3, value


def _number(content: bytes, at: int) -> tuple[int, int]:
    """Read one number, seven bits a byte; return it and where it ends."""
    value = shift = 0
    while True:
        byte = content[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at
