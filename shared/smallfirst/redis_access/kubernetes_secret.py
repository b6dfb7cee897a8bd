"""The Secret of the chart's Redis, or of another: users, passwords, addresses. Pure.

Its keys are those that the chart makes where it draws the passwords itself.
"""

import json
import secrets
import string
from collections.abc import Mapping, Sequence
from typing import Any

from smallfirst.redis_access.acl import acl_file
from smallfirst.redis_access.address import RedisAddress
from smallfirst.redis_access.users import Role

_LENGTH = 32


def drawn_password() -> str:
    """Draw a password of letters and digits, which no address has to escape: 190 bits."""
    letters = string.ascii_letters + string.digits
    return "".join(secrets.choice(letters) for _ in range(_LENGTH))


def secret_manifest(
    name: str,
    namespace: str,
    address: RedisAddress,
    passwords: Mapping[str, Sequence[str]],
    *,
    broker: RedisAddress | None = None,
) -> dict[str, Any]:
    """Write the Secret, as `kubectl apply` takes it.

    Args:
        name: Of the Secret.
        namespace: Of the fleet, not of Kubernetes.
        address: Of Redis as pods find it, with no user.
        passwords: Of each user one, or two while one is changed for the other.
        broker: Of the plain Redis that has Celery's lists, beside a cluster.
    """
    keys = {"users.acl": acl_file(namespace, passwords)}
    for user, (first, *others) in sorted(passwords.items()):
        keys |= {f"{user}-password": first, f"{user}-url": address.as_user(user, first)}
        if broker is not None:
            keys |= {f"broker-{user}-url": broker.as_user(user, first)}
        for second in others:
            keys |= {f"{user}-second-password": second}
            keys |= {f"{user}-second-url": address.as_user(user, second)}
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
