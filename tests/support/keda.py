"""KEDA and the autoscaler behind it, as their sources say: what they ask Redis, what they decide.

Redis is asked as KEDA's scaler does (pkg/scalers/redis_streams_scaler.go). Activity, errors and
cooldown are judged as in its pkg/scaling/scale_handler.go, pkg/fallback/fallback.go and
pkg/scaling/executor/scale_scaledobjects.go, from 2.17 on. Replicas are computed as in Kubernetes'
pkg/controller/podautoscaler. Of the language of formulas it knows the sum.
"""

import math
from dataclasses import dataclass, field
from typing import Any

from redis import Redis
from redis.exceptions import RedisError, ResponseError
from tests.support.charts import Object

#: How often the autoscaler looks, in seconds, and which deviation it lets pass.
SYNC_SECONDS, TOLERANCE = 15.0, 0.1


def count(redis: Redis, metadata: dict[str, str]) -> float:
    """Count what one trigger counts: unread entries with `lagCount`, else those in hand.

    Raises:
        RedisError: When Redis cannot be asked, refuses, or has no such group.
    """
    stream, group = metadata["stream"], metadata["consumerGroup"]
    if "lagCount" not in metadata:
        pending: Any = redis.xpending(stream, group)
        return float(pending["pending"])
    info: Any = redis.info()
    assert int(info["redis_version"].split(".")[0]) >= 7, "KEDA asks for no lag before Redis 7"
    try:
        groups: Any = redis.xinfo_groups(stream)
    except ResponseError as error:
        if str(error) == "no such key":
            return 0.0
        raise
    lags = [one["lag"] for one in groups if one["name"] == group.encode()]
    # What waits for a group that nobody has made yet counts too. A lag that Redis does not know is
    # -1 in KEDA's client.
    found: Any = lags[0] if lags else redis.xlen(stream)
    return -1.0 if found is None else float(found)


def recommended(total: float, target: float, replicas: int) -> int:
    """Say how many replicas would have `target` each (AverageValue)."""
    if abs(total / (target * replicas) - 1) <= TOLERANCE:
        return replicas
    return math.ceil(total / target)


@dataclass
class Autoscaler:
    """One ScaledObject at work; times are seconds of the cluster's own clock.

    Attributes:
        replicas: How many are wanted now.
        history: Each different number of them, in order.
        is_fallback_polled: Whether the fallback's figure counts as activity; it did not until
            https://github.com/kedacore/keda/pull/7244, and only reached the autoscaler.
    """

    spec: Object
    redis: Redis
    replicas: int = 0
    history: list[int] = field(default_factory=list)
    last_active: float | None = None
    num_failures: int = 0
    is_fallback_polled: bool = False
    _next_poll: float = 0.0
    _next_sync: float = 0.0
    _wishes: list[tuple[float, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.replicas = max(self.replicas, self.spec["minReplicaCount"])
        self.history.append(self.replicas)

    def turn(self, now: float) -> int:
        """Do what is due; return how many replicas are wanted."""
        if now >= self._next_poll:
            self._next_poll = now + self.spec["pollingInterval"]
            self._poll(now)
        if now >= self._next_sync:
            self._next_sync = now + SYNC_SECONDS
            self._sync(now)
        if self.replicas != self.history[-1]:
            self.history.append(self.replicas)
        return self.replicas

    @property
    def _modifiers(self) -> Object:
        found: Object = self.spec["advanced"]["scalingModifiers"]
        return found

    def _total(self) -> float | None:
        """Evaluate the formula, or the fallback's after enough failures; None while in error."""
        triggers = {one["name"]: one["metadata"] for one in self.spec["triggers"]}
        try:
            counts = {name: count(self.redis, metadata) for name, metadata in triggers.items()}
        except RedisError:
            self.num_failures += 1
            return self._fallback()
        self.num_failures = 0
        return sum(counts[name] for name in self._modifiers["formula"].split(" + "))

    def _fallback(self) -> float | None:
        fallback = self.spec.get("fallback")
        if fallback is None or self.num_failures <= fallback["failureThreshold"]:
            return None
        replicas = {
            "currentReplicas": self.replicas,
            "currentReplicasIfHigher": max(self.replicas, fallback["replicas"]),
        }[fallback["behavior"]]
        return float(replicas * int(self._modifiers["target"]))

    def _poll(self, now: float) -> None:
        """KEDA's own loop: from nothing to one at work, and to nothing after the cooldown."""
        total = self._total()
        if self.num_failures and not self.is_fallback_polled:
            total = None
        is_active = total is not None and total > float(self._modifiers["activationTarget"])
        if is_active:
            self.last_active = now
            self.replicas = self.replicas or max(1, self.spec["minReplicaCount"])
        elif self.num_failures and self._holds_in_error():
            return
        elif self.spec["minReplicaCount"] == 0 and self._is_cool(now):
            self.replicas = 0

    def _holds_in_error(self) -> bool:
        """Whether an error leaves the replicas alone: not where the fallback says 0 replicas."""
        fallback = self.spec.get("fallback")
        return fallback is None or fallback["replicas"] != 0

    def _is_cool(self, now: float) -> bool:
        since = self.last_active
        return since is None or since + self.spec["cooldownPeriod"] < now

    def _sync(self, now: float) -> None:
        """Kubernetes' loop, between one replica and the most; it rests while there is none."""
        total = self._total() if self.replicas else None
        if total is None:
            return
        wish = recommended(total, float(self._modifiers["target"]), self.replicas)
        behavior = self.spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
        window = behavior["scaleDown"]["stabilizationWindowSeconds"]
        self._wishes = [one for one in self._wishes if one[0] > now - window]
        self._wishes.append((now, wish))
        if wish < self.replicas:
            wish = min(self.replicas, max(one for _, one in self._wishes))
        most = min(self.spec["maxReplicaCount"], max(2 * self.replicas, self.replicas + 4))
        self.replicas = max(1, self.spec["minReplicaCount"], min(wish, most))
