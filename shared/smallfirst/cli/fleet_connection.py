"""Which fleet a command talks to, and the connection to it.

An option names it, else the environment, else the fleet that `smallfirst up` runs on this machine.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

import typer
from redis import Redis
from redis.exceptions import NoPermissionError

from smallfirst.cli.global_options import Globals, globals_of
from smallfirst.client import Client
from smallfirst.ledger.celery_lists import CeleryLists
from smallfirst.ledger.keys import Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.slices import Slice, check_slices
from smallfirst.ledger.survey import FleetLoad, FleetSurvey
from smallfirst.local.catalogue_news import CatalogueState, read_catalogue_state
from smallfirst.process.announcement import default_folder, find_fleet
from smallfirst.process.connection import connect_broker, connect_slices
from smallfirst.redis_access.plain_port import refuse_plain_port
from smallfirst.settings import ProducerSettings, Settings, load_settings


@dataclass(frozen=True)
class Link:
    """Open connections to one fleet: to its ledger, and to Celery's lists."""

    settings: Settings
    slices: tuple[Slice, ...]
    broker: Redis

    @property
    def redis(self) -> Redis:
        """The connection to the first slice."""
        return self.slices[0].redis

    @property
    def keys(self) -> Keys:
        """The keys of the first slice."""
        return self.slices[0].keys

    def reach(self) -> None:
        """Make sure that somebody answers, and that the fleet has as many slices as we were told.

        Raises:
            RedisUnfit: When it has another number, or its port does not speak TLS.
        """
        refuse_plain_port(self.settings.redis)
        self.redis.ping()
        num_slices, address = self.settings.slices, self.settings.redis_address
        # Some users have no right to this key, and ask for nothing that hangs on it.
        with suppress(NoPermissionError):
            check_slices(self.redis, self.keys, num_slices, address=address)
        for each in self.slices if self.settings.redis.is_cluster else ():
            # The node that has this key is asked for everything else.
            each.redis.exists(each.keys.producers)

    def survey(self) -> FleetSurvey:
        """A look at the fleet by one who may read jobs."""
        return FleetSurvey(self.slices, CeleryLists(self.broker, self.keys), may_read_jobs=True)

    def load(self) -> FleetLoad:
        """What there is of every pool that has a backlog, in a catalogue still or not."""
        ledgers = [Ledger(each.redis, each.keys, "cli") for each in self.slices]
        pools = set[str]().union(*(ledger.pools_with_backlogs() for ledger in ledgers))
        return self.survey().look(sorted(pools))


def settings_of(options: Globals) -> Settings:
    """Find out which fleet is meant.

    Raises:
        SettingsError: When the environment is wrong.
    """
    given: dict[str, object] = {"redis_url": options.redis_url, "namespace": options.namespace}
    settings = load_settings(Settings, **given)
    fleet = find_fleet(options.folder)
    if "redis_url" in settings.model_fields_set or fleet is None:
        return settings
    found = {"redis_url": fleet.redis_url, "namespace": fleet.namespace}
    if "catalogue" not in settings.model_fields_set:
        found["catalogue"] = fleet.catalogue
    return load_settings(Settings, **(found | {k: v for k, v in given.items() if v is not None}))


def catalogue_state_of(options: Globals, settings: Settings) -> CatalogueState | None:
    """What the fleet on this machine goes by; None where another fleet is meant, or none runs."""
    folder = options.folder or default_folder()
    fleet = find_fleet(folder)
    is_meant = fleet and fleet.redis_url == settings.redis_url.get_secret_value()
    return read_catalogue_state(folder) if is_meant else None


@contextmanager
def link_of(context: typer.Context) -> Iterator[Link]:
    """Connect to the fleet; fails at once where nobody answers.

    Raises:
        SettingsError: When the environment is wrong.
        RedisError: When Redis cannot be reached.
    """
    settings = settings_of(globals_of(context))
    with linked(settings) as link:
        link.reach()
        yield link


@contextmanager
def linked(settings: Settings) -> Iterator[Link]:
    """Connect to a fleet, as soon as something is asked."""
    with ExitStack() as opening:
        slices = connect_slices(settings, role="cli")
        for each in slices:
            opening.enter_context(each.redis)
        broker = connect_broker(settings, slices[0].redis, role="cli")
        yield Link(settings, slices, opening.enter_context(broker))


@contextmanager
def client_of(context: typer.Context, producer: str | None) -> Iterator[tuple[Client, Link]]:
    """Open a client of the fleet, and a connection beside it.

    Args:
        context: Of the command.
        producer: As the option names it; None leaves it to the environment.
    """
    name = load_settings(ProducerSettings, producer=producer).producer
    with ExitStack() as opening:
        link = opening.enter_context(link_of(context))
        url = link.settings.redis_url.get_secret_value()
        settings = link.settings
        client = Client(url, namespace=settings.namespace, producer=name, slices=settings.slices)
        yield opening.enter_context(client), link
