"""Every setting of every component: one frozen class each, read from `SMALLFIRST_*` variables.

A value comes from the command line, else from the environment, else from a file of the secrets
directory (`smallfirst_redis_url`), else it is the default here. An empty variable counts as unset.
One environment may serve all components: each takes what is its own, and a name that none of them
knows is refused, since a setting that does nothing is worse than an error.
"""

import os
import re
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Final, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from smallfirst.errors import SettingsError, SettingsProblem
from smallfirst.jobs import DEFAULT_PRODUCER, Name
from smallfirst.ledger.producers import Weight
from smallfirst.redis_access.address import RedisAddress
from smallfirst.wording import nearest, plain_rule

PREFIX: Final = "SMALLFIRST_"
#: Where Docker and Kubernetes put secrets as files.
SECRETS_DIR: Final = Path("/run/secrets")
#: Variables with our prefix that are no component's setting: where tests find public data.
OTHER_VARIABLES: Final = frozenset({"SMALLFIRST_DATA"})

#: Each costs every router and worker connections and commands, at rest too.
MAX_SLICES: Final = 8
DAY_SECONDS: Final = 86_400
#: What Kubernetes adds to every container for a Service whose name begins with `smallfirst`.
#: Source: https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_SERVICE_LINK = re.compile(r"SMALLFIRST_(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?)")
_SERVICE_PORT = re.compile(r"SMALLFIRST_(?:\w+_)?PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_\w+)?)?")


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _redis_url(url: SecretStr) -> SecretStr:
    """Check the form of the address. No message may quote it: it holds the password."""
    RedisAddress.parse(url.get_secret_value())
    return url


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:
        # A container run under a number that is no user of its image has no home.
        raise ValueError("must be an absolute path, since this user has no home") from None


def _networks(written: str) -> str:
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
_ADDRESS_PATTERN: Final = r"^https?://[^\s/?#]+(/[^\s?#]*)?$"
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


class Settings(BaseSettings):
    """What every component needs."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        validate_default=True,
        allow_inf_nan=False,
    )

    redis_url: RedisUrl = Field(
        default=SecretStr("redis://127.0.0.1:6379/0"),
        description=(
            "The address of the fleet's Redis: redis:// or rediss:// (TLS); or of the"
            " Sentinels that know it: redis+sentinel://HOST:PORT,HOST:PORT/MASTER,"
            " rediss+sentinel://; or of some nodes of a cluster: redis+cluster://HOST:PORT,HOST:PORT,"
            " rediss+cluster://."
        ),
    )
    broker_url: RedisUrl | None = Field(
        default=None,
        description="The address of the Redis that carries Celery's lists, where that is another"
        " than the fleet's: needed beside a cluster, which Celery knows nothing of.",
    )
    slices: int = Field(
        default=1,
        ge=1,
        le=MAX_SLICES,
        description="The number of slices of the fleet, each of which is on one node of a cluster;"
        " all parts of a fleet, and its producers, need the same. Bounds on what waits, and on what"
        " is kept, are shared out among them.",
    )
    namespace: Name = Field(
        default="sf",
        description="The prefix of every key; fleets that share a Redis need one each.",
    )
    catalogue: Path = Field(default=Path("catalogue.yaml"), description="The catalogue's file.")
    log_level: LogLevel = Field(
        default="info", description="The least severe level that is logged."
    )
    log_format: LogFormat = Field(
        default="auto",
        description="The form of the log; `auto` is console where stderr is a terminal, else JSON.",
    )
    result_ttl_seconds: TtlSeconds = Field(
        default=DAY_SECONDS, description="The time for which a result can be fetched."
    )
    job_ttl_seconds: TtlSeconds = Field(
        default=7 * DAY_SECONDS,
        description="The time after which a job without a deadline expires.",
    )
    socket_timeout_seconds: TimeoutSeconds = Field(
        default=10.0, description="The longest wait for Redis's answer to one command."
    )
    connect_timeout_seconds: TimeoutSeconds = Field(
        default=3.0, description="The longest wait for a connection to Redis."
    )

    @field_validator("broker_url")
    @classmethod
    def _broker_is_no_cluster(cls, url: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        """Celery's transport knows no cluster; so beside one, its Redis is another."""
        fleet = info.data.get("redis_url")
        broker = url or fleet
        if broker and RedisAddress.parse(broker.get_secret_value()).is_cluster:
            raise ValueError("must be the address of one Redis that is no cluster, for Celery")
        return url

    @property
    def redis_address(self) -> str:
        """Where Redis is, without user, password and options: fit for a log."""
        return self.redis.shown

    @property
    def redis(self) -> RedisAddress:
        """The address in parts, password included."""
        return RedisAddress.parse(self.redis_url.get_secret_value())

    @property
    def broker(self) -> RedisAddress:
        """The address of Celery's Redis in parts, password included."""
        return RedisAddress.parse((self.broker_url or self.redis_url).get_secret_value())


