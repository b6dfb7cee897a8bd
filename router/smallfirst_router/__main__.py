"""Starts one router: `python -m smallfirst_router`, configured by SMALLFIRST_* variables."""

import os
import signal
import sys
from typing import NamedTuple

import structlog

from smallfirst.broker.celery_app import make_app
from smallfirst.catalogue.watching import CatalogueWatch
from smallfirst.errors import SmallfirstError
from smallfirst.health import Health
from smallfirst.ledger.celery_lists import CeleryLists
from smallfirst.ledger.holders import Holder
from smallfirst.ledger.keys import ROUTERS, Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.seen import SeenJobs
from smallfirst.ledger.slices import Slice, keys_of_slices
from smallfirst.process.born import born
from smallfirst.process.connection import bounds_of, connect, connect_broker
from smallfirst.process.exit_codes import EXIT_CONFIG, EXIT_TOLD
from smallfirst.process.settings_help import answer_arguments
from smallfirst.process.startup_signals import end_when_told
from smallfirst.settings import RouterSettings, load_settings
from smallfirst.telemetry.logs import configure_logs
from smallfirst.telemetry.metrics import serve_metrics
from smallfirst.telemetry.tracing import Tracing, open_tracing
from smallfirst_router.dispatch import Dispatch
from smallfirst_router.drift_judge import DriftJudge
from smallfirst_router.errors import RouterError
from smallfirst_router.linear_models import LinearModels
from smallfirst_router.metrics import RouterMetrics
from smallfirst_router.publishing import Publisher
from smallfirst_router.router import Router
from smallfirst_router.router_time import RouterTime
from smallfirst_router.slice_routers import SliceRouters, thread_of
from smallfirst_router.triage import Triage
from smallfirst_router.turns import Turns

log = structlog.get_logger()


class Kept(NamedTuple):
    """What a process keeps for the routers of all slices together."""

    router_time: RouterTime
    seen: SeenJobs
    drift_judge: DriftJudge | None = None


def main() -> int:
    """Run a router until SIGTERM or SIGINT; return the exit status."""
    end_when_told()
    try:
        settings = load_settings(RouterSettings)
        configure_logs(settings.log_level, settings.log_format)
        health = Health(settings.health_dir)
        health.open()
        metrics = RouterMetrics()
        with open_tracing(settings, component="router") as tracing:
            router = build_slices(settings, metrics, tracing, health)
            with serve_metrics(metrics.registry, settings):
                _run(router)
    except (SmallfirstError, RouterError) as error:
        sys.stderr.write(f"smallfirst-router: {error}\n")
        return EXIT_CONFIG
    return 0


def _run(router: SliceRouters) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _leave(router))
    log.info("router.started")
    router.run()
    log.info("router.stopped")


def _leave(router: SliceRouters) -> None:
    """Finish the round in hand at the first signal; at the second one, not even that.

    What a router holds is a peer's when the lease is out; whoever cannot wait leaves it to that.
    """
    if router.is_stopping:
        log.warning("router.left", consequence="what it had in hand is a peer's in a few seconds")
        os._exit(EXIT_TOLD)
    log.info("router.stopping")
    router.stop()


def build_slices(
    settings: RouterSettings, metrics: RouterMetrics, tracing: Tracing, health: Health
) -> SliceRouters:
    """Put a router of each slice together."""
    turns, (own, *others) = Turns(), keys_of_slices(settings.namespace, settings.slices)
    judge = DriftJudge(Slice(connect(settings, role="router"), own))
    linear_models = LinearModels(settings.cache_dir)
    kept = Kept(RouterTime(born()), SeenJobs(), judge)
    first = build(
        settings,
        metrics,
        tracing,
        health,
        turns=turns,
        linear_models=linear_models,
        kept=kept,
    )
    signs = [health.of_thread(thread_of(number)) for number in range(1, settings.slices)]
    return SliceRouters(
        [
            first,
            *(
                build(
                    settings,
                    metrics,
                    tracing,
                    sign,
                    turns=turns,
                    keys=keys,
                    linear_models=linear_models,
                    kept=kept,
                )
                for keys, sign in zip(others, signs, strict=True)
            ),
        ]
    )


def build(
    settings: RouterSettings,
    metrics: RouterMetrics | None = None,
    tracing: Tracing | None = None,
    health: Health | None = None,
    *,
    turns: Turns | None = None,
    keys: Keys | None = None,
    linear_models: LinearModels | None = None,
    kept: Kept | None = None,
) -> Router:
    """Put a router together and give it the catalogue, so that a wrong one stops the start."""
    keys, settings = keys or Keys(settings.namespace), settings.of_one_slice()
    health, metrics = health or Health(None), metrics or RouterMetrics()
    redis = connect(settings, role="router", on_retry=health.beat)
    ledger = Ledger(redis, keys, str(Holder.here(ROUTERS)), bounds_of(settings))
    broker = connect_broker(settings, redis, role="router", on_retry=health.beat)
    publisher = Publisher(make_app(settings, role="router"), int(keys.slice))
    watch = CatalogueWatch(settings.catalogue)
    metrics.tell_catalogue(lambda: watch.revision)
    linear_models = linear_models or LinearModels(settings.cache_dir)
    catalogue = linear_models.train(watch.current, on_wait=health.beat)
    kept_books = (kept.router_time, kept.seen) if kept else ()
    router = Router(
        ledger=ledger,
        triage=Triage(ledger, keys, settings, metrics, tracing or Tracing(), *kept_books),
        dispatch=Dispatch(
            ledger, keys, CeleryLists(broker, keys), publisher, settings, metrics, turns
        ),
        watch=watch,
        settings=settings,
        metrics=metrics,
        health=health,
        linear_models=linear_models,
    )
    if kept is not None:
        router.keep_books(kept.router_time, kept.seen)
        router.judge_drift_by(kept.drift_judge)
    router.serve(catalogue)
    return router


if __name__ == "__main__":
    answer_arguments(
        RouterSettings,
        module="smallfirst_router",
        does="Runs one router: it decides where each job goes next, and forms batches.",
    )
    sys.exit(main())
