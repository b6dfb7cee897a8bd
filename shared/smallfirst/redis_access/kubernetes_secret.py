"""The Secret of the chart's Redis: its users, their passwords, their addresses. Pure.

Its keys are those that the chart makes where it draws the passwords itself.
"""

import json
import secrets
import string
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from smallfirst.redis_access.acl import Role, acl_file

_LENGTH = 32


def drawn_password() -> str:
    """Draw a password of letters and digits, which no address has to escape: 190 bits."""
    letters = string.ascii_letters + string.digits
    return "".join(secrets.choice(letters) for _ in range(_LENGTH))


def secret_manifest(
    name: str, namespace: str, host: str, passwords: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Write the Secret, as `kubectl apply` takes it.

    Args:
        name: Of the Secret.
        namespace: Of the fleet, not of Kubernetes.
        host: Of Redis as pods find it, with its port.
        passwords: Of each user one, or two while one is changed for the other.
    """
    keys = {"users.acl": acl_file(namespace, passwords)}
    for user, (first, *others) in sorted(passwords.items()):
        keys |= {f"{user}-password": first, f"{user}-url": _url(user, first, host)}
        for second in others:
            keys |= {f"{user}-second-password": second}
            keys |= {f"{user}-second-url": _url(user, second, host)}
    if Role.SCALER in passwords:
        keys["scaler-username"] = Role.SCALER
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "type": "Opaque",
        "stringData": keys,
    }


def as_yaml(manifest: Mapping[str, Any]) -> str:
    """Write it as YAML, of which JSON is a part: nothing in a password is read as anything else."""
    return json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"


def _url(user: str, password: str, host: str) -> str:
    return f"redis://{quote(user, safe='')}:{quote(password, safe='')}@{host}/0"
