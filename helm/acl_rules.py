"""Writes what each role may do in Redis into the chart, from the one place that says it.

The chart's own Redis gets it as its access control file, with namespace, producers, pools and
passwords filled in.
`python helm/acl_rules.py` writes the file; a test checks that it is current.
"""

from pathlib import Path

import yaml

from smallfirst.redis_access.acl import rules
from smallfirst.redis_access.users import Role, producer_user, worker_user

TARGET = Path(__file__).parent / "smallfirst" / "files" / "redis-acl.yaml"
#: Stands for the namespace until the chart is rendered; no command or key holds a capital letter.
PLACEHOLDER = "NAMESPACE"
#: A producer, or a pool, whose name is found in its rules, and nowhere else.
_SOMEBODY = "somebody"
_HEAD = "# Written by helm/acl_rules.py from smallfirst.redis_access.acl; not to be edited.\n"


def written() -> str:
    """What the file must hold."""
    users = {str(role): " ".join(rules(role, PLACEHOLDER)) for role in Role}
    for user, name in ((producer_user, "PRODUCER"), (worker_user, "POOL")):
        named = " ".join(rules(user(_SOMEBODY), PLACEHOLDER))
        users[user(name)] = named.replace(_SOMEBODY, name)
    # In a cluster each pool's workers have a user of their own.
    del users[Role.WORKER]
    return _HEAD + yaml.safe_dump(users, width=10_000)


if __name__ == "__main__":
    TARGET.write_text(written(), "utf-8")
