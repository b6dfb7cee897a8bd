"""What each component of a fleet is set by, but for the review desk."""

from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from smallfirst.jobs import DEFAULT_PRODUCER, Name, is_name
from smallfirst.ledger.producers import Weight
from smallfirst.redis_access.address import RedisAddress
from smallfirst.settings.fields import (
    DAY_SECONDS,
    MAX_SLICES,
    PREFIX,
    HealthDir,
    LeaseSeconds,
    LogFormat,
    LogLevel,
    RedisUrl,
    TimeoutSeconds,
    TtlSeconds,
    expanded,
)


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


CacheDir = Annotated[Path, AfterValidator(expanded)]
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


def _pools(value: str) -> str:
    """Refuse what is no list of pools' names."""
    for name in filter(None, value.split(",")):
        if not is_name(name):
            raise ValueError(
                f"must be names of pools with commas between them, and {name!r} is none"
            )
    return value


class FlowerSettings(Settings):
    """What Flower needs besides, to show the queues of pools."""

    flower_pools: Annotated[str, AfterValidator(_pools)] = Field(
        default="",
        description="The names of the pools whose queues Flower's page of the broker shows, commas"
        " between them.",
    )

    @property
    def pools(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(filter(None, self.flower_pools.split(",")))