class ProducerSettings(Settings):
    """What whoever submits jobs needs besides: the client, and the commands that stand for one."""

    producer: Name = Field(
        default=DEFAULT_PRODUCER,
        description="The name of the producer whose jobs are submitted and looked up.",
    )


class MetricsSettings(Settings):
    """What every component needs that Prometheus reads."""

    metrics_host: str = Field(
        default="127.0.0.1", min_length=1, description="The address on which metrics are served."
    )
    metrics_port: int | None = Field(
        default=None,
        ge=1,
        le=65_535,
        description="The port on which metrics are served. Where it is not set, no port is opened.",
    )


class TracedSettings(MetricsSettings):
    """What every component needs that a job comes by."""

    tracing: bool = Field(
        default=False,
        description="Whether spans are sent, over OTLP, to where OTEL_EXPORTER_OTLP_ENDPOINT says.",
    )


CacheDir = Annotated[Path, AfterValidator(_expanded)]
#: Where what is made once is kept, if nobody says.
CACHE_DIR: Final = Path("~/.cache/smallfirst")


class RouterSettings(TracedSettings):
    """What a router needs besides."""

    producers: dict[Name, Weight] = Field(
        default={},
        description="The producers that a router registers when it starts, as JSON: the weight of"
        " each by its name. Others that are registered stay.",
    )
    read_count: int = Field(
        default=500, ge=1, le=10_000, description="The most jobs in one read, of all streams."
    )
    read_bytes: int = Field(
        default=8_388_608,
        ge=65_536,
        le=268_435_456,
        description="The bytes of a stream's entries that are enough for one read; what it holds in"
        " memory is several times as much.",
    )
    lease_seconds: LeaseSeconds = Field(
        default=6.0, description="The time for which a claim holds unless it is renewed."
    )
    queue_timeout_seconds: float = Field(
        default=60.0,
        ge=1,
        le=86_400,
        description="The time that a published batch may wait for a worker before it is sent"
        " again.",
    )
    max_backlog_jobs: int = Field(
        default=5000,
        ge=1,
        le=100_000_000,
        description="The most jobs of one priority that wait for one pool. Beyond it, new ones that"
        " may come to it wait in their producer's stream, from where producers are served in fair"
        " shares; so the bound is also how many jobs are ahead of a producer that has just come.",
    )
    max_job_bytes: int = Field(
        default=1_048_576,
        ge=1024,
        le=16_777_216,
        description="The largest submission that is read, in bytes of JSON.",
    )
    cache_dir: CacheDir = Field(
        default=CACHE_DIR,
        description="The folder in which linear models are kept that were trained from examples.",
    )
    hold_jobs: int = Field(
        default=4096,
        ge=1,
        le=100_000,
        description="The most jobs of one priority that a router holds to form a pool's batches"
        " from.",
    )
    max_starts: int = Field(
        default=5,
        ge=1,
        le=100,
        description="The number of starts of a job before it becomes a dead letter.",
    )
    dead_ttl_seconds: TtlSeconds = Field(
        default=7 * DAY_SECONDS, description="The time for which a dead letter can be replayed."
    )
    max_dead: int = Field(
        default=10_000, ge=1, le=1_000_000, description="The most dead letters that are kept."
    )
    max_dead_bytes: int = Field(
        default=67_108_864,
        ge=0,
        le=1_099_511_627_776,
        description="The most bytes of submissions that are kept behind dead letters; the oldest go"
        " first, and their letters stay.",
    )
    health_dir: HealthDir = None

    def of_one_slice(self) -> Self:
        """The share of one slice in every bound of the fleet's, or of this process's.

        Ids spread jobs evenly, and so a slice fills up when all do.
        """
        bounds = ("max_backlog_jobs", "max_dead", "max_dead_bytes", "read_bytes", "hold_jobs")
        shares = {name: -(-getattr(self, name) // self.slices) for name in bounds}
        return self.model_copy(update=shares)


class WorkerSettings(TracedSettings):
    """What a worker needs besides."""

    pool: Name = Field(description="The name of the catalogue's pool that this worker serves.")
    threads: int = Field(
        default=1, ge=1, le=256, description="The number of processor threads of one forward pass."
    )
    lease_seconds: LeaseSeconds = Field(
        default=6.0, description="The time for which a claim holds unless it is renewed."
    )
    cache_dir: CacheDir = Field(
        default=CACHE_DIR,
        description="The folder in which trained heads and converted models are kept.",
    )
    heartbeat_seconds: float = Field(
        default=2.0,
        gt=0,
        le=3,
        description="The time between two signs of life; after 7 silent seconds a worker counts as"
        " dead.",
    )

    pass_seconds: float = Field(
        default=300.0,
        ge=1,
        le=86_400,
        description="The longest wait for a pass's next answers before the worker ends itself;"
        " remote models wait for their endpoint without it.",
    )
    health_dir: HealthDir = None

    @field_validator("heartbeat_seconds")
    @classmethod
    def _beats_within_a_lease(cls, seconds: float, info: ValidationInfo) -> float:
        if seconds >= info.data.get("lease_seconds", seconds + 1):
            raise ValueError(f"must be less than {PREFIX}LEASE_SECONDS")
        return seconds


class ExporterSettings(MetricsSettings):
    """What the exporter of metrics needs besides."""

    metrics_port: int = Field(
        default=9464, ge=1, le=65_535, description="The port on which metrics are served."
    )


class DeskSettings(Settings):
    """What the review desk needs besides."""

    desk_host: str = Field(
        default="127.0.0.1", min_length=1, description="The address on which the desk is served."
    )
    desk_port: int = Field(
        default=8470, ge=1, le=65_535, description="The port on which the desk is served."
    )
    desk_users: Annotated[Path, AfterValidator(_expanded)] = Field(
        default=Path("desk-users.yaml"),
        description="The file of those who may sign in, YAML or JSON; `smallfirst desk add-user`"
        " writes it.",
    )
    desk_secret: Annotated[SecretStr, Field(min_length=32)] | None = Field(
        default=None,
        description="The key by which sessions are signed, 32 characters or more; all desks of a"
        " fleet share it. Where it is not set, each start makes one, and people sign in anew.",
    )
    desk_lease_seconds: float = Field(
        default=120.0,
        ge=2,
        le=600,
        description="The time for which a person has a job in hand; an open page renews it.",
    )
    desk_undo_seconds: float = Field(
        default=5.0,
        ge=0,
        le=60,
        description="The time for which a decision may be taken back, and its result waits.",
    )
    desk_session_hours: float = Field(
        default=12.0, gt=0, le=720, description="The time after which people sign in anew."
    )
    desk_answers: Annotated[Path, AfterValidator(_expanded)] | None = Field(
        default=None,
        description="The folder in which answers are kept as rows, texts and all, for `smallfirst"
        " export`. Where it is not set, none are.",
    )
    desk_log: Annotated[Path, AfterValidator(_expanded)] | None = Field(
        default=None,
        description="The folder in which it is recorded who did what to which job, without a text,"
        " for `smallfirst desk verify-log`; desks may share it. Where it is not set, nothing is.",
    )
    desk_https: bool = Field(
        default=False,
        description="Whether people reach the desk over HTTPS alone, so that its cookies are sent"
        " over nothing else.",
    )
    desk_url: Annotated[str, StringConstraints(pattern=_ADDRESS_PATTERN)] | None = Field(
        default=None,
        description="The address under which people reach the desk, such as"
        " https://desk.example.com; needed where they sign in at a provider.",
    )
    desk_proxy_header: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]+$")] | None = Field(
        default=None,
        description="The header in which a trusted proxy, that has signed people in, says who asks;"
        " where it is not set, no header says so.",
    )
    desk_proxy_from: Annotated[str, AfterValidator(_networks)] = Field(
        default="",
        description="The addresses or networks of that proxy, commas between them; from nobody"
        " else the header is believed.",
    )
    desk_oidc_issuer: Annotated[str, StringConstraints(pattern=_ADDRESS_PATTERN)] | None = Field(
        default=None,
        description="The provider of OpenID Connect at which people sign in, by its own name, such"
        " as https://id.example.com/realm.",
    )
    desk_oidc_client_id: Annotated[str, Field(min_length=1)] | None = Field(
        default=None, description="The desk's name at that provider."
    )
    desk_oidc_secret_file: Annotated[Path, AfterValidator(_expanded)] | None = Field(
        default=None,
        description="The file with the desk's secret at that provider; none for a public client.",
    )
    desk_oidc_claim: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_:./-]+$")] = Field(
        default="sub",
        description="The claim that names a person; it is compared with `known_as` in the file of"
        " users, or else with the name.",
    )
    health_dir: HealthDir = None


