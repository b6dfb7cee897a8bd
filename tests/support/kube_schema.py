"""What Kubernetes says of the lists of its kinds: which are merged, and by which keys.

Read from the schemas that `kubernetes-validate` brings, so that no list of ours can be out of date.

Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy
"""

import json
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

Object = dict[str, Any]
VERSION = "1.37.0"
#: What the server fills in where a list's entry leaves a key out.
DEFAULTS = {"protocol": "TCP"}


def schema_of(one: Object) -> Object:
    """Find a kind's schema; an empty one where Kubernetes itself does not bring the kind."""
    group, _, version = str(one["apiVersion"]).rpartition("/")
    short = "-".join(part for part in (group.partition(".")[0], version) if part)
    try:
        return _read(f"{one['kind'].lower()}-{short}.json")
    except FileNotFoundError:
        return {}


def field_of(schema: Object, key: str) -> Object:
    """Give the schema of a mapping's field; an empty one where it is free."""
    found: Object = schema.get("properties", {}).get(key) or schema.get("additionalProperties", {})
    return _resolved(found) if isinstance(found, dict) else {}


def entry_of(schema: Object) -> Object:
    """Give the schema of a list's entries."""
    return _resolved(schema.get("items", {}))


def merge_keys(schema: Object) -> tuple[str, ...]:
    """Name the fields that tell a list's entries apart; none where it is replaced whole."""
    return tuple(schema.get("x-kubernetes-list-map-keys", ()))


def patch_key(schema: Object) -> str | None:
    """Name the one field by which a strategic merge patch tells entries apart."""
    return schema.get("x-kubernetes-patch-merge-key")


def identity(entry: Object, keys: tuple[str, ...]) -> tuple[Any, ...]:
    """Say which entry of its list this is."""
    return tuple(entry.get(key, DEFAULTS.get(key)) for key in keys)


def duplicates(one: Any, schema: Object, path: str = "") -> Iterator[str]:
    """Tell of each list whose entries are told apart by keys and are not, as the server does."""
    if isinstance(one, dict):
        for key, value in one.items():
            yield from duplicates(value, field_of(schema, key), f"{path}.{key}")
    elif isinstance(one, list):
        keys, known = merge_keys(schema), set()
        for entry in one:
            place = path
            if keys and isinstance(entry, dict):
                which = identity(entry, keys)
                told = ",".join(f'{key}="{value}"' for key, value in zip(keys, which, strict=True))
                if which in known:
                    yield f"{path}: duplicate entries for key [{told}]"
                known.add(which)
                place = f"{path}[{told}]"
            yield from duplicates(entry, entry_of(schema), place)


def _resolved(schema: Object) -> Object:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: Object = _read("_definitions.json")["$defs"][reference.rpartition("/")[2]]
    return found


@cache
def _read(name: str) -> Object:
    folder = files("kubernetes_validate") / "kubernetes-json-schema" / f"v{VERSION}-local"
    found: Object = json.loads((folder / name).read_text("utf-8"))
    return found
