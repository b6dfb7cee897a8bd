"""Whether an endpoint's host is private: whether what goes there without TLS stays among ourselves.

Judged by the name alone, since a catalogue is read where the host may not be known.
"""

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

#: Ends of names that no public registry gives out. Source: RFC 6761 (localhost), RFC 6762 (local),
#: RFC 8375 (home.arpa), ICANN's resolution of July 2024 (internal); `svc` and `cluster.local` are
#: Kubernetes's.
_PRIVATE_ENDS: Final = (".localhost", ".local", ".internal", ".home.arpa", ".svc")
#: A name without a dot, such as a service's of Compose or Kubernetes; it has a letter first, since
#: 134744072 is the address 8.8.8.8 to many a client.
_SINGLE_LABEL: Final = re.compile(r"[a-z][a-z0-9_-]*")


def needs_tls(url: str) -> bool:
    """Whether what is sent to an endpoint would go unencrypted through networks of strangers."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").removesuffix(".")
    except ValueError:
        return True
    return parts.scheme == "http" and not is_private(host)


def is_private(host: str) -> bool:
    """Whether a host is of this machine or of a network that is not the public one."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return bool(_SINGLE_LABEL.fullmatch(host)) or host.endswith(_PRIVATE_ENDS)
    mapped = getattr(address, "ipv4_mapped", None)
    return not (mapped or address).is_global