#: Every component's class; a variable is known if one of them has it.
COMPONENTS: Final[tuple[type[Settings], ...]] = (
    Settings,
    ProducerSettings,
    RouterSettings,
    WorkerSettings,
    ExporterSettings,
    DeskSettings,
)

S = TypeVar("S", bound=Settings)


def load_settings(cls: type[S], secrets_dir: Path = SECRETS_DIR, /, **overrides: object) -> S:
    """Read one component's settings, once, at its entry point.

    Args:
        cls: The class of the component's settings.
        secrets_dir: The folder in which secrets lie as files; it need not exist.
        overrides: Values by field from the command line; None stands for not given.

    Raises:
        SettingsError: When a variable is unknown, missing or wrong; it never holds a value.
    """
    folder = secrets_dir if secrets_dir.is_dir() else None
    problems = list(_unknown_variables(folder))
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        settings = cls(_secrets_dir=folder, **given)  # type: ignore[arg-type]
    except ValidationError as err:
        details = err.errors(include_url=False)
        problems += [
            SettingsProblem(variable_of(str(detail["loc"][0])), plain_rule(detail))
            for detail in details
        ]
    if problems:
        raise SettingsError(*problems)
    return settings


def variable_of(field: str) -> str:
    """Name the environment variable of a field."""
    return PREFIX + field.upper()


