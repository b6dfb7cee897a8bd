"""A fleet in discrete events, by SimPy: what its parts cost, how they wait for each other.

Times are seconds, costs microseconds of CPU a job, as the other benchmarks measured them. A job is
a row of two numbers: when it was submitted, and its fate, drawn evenly from 0 to 1, which says at
which step of its cascade it ends.
"""

import json
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import simpy
from numpy.typing import NDArray

Jobs = NDArray[np.float64]
#: What a process of the simulation waits for, one after the other.
Course = Generator[simpy.Event, Any, None]

_RESULTS = Path(__file__).parent / "results"
_MICRO = 1e-6
#: The most jobs of one read, and of one batch, as the settings have them.
MOST_READ, MOST_IN_BATCH = 500, 128
#: How often new jobs are let in, and how long a router waits that finds nothing.
TICK, PAUSE = 0.005, 0.002
#: Batches that wait for each core of a pool, besides the one that it runs.
AHEAD = 1
#: Prompts that a large model's engine reads side by side.
SLOTS = 64
#: Prompts a second of an 8-billion model on one H100 with 45 % of its memory; the median of
#: results/llm_throughput_gpu.md.
PROMPTS_A_SECOND = 41.6


@dataclass(frozen=True)
class Mix:
    """The share of jobs that ends at each step; the rest is people's."""

    rule: float = 0.25
    linear: float = 0.35
    small: float = 0.345
    large: float = 0.05

    @property
    def ends(self) -> tuple[float, float, float, float]:
        """The fate below which a job has ended, after each step."""
        ends = np.cumsum([self.rule, self.linear, self.small, self.large])
        return ends[0], ends[1], ends[2], ends[3]


@dataclass(frozen=True)
class Costs:
    """Microseconds of CPU a job, and of a round besides.

    Attributes:
        rule, linear: Of the router, where one of these answers.
        dispatch: Of the router, triage and dispatch of a job for a model.
        round: Of the router, for each read, whatever it finds.
        worker: Of a core that runs the small model.
        redis_rule, redis_linear: Of the slice's Redis, where one of these answers.
        redis_dispatch, redis_worker: Of the slice's Redis, from a submission to a published batch,
            and from there to a result that was read.
        message: Of the broker's Redis, for a message of one batch.
    """

    rule: float
    linear: float
    dispatch: float
    round: float
    worker: float
    redis_rule: float
    redis_linear: float
    redis_dispatch: float
    redis_worker: float
    message: float

    @classmethod
    def measured(cls) -> "Costs":
        """Those of the last runs of `router_speed` and `speed`.

        What a round costs is what a job costs that comes alone, less what it costs among many. A
        message is taken to cost its Redis as much as such a job costs the slice's.
        """
        router: Any = _numbers("router_speed")
        fleet = _medians(next(e for e in _numbers("speed_banking77") if e["name"] == "fleet"))
        rule, alone, linear, dispatch = (
            router[name]
            for name in (
                "a rule answers",
                "a rule answers, one at a time",
                "a linear model answers",
                "triage and dispatch",
            )
        )
        return cls(
            rule=rule["router"],
            linear=linear["router"],
            dispatch=max(dispatch["router"], fleet["router"]),
            round=alone["router"] - rule["router"],
            worker=fleet["worker"],
            redis_rule=rule["redis"],
            redis_linear=linear["redis"],
            redis_dispatch=dispatch["redis"],
            redis_worker=fleet["redis"] - dispatch["redis"],
            message=alone["redis"],
        )


def _numbers(name: str) -> Any:
    return json.loads((_RESULTS / f"{name}.json").read_text("utf-8"))


def _medians(contestant: Mapping[str, Any]) -> dict[str, float]:
    rounds = contestant["cpu_us"]
    return {part: float(np.median([each[part] for each in rounds])) for part in rounds[0]}


@dataclass(frozen=True)
class Sizes:
    """How many of each there are."""

    slices: int
    routers: int
    cores: int
    gpus: int


class Waiting:
    """Jobs that wait, the oldest first."""

    def __init__(self) -> None:
        self._parts: deque[Jobs] = deque()
        self.number = 0

    def put(self, jobs: Jobs) -> None:
        """Add jobs behind all others."""
        if len(jobs):
            self._parts.append(jobs)
            self.number += len(jobs)

    def take(self, most: int) -> Jobs:
        """Take the oldest, so many at most."""
        taken: list[Jobs] = []
        room = most
        while self._parts and room:
            part = self._parts.popleft()
            taken.append(part[:room])
            if len(part) > room:
                self._parts.appendleft(part[room:])
            room -= len(taken[-1])
        self.number -= most - room
        return np.concatenate(taken) if taken else np.empty((0, 2))


