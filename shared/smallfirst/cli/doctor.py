"""`smallfirst doctor`: what is well with a fleet, what is not, and what to do about it."""

import importlib.util
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import starmap
from math import ceil
from pathlib import Path
from time import time
from typing import Any

import typer
from redis import Redis
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from smallfirst.catalogue import Catalogue, Model
from smallfirst.catalogue.checking import CheckedCatalogue, Finding, check_catalogue
from smallfirst.catalogue.engines import ENGINES
from smallfirst.catalogue.model_files import model_parameters
from smallfirst.catalogue.placement import pool_of
from smallfirst.catalogue.runtimes import RUNTIMES
from smallfirst.catalogue.sizes import format_count
from smallfirst.cli.check import sizes_of
from smallfirst.cli.dead_counts import DeadCounts, count_dead
from smallfirst.cli.fleet_connection import Link, catalogue_state_of, linked, settings_of
from smallfirst.cli.global_options import globals_of
from smallfirst.cli.output import SOME_FAILED, JsonOption, console, print_json
from smallfirst.errors import ModelFilesError, RedisUnfit, SlicesDiffer
from smallfirst.ledger.producers import ProducerRegistry
from smallfirst.ledger.slices import Slice
from smallfirst.ledger.survey import FleetLoad, PoolLoad
from smallfirst.local.catalogue_news import CatalogueState
from smallfirst.local.redis_server import OLDEST_VERSION
from smallfirst.redis_access.refusals import CLUSTER, CLUSTER_REMEDY, refusal_of
from smallfirst.settings import RouterSettings, Settings, load_settings
from smallfirst.wording import counted, numbered

#: Clocks further apart than this make ages and deadlines hard to read.
MAX_CLOCK_SKEW = timedelta(seconds=5)
#: What the extras of no engine bring, by the modules that show it.
ROUTER, LOCAL = ("celery", "kombu", "re2", "stdnum"), ("flower",)