def known_variables() -> frozenset[str]:
    """List every variable that some component reads."""
    return frozenset(variable_of(field) for cls in COMPONENTS for field in cls.model_fields)


def _unknown_variables(secrets_dir: Path | None) -> Iterator[SettingsProblem]:
    known = known_variables()
    for variable in sorted(set(_given_variables(secrets_dir)) - known - OTHER_VARIABLES):
        # The prefix, which all names share, would make all of them look alike.
        near = nearest(variable.removeprefix(PREFIX), [name.removeprefix(PREFIX) for name in known])
        meant = f", did you mean {PREFIX + near!r}?" if near else ""
        yield SettingsProblem(variable, f"no such setting{meant}")


def _given_variables(secrets_dir: Path | None) -> Iterator[str]:
    """List what is set, names in upper case, without what Kubernetes adds for its Services."""
    for name, value in os.environ.items():
        if not _is_service_link(name, value):
            yield from (name.upper(),) if name.upper().startswith(PREFIX) else ()
    for file in secrets_dir.iterdir() if secrets_dir else ():
        if file.name.upper().startswith(PREFIX):
            yield file.name.upper()


def _is_service_link(name: str, value: str) -> bool:
    if _SERVICE_LINK.fullmatch(name):
        return True
    is_address = value.startswith(("tcp://", "udp://", "sctp://")) or bool(
        re.search(r"_\d+_(TCP|UDP|SCTP)_(PROTO|PORT|ADDR)$", name)
    )
    return is_address and bool(_SERVICE_PORT.fullmatch(name))
