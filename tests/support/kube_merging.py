"""How an API server merges what it is sent into what it has: applied, patched, or merged.

Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/,
https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md,
RFC 7396.
"""

import copy
from typing import Any

from tests.support.kube_schema import entry_of, field_of, patch_key, schema_of

Object = dict[str, Any]
#: What a strategic merge patch says of itself beside the fields.
_DELETE, _REPLACE = "delete", "replace"


def applied(known: Object | None, before: Object | None, now: Object) -> Object:
    """Merge what one manager applies: what it applied before and does not any more is taken away.

    Could still miss a second manager's entries within a list, which is taken from the newest whole.
    """
    kept = copy.deepcopy(known or {})
    _take_away(kept, before or {}, now)
    return merged(kept, now)


def merged(one: Object, change: Object) -> Object:
    """Merge as JSON Merge Patch does."""
    for key, value in change.items():
        if value is None:
            one.pop(key, None)
        elif isinstance(value, dict) and isinstance(one.get(key), dict):
            merged(one[key], value)
        else:
            one[key] = value
    return one


def patched(one: Object, change: Object) -> Object:
    """Merge as a strategic merge patch does: entries of lists by the key that the schema names."""
    return _patched(one, change, schema_of(one))


def _take_away(kept: Object, before: Object, now: Object) -> None:
    for key, value in before.items():
        if key not in now:
            kept.pop(key, None)
        elif all(isinstance(each.get(key), dict) for each in (kept, before, now)):
            _take_away(kept[key], value, now[key])


def _patched(one: Object, change: Object, schema: Object) -> Object:
    if change.get("$patch") == _REPLACE:
        return {key: value for key, value in change.items() if key != "$patch"}
    retained = change.get("$retainKeys")
    if retained is not None:
        one = {key: value for key, value in one.items() if key in retained}
    for key, value in change.items():
        if key.startswith("$"):
            continue
        within = field_of(schema, key)
        if value is None:
            one.pop(key, None)
        elif isinstance(value, dict):
            one[key] = _patched(one.get(key) or {}, value, within)
        elif isinstance(value, list) and patch_key(within):
            order = change.get(f"$setElementOrder/{key}")
            one[key] = _patched_list(one.get(key) or [], value, within, order)
        else:
            one[key] = value
    return one


def _patched_list(
    known: list[Any], change: list[Any], schema: Object, order: list[Object] | None
) -> list[Any]:
    """Merge a list by its one key, in the order that the patch says."""
    key = str(patch_key(schema))
    entries = {entry[key]: entry for entry in known}
    for entry in change:
        if entry.get("$patch") == _DELETE:
            entries.pop(entry[key], None)
        else:
            entries[entry[key]] = _patched(entries.get(entry[key], {}), entry, entry_of(schema))
    wanted = [entry[key] for entry in order or ()]
    return sorted(
        entries.values(), key=lambda entry: wanted.index(entry[key]) if entry[key] in wanted else 0
    )
