"""Fields that settings have in common: their types, their bounds, how they are read."""

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from smallfirst.redis_access.address import RedisAddress

PREFIX: Final = "SMALLFIRST_"
#: Each costs every router and worker connections and commands, at rest too.
MAX_SLICES: Final = 8
DAY_SECONDS: Final = 86_400


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _redis_url(url: SecretStr) -> SecretStr:
    """Check the form of the address. No message may quote it: it holds the password."""
    RedisAddress.parse(url.get_secret_value())
    return url


def expanded(path: Path) -> Path:
    """Read `~` as the home of this user.

    Raises:
        ValueError: When the user has none.
    """
    try:
        return path.expanduser()
    except RuntimeError:
        # A container run under a number that is no user of its image has no home.
        raise ValueError("must be an absolute path, since this user has no home") from None


def networks(written: str) -> str:
    """See that a setting names addresses or networks.

    Raises:
        ValueError: When it names anything else.
    """
    for each in written.split(","):
        try:
            if each.strip():
                ip_network(each.strip())
        except ValueError:
            raise ValueError(
                "must hold addresses or networks, such as 10.0.0.0/8, commas between them"
            ) from None
    return written


#: An address of pages, without a query.
ADDRESS_PATTERN: Final = r"^https?://[^\s/?#]+(/[^\s?#]*)?$"
RedisUrl = Annotated[SecretStr, AfterValidator(_redis_url)]
LogLevel = Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)]
LogFormat = Annotated[Literal["auto", "console", "json"], BeforeValidator(_lower)]
TtlSeconds = Annotated[int, Field(ge=60, le=366 * DAY_SECONDS)]
LeaseSeconds = Annotated[float, Field(ge=1, le=3600)]
TimeoutSeconds = Annotated[float, Field(gt=0, le=300)]
HealthDir = Annotated[
    Path | None,
    Field(
        description=(
            "The folder of the files `alive` and `ready` for `python -m smallfirst.health`; each"
            " process needs its own. Where it is not set, none are written."
        )
    ),
]