class Server:
    """Something that serves one at a time, such as a Redis or a router's interpreter."""

    def __init__(self, env: simpy.Environment) -> None:
        self._env = env
        self._one = simpy.Resource(env, 1)
        self.busy = 0.0

    def work(self, microseconds: float) -> Course:
        """Wait for it, and have it for so long."""
        with self._one.request() as turn:
            yield turn
            yield self._env.timeout(microseconds * _MICRO)
            self.busy += microseconds * _MICRO


@dataclass
class Slice:
    """A part of the ledger: its Redis, and what waits there."""

    redis: Server
    submitted: Waiting = field(default_factory=Waiting)
    escalated: Waiting = field(default_factory=Waiting)
    for_small: Waiting = field(default_factory=Waiting)
    for_large: Waiting = field(default_factory=Waiting)


@dataclass(frozen=True)
class Outcome:
    """What a simulation came to.

    Attributes:
        waits: Seconds from submission to result, by where a job ended.
        router, redis, cores, gpus, broker: Busy shares; of Redis the busiest slice's.
        mean_batch: Jobs in a batch of the small model.
        left: Jobs that wait at the end, as seconds of arrivals.
    """

    waits: Mapping[str, NDArray[np.float64]]
    router: float
    redis: float
    cores: float
    gpus: float
    broker: float
    mean_batch: float
    left: float


class SimulatedFleet:
    """A fleet of given sizes under an even stream of jobs."""

    def __init__(self, sizes: Sizes, costs: Costs, mix: Mix, *, seed: int = 1) -> None:
        self._env = env = simpy.Environment()
        self._sizes, self._costs, self._mix = sizes, costs, mix
        self._random = np.random.default_rng(seed)
        self._slices = [Slice(Server(env)) for _ in range(sizes.slices)]
        self._routers = [Server(env) for _ in range(sizes.routers)]
        self._broker = Server(env)
        self._published: simpy.Store = simpy.Store(env)
        self._gpus = simpy.Resource(env, max(1, sizes.gpus * SLOTS))
        self._core_seconds = self._gpu_seconds = 0.0
        self._batches: list[int] = []
        self._ended: dict[str, list[Jobs]] = {step: [] for step in ("at once", "small", "large")}

    def run(self, per_second: float, seconds: float) -> Outcome:
        """Serve so many jobs a second for so long, and say how it went in the second half."""
        for each in self._slices:
            self._env.process(self._arrive(each, per_second / len(self._slices)))
        for number, router in enumerate(self._routers):
            self._env.process(self._route(router, number))
        for _ in range(self._sizes.cores):
            self._env.process(self._work())
        self._env.run(until=seconds)
        return self._outcome(per_second, seconds)

    def _arrive(self, place: Slice, per_second: float) -> Course:
        while True:
            yield self._env.timeout(TICK)
            number = self._random.poisson(per_second * TICK)
            fates = self._random.random(number)
            place.submitted.put(np.column_stack((np.full(number, self._env.now), fates)))

    def _route(self, router: Server, number: int) -> Course:
        """Look after the slices in turn, each router from another one on."""
        first = number * len(self._slices) // len(self._routers)
        order = self._slices[first:] + self._slices[:first]
        while True:
            has_worked = False
            for place in order:
                if place.submitted.number or place.escalated.number:
                    has_worked = True
                    yield from self._triage(router, place)
                if place.for_small.number and len(self._published.items) < self._most_published:
                    has_worked = True
                    yield from self._publish(router, place)
                if place.for_large.number:
                    yield from self._ask_large(place)
            if not has_worked:
                yield self._env.timeout(PAUSE)

    @property
    def _most_published(self) -> int:
        return AHEAD * self._sizes.cores

    def _triage(self, router: Server, place: Slice) -> Course:
        costs, (rule, linear, *_) = self._costs, self._mix.ends
        new, back = place.submitted.take(MOST_READ), place.escalated.take(MOST_READ)
        by_rule = new[new[:, 1] < rule]
        by_linear = new[(new[:, 1] >= rule) & (new[:, 1] < linear)]
        rest = new[new[:, 1] >= linear]
        yield from router.work(
            costs.round + len(by_rule) * costs.rule + (len(by_linear) + len(rest)) * costs.linear
        )
        yield from place.redis.work(
            len(by_rule) * costs.redis_rule
            + len(by_linear) * costs.redis_linear
            + (len(rest) + len(back)) * costs.redis_dispatch
        )
        self._end("at once", by_rule)
        self._end("at once", by_linear)
        place.for_small.put(rest)
        place.for_large.put(back)

    def _publish(self, router: Server, place: Slice) -> Course:
        batch = place.for_small.take(MOST_IN_BATCH)
        yield from router.work(len(batch) * self._costs.dispatch)
        yield from self._broker.work(self._costs.message)
        self._batches.append(len(batch))
        yield self._published.put((place, batch))

    def _work(self) -> Course:
        """One core: fetch a batch when free, claim, read in one pass, settle."""
        costs, (*_, small, _) = self._costs, self._mix.ends
        while True:
            place, batch = yield self._published.get()
            yield from place.redis.work(len(batch) * costs.redis_worker / 2)
            seconds = len(batch) * costs.worker * _MICRO
            yield self._env.timeout(seconds)
            self._core_seconds += seconds
            yield from place.redis.work(len(batch) * costs.redis_worker / 2)
            self._end("small", batch[batch[:, 1] < small])
            place.escalated.put(batch[batch[:, 1] >= small])

    def _ask_large(self, place: Slice) -> Course:
        """Publish one batch of prompts, each of which an engine serves by itself."""
        yield from self._broker.work(self._costs.message)
        for job in place.for_large.take(MOST_IN_BATCH):
            self._env.process(self._write(place, job))

    def _write(self, place: Slice, job: Jobs) -> Course:
        """One prompt: a slot of an engine, for as long as each takes while all are taken."""
        with self._gpus.request() as slot:
            yield slot
            seconds = SLOTS / PROMPTS_A_SECOND
            yield self._env.timeout(seconds)
            self._gpu_seconds += seconds / SLOTS
        yield from place.redis.work(self._costs.redis_worker)
        self._end("large", job[np.newaxis])

    def _end(self, step: str, jobs: Jobs) -> None:
        if len(jobs):
            now = np.full(len(jobs), self._env.now)
            self._ended[step].append(np.column_stack((jobs[:, 0], now)))

    def _outcome(self, per_second: float, seconds: float) -> Outcome:
        waits = {step: _late_waits(parts, seconds / 2) for step, parts in self._ended.items()}
        left = sum(
            each.number
            for place in self._slices
            for each in (place.submitted, place.escalated, place.for_small, place.for_large)
        )
        return Outcome(
            waits=waits,
            router=max(each.busy for each in self._routers) / seconds,
            redis=max(each.redis.busy for each in self._slices) / seconds,
            cores=self._core_seconds / seconds / max(1, self._sizes.cores),
            gpus=self._gpu_seconds / seconds / max(1, self._sizes.gpus),
            broker=self._broker.busy / seconds,
            mean_batch=float(np.mean(self._batches)) if self._batches else 0.0,
            left=left / per_second,
        )


