"""A trusted proxy: it has signed people in before, and says in a header who asks.

Only what comes from the proxy's own addresses is believed; from anybody else the header is nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from starlette.requests import Request

Network = IPv4Network | IPv6Network
#: The longest name of a person that is looked for.
MAX_KNOWN_CHARS: Final = 255


def networks_of(written: str) -> tuple[Network, ...]:
    """Read addresses or networks, commas between them.

    Raises:
        ValueError: When one is none.
    """
    return tuple(ip_network(each.strip()) for each in written.split(",") if each.strip())


@dataclass(frozen=True)
class TrustedProxy:
    """Which header is believed, and from whom.

    Attributes:
        header: The header's name.
        networks: Where the proxy is.
    """

    header: str
    networks: Sequence[Network]

    def person_of(self, request: Request) -> str | None:
        """As whom the proxy knows who asks; None where it is not the proxy, or says nothing.

        A header that comes twice says nothing: one of the two may be a stranger's own.
        """
        said = request.headers.getlist(self.header)
        if len(said) != 1 or not self._is_proxy(request):
            return None
        person = said[0].strip()
        return person if 0 < len(person) <= MAX_KNOWN_CHARS else None

    def _is_proxy(self, request: Request) -> bool:
        try:
            address = ip_address(request.client.host if request.client else "")
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self.networks)