class CheckState(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Check:
    """One thing looked at, and what to do where it is not well."""

    name: str
    state: CheckState
    detail: str
    remedy: str = ""


def doctor(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """Look at everything a fleet needs; exit 1 when something is wrong."""
    settings = settings_of(globals_of(context))
    state = catalogue_state_of(globals_of(context), settings)
    checks = [*examine(settings), *_check_in_force(state)]
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        _show(checks)
    if any(check.state is CheckState.FAIL for check in checks):
        raise typer.Exit(SOME_FAILED)


def examine(settings: Settings) -> Iterator[Check]:
    """Look at the machine, the catalogue, Redis and who is alive, in this order."""
    yield from (_check_extra(extra, packages) for extra, packages in extras().items())
    checked, about = _check_catalogue(settings)
    yield about
    if checked:
        yield from _check_findings(checked)
    catalogue = checked.catalogue if checked else None
    if catalogue:
        yield from _check_choices(catalogue, load_settings(RouterSettings).cache_dir)
    with linked(settings) as link:
        try:
            link.reach()
            for each in link.slices:
                yield from _named(_check_redis(each.redis, settings), each, link)
            yield from check_spread(link)
            yield from _check_fleet(link, catalogue)
        except RedisUnfit as error:
            name = "slices" if isinstance(error, SlicesDiffer) else "redis mode"
            yield Check(name, CheckState.FAIL, error.reason, error.remedy)
        except RedisError as error:
            yield _failed(error, settings)


def _failed(error: RedisError, settings: Settings) -> Check:
    """Say why Redis told no more: it cannot be reached, or this user may not ask."""
    refusal = refusal_of(error)
    if refusal is None:
        remedy = "start one with `smallfirst up`, or name another in SMALLFIRST_REDIS_URL"
        return Check("redis", CheckState.FAIL, f"{settings.redis_address}: {error}", remedy)
    remedy = refusal.remedy
    if isinstance(error, NoPermissionError):
        remedy = (
            "name an administrator of this Redis in SMALLFIRST_REDIS_URL: a doctor looks at all"
        )
    detail = f"{settings.redis_address}: refused: {refusal.reason}"
    return Check("redis", CheckState.FAIL, detail, remedy)


def extras() -> dict[str, tuple[str, ...]]:
    """The modules that each extra brings: of the engines and runtimes, what these need."""
    found: dict[str, tuple[str, ...]] = {"router": ROUTER}
    engines = (engine.implementation for engine in ENGINES.values())
    runtimes = (runtime.implementation for runtime in RUNTIMES.values())
    for code in (*engines, *runtimes):
        before = found.get(code.extras[0], ("celery",))
        found[code.extras[0]] = tuple(dict.fromkeys((*before, *code.packages)))
    return {**found, "local": LOCAL}


def _check_extra(extra: str, packages: Sequence[str]) -> Check:
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if not missing:
        return Check(f"extra {extra}", CheckState.OK, "installed")
    detail = f"not here: {', '.join(missing)}"
    remedy = f"pip install 'smallfirst[{extra}]', where that part of a fleet shall run"
    return Check(f"extra {extra}", CheckState.WARN, detail, remedy)


def _check_catalogue(settings: Settings) -> tuple[CheckedCatalogue | None, Check]:
    if "catalogue" not in settings.model_fields_set and not settings.catalogue.is_file():
        remedy = "where routers or workers run, name it in SMALLFIRST_CATALOGUE"
        return None, Check(
            "catalogue", CheckState.WARN, "none named; a producer needs none", remedy
        )
    checked = check_catalogue(settings.catalogue)
    if checked.catalogue is None:
        remedy = "mend it, or name another in SMALLFIRST_CATALOGUE"
        detail = "\n".join(map(str, checked.findings))
        return None, Check("catalogue", CheckState.FAIL, detail, remedy)
    about = f"{settings.catalogue}: {sizes_of(checked)}"
    return checked, Check("catalogue", CheckState.OK, about)


def _check_in_force(state: CatalogueState | None) -> Iterator[Check]:
    """Say which version of the catalogue the fleet on this machine goes by."""
    if state is None:
        return
    detail = f"revision {state.revision}"
    if not state.rejected:
        yield Check("in force", CheckState.OK, detail)
        return
    reason = f"{detail} stays in force: the file as it stands is rejected"
    yield Check("in force", CheckState.WARN, reason, "mend the file; smallfirst check says what")


def _check_findings(checked: CheckedCatalogue) -> Iterator[Check]:
    """Say what `smallfirst check` does, and where each model that nothing is wrong with runs."""
    for finding in checked.findings:
        state = CheckState.FAIL if finding.is_fatal else CheckState.WARN
        yield Check(_about(finding), state, str(finding.problem), finding.remedy)
    failed = {_about(finding) for finding in checked.fatal}
    catalogue = checked.catalogue
    assert catalogue is not None
    for name, model in catalogue.models.items():
        if f"model {name}" not in failed:
            yield Check(f"model {name}", CheckState.OK, _whereabouts(model, catalogue))


def _check_choices(catalogue: Catalogue, cache: Path) -> Iterator[Check]:
    """Say by what each task is answered whose examples train a head, where a worker here chose."""
    if importlib.util.find_spec("numpy") is None:
        return
    from smallfirst.linear.choice_cards import cards_of, in_words  # noqa: PLC0415 - needs numpy

    for name, task in catalogue.tasks.items():
        for card in cards_of(task, cache):
            yield Check(f"task {name}", CheckState.OK, in_words(card))


def _about(finding: Finding) -> str:
    """Name what a finding is about: `model minilm`, `task topic`."""
    kind, _, rest = finding.problem.where.partition(".")
    name = re.split(r"[.\[]", rest)[0]
    return f"{kind.removesuffix('s')} {name}" if name else "catalogue"


def _whereabouts(model: Model, catalogue: Catalogue) -> str:
    if model.engine_spec.is_in_router:
        return "in the router"
    pool = pool_of(model, catalogue)
    size = f"{format_count(model_parameters(model))} parameters"
    return f"{f'at {model.endpoint}' if model.is_remote else size}, on pool {pool}"


def _check_redis(redis: Redis, settings: Settings) -> Iterator[Check]:
    about: Any = redis.info()
    version = str(about["redis_version"])
    yield Check("redis", CheckState.OK, f"{settings.redis_address}, version {version}")
    if tuple(map(int, version.split(".")[:2])) < OLDEST_VERSION:
        yield Check("redis version", CheckState.FAIL, version, "6.2 or newer is needed")
    if about.get("cluster_enabled") and not settings.redis.is_cluster:
        raise RedisUnfit(settings.redis_address, CLUSTER, CLUSTER_REMEDY)
    if about.get("role") != "master":
        remedy = "name the primary in SMALLFIRST_REDIS_URL"
        yield Check("redis role", CheckState.FAIL, "a replica takes no writes", remedy)
    yield check_persistence(about)
    yield from _check_memory(about)
    yield _check_slow_log(redis)
    yield _check_clock(redis)


def _named(checks: Iterable[Check], of: Slice, link: Link) -> Iterator[Check]:
    """Say of which slice's Redis checks tell, where there are several slices."""
    for check in checks:
        name = f"{check.name} {of.keys.slice}" if len(link.slices) > 1 else check.name
        yield replace(check, name=name)


def check_spread(link: Link) -> Iterator[Check]:
    """Look whether the nodes of a cluster have as many slices each, as far as that is possible."""
    if not link.settings.redis.is_cluster or len(link.slices) == 1:
        return
    connections = [each.redis.get_connection_kwargs() for each in link.slices]
    owners = Counter("{}:{}".format(*each["owner"].place) for each in connections)
    redis: Any = link.redis
    num_nodes = int(redis.execute_command("CLUSTER INFO")["cluster_size"])
    fullest, most = owners.most_common(1)[0]
    detail = f"{len(link.slices)}, on {len(owners)} of {num_nodes} nodes"
    if most <= ceil(len(link.slices) / num_nodes):
        yield Check("slices", CheckState.OK, detail)
    else:
        remedy = "move the slot of one to another node; smallfirst slices list has the slots"
        yield Check("slices", CheckState.WARN, f"{detail}, {most} on {fullest}", remedy)


def check_persistence(about: Mapping[str, Any]) -> Check:
    """Look whether what Redis confirmed survives it, and whether it has answered ahead of its file.

    With `appendfsync everysec` it writes up to two seconds late while the disk is still busy.
    Source: `flushAppendOnlyFile` in Redis's aof.c.
    """
    if num_delayed := about.get("aof_delayed_fsync", 0):
        return Check(
            "persistence",
            CheckState.WARN,
            f"append-only file, written {num_delayed:,} times later than what it confirmed",
            "a faster disk for Redis; or CONFIG SET appendfsync always, and the same in redis.conf",
        )
    if about.get("aof_enabled"):
        return Check("persistence", CheckState.OK, "append-only file")
    remedy = "CONFIG SET appendonly yes, and the same in redis.conf"
    return Check(
        "persistence", CheckState.WARN, "a restart of Redis forgets jobs in flight", remedy
    )


def _check_memory(about: Mapping[str, Any]) -> Iterator[Check]:
    policy = about.get("maxmemory_policy", "unknown")
    if policy == "noeviction":
        yield Check("eviction", CheckState.OK, "none")
    else:
        remedy = "CONFIG SET maxmemory-policy noeviction, and the same in redis.conf"
        yield Check("eviction", CheckState.FAIL, f"{policy} may throw jobs away", remedy)
    used, most = about.get("used_memory", 0), about.get("maxmemory", 0)
    if not most:
        remedy = "CONFIG SET maxmemory 1gb, say, so that Redis refuses before the machine kills it"
        yield Check("memory", CheckState.WARN, "unbounded", remedy)
    elif used > 0.8 * most:
        remedy = "raise maxmemory, add workers, or keep results for less long"
        yield Check("memory", CheckState.WARN, f"{used / most:.0%} of maxmemory used", remedy)
    else:
        yield Check("memory", CheckState.OK, f"{used / most:.0%} of {most / 2**20:,.0f} MiB used")


def _check_slow_log(redis: Redis) -> Check:
    """Look whether Redis writes slow commands down, with the first characters of their texts."""
    name, setting = "slow log", "slowlog-log-slower-than"
    remedy = f"CONFIG SET {setting} -1, and the same in redis.conf or the service's parameters"
    try:
        found: Any = redis.config_get(setting)
    except ResponseError:
        detail = f"this user may not ask for {setting}: whether texts are logged cannot be told"
        return Check(name, CheckState.WARN, detail, f"ask who runs this Redis; {remedy}")
    if int(found.get(setting, 0)) < 0:
        return Check(name, CheckState.OK, "off")
    return Check(name, CheckState.WARN, "slow commands are logged, texts and all", remedy)


def _check_clock(redis: Redis) -> Check:
    before = time()
    seconds, micros = redis.time()
    skew = abs(seconds + micros / 1e6 - (before + time()) / 2)
    if skew <= MAX_CLOCK_SKEW.total_seconds():
        return Check("clock", CheckState.OK, "agrees with Redis's")
    remedy = "synchronise both machines; the fleet itself goes by Redis's clock"
    return Check("clock", CheckState.WARN, f"{skew:.0f} s apart from Redis's", remedy)


def _check_fleet(link: Link, catalogue: Catalogue | None) -> Iterator[Check]:
    load = link.survey().look(_used_pools(catalogue))
    if load.routers:
        yield Check("routers", CheckState.OK, f"{load.routers} alive")
    else:
        yield Check(
            "routers", CheckState.FAIL, "none is alive, jobs wait", "start one: smallfirst up"
        )
    yield _check_submissions(link.slices, load.producers)
    registries = (ProducerRegistry(each.redis, each.keys) for each in link.slices)
    strangers = sum((Counter(each.strangers()) for each in registries), Counter[str]())
    yield _check_producers(load, strangers)
    yield from starmap(_check_pool, load.pools.items())
    yield _check_dead(count_dead(link.slices))


def _check_dead(counts: DeadCounts) -> Check:
    """Warn of jobs that were given up; a refusal is its producer's to mend."""
    if counts.given_up:
        remedy = "smallfirst dead list says why"
        return Check("dead letters", CheckState.WARN, str(counts), remedy)
    return Check("dead letters", CheckState.OK, str(counts) if counts.refused else "none")


def _check_submissions(slices: Iterable[Slice], producers: Iterable[str]) -> Check:
    told = [_destroyed(each, name) for name in producers for each in slices]
    count, at = sum(each[1] for each in told), max(each[2] for each in told)
    if not count:
        return Check("submissions", CheckState.OK, "none was destroyed")
    when = datetime.fromtimestamp(at, UTC).isoformat(sep=" ", timespec="seconds")
    remedy = (
        "find who trims the stream of submissions (XADD with MAXLEN or MINID, XTRIM, XDEL);"
        " producers submit again, under the same ids"
    )
    whose = ", ".join(dict.fromkeys(name for name, number, _ in told if number))
    jobs = numbered(count, "confirmed job was", "confirmed jobs were")
    detail = f"{jobs} destroyed unsettled, of {whose}; the last seen at {when}"
    return Check("submissions", CheckState.WARN, detail, remedy)


def _destroyed(of: Slice, producer: str) -> tuple[str, int, int]:
    """Whose submissions were destroyed in a slice, how many, and when the last."""
    key = of.keys.of_producer(producer).submissions
    found: Any = of.redis.hmget(key, "destroyed", "destroyed_at")
    return producer, int(found[0] or 0), int(found[1] or 0)


def _check_producers(load: FleetLoad, strangers: Mapping[str, int]) -> Check:
    """Jobs of a producer that is not registered are read by nobody, and nobody is told."""
    waiting = {name: count for name, count in strangers.items() if count}
    if not waiting:
        return Check("producers", CheckState.OK, f"{len(load.producers)} registered")
    jobs = ", ".join(f"{count} of {name}" for name, count in waiting.items())
    remedy = f"smallfirst producer add {next(iter(waiting))}"
    detail = f"jobs that nobody reads, since their producer is not registered: {jobs}"
    return Check("producers", CheckState.FAIL, detail, remedy)


def _check_pool(name: str, pool: PoolLoad) -> Check:
    num_jobs = pool.total.num_jobs
    jobs = numbered(num_jobs, "job waits", "jobs wait")
    detail = f"{counted(pool.workers, 'worker')} alive, {jobs}"
    if pool.workers:
        return Check(f"pool {name}", CheckState.OK, detail)
    state = CheckState.FAIL if num_jobs else CheckState.WARN
    return Check(f"pool {name}", state, detail, "start one: smallfirst up")


def _used_pools(catalogue: Catalogue | None) -> list[str]:
    """Name the pools on which a model is placed, as far as the sizes are known."""
    if catalogue is None:
        return []
    used = set()
    for model in catalogue.models.values():
        try:
            used.add(pool_of(model, catalogue))
        except (ModelFilesError, ValueError):
            continue
    return [pool for pool in catalogue.pools if pool in used]


_COLOURS = {CheckState.OK: "green", CheckState.WARN: "yellow", CheckState.FAIL: "red"}


def _show(checks: list[Check]) -> None:
    out = console()
    for check in checks:
        out.print(f"[{_COLOURS[check.state]}]{check.state:<4}[/]", end="  ")
        out.print(f"{check.name:<14} {check.detail}", markup=False, soft_wrap=True)
        if check.remedy and check.state is not CheckState.OK:
            out.print(f"      {'':<14} {check.remedy}", markup=False, soft_wrap=True, style="dim")