def _late_waits(parts: Sequence[Jobs], since: float) -> NDArray[np.float64]:
    """How long those waited that were submitted after a moment."""
    ended = np.concatenate(parts) if parts else np.empty((0, 2))
    late = ended[ended[:, 0] >= since]
    return late[:, 1] - late[:, 0]


def percentiles(waits: NDArray[np.float64]) -> Iterator[float]:
    """The median and the 99th percentile, in milliseconds."""
    yield from (np.percentile(waits, (50, 99)) * 1e3 if len(waits) else (np.nan, np.nan))


def kept_bytes(mix: Mix) -> float:
    """What Redis keeps of a job that is answered, by `router_speed`, in bytes.

    An answer of any model is taken to be as long as a linear one's.
    """
    router: Any = _numbers("router_speed")
    rule, linear = (
        float(router[name]["kept"]) for name in ("a rule answers", "a linear model answers")
    )
    return mix.rule * rule + (1 - mix.rule) * linear


def router_us(costs: Costs, mix: Mix) -> float:
    """CPU of routers a job, in microseconds, where batches are full."""
    rule, linear, *_ = mix.ends
    of_models = costs.dispatch + costs.round / MOST_IN_BATCH
    return mix.rule * costs.rule + (1 - rule) * costs.linear + (1 - linear) * of_models


def redis_us(costs: Costs, mix: Mix) -> float:
    """CPU of the slice's Redis a job, in microseconds; a job that escalates is moved once more."""
    _, linear, small, _ = mix.ends
    of_models = costs.redis_dispatch + costs.redis_worker
    at_once = mix.rule * costs.redis_rule + mix.linear * costs.redis_linear
    return at_once + (2 - linear - small) * of_models
