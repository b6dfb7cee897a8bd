"""Following the catalogue: what could not be taken up is tried again, and said once."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from smallfirst.catalogue import Catalogue
from smallfirst.catalogue.following import CatalogueFollower
from smallfirst.catalogue.watching import CatalogueWatch
from smallfirst.errors import SmallfirstError

GOOD = """\
version: 1
pools: {cpu: {tier: slm, max_parameters: 50M}}
models: {mini: {source: "bundled:minilm"}}
tasks:
  ids:
    kind: tag
    labels: {card: a card}
    cascade: [{rule: {find: [card]}, accept: always}]
"""
AT_ONCE, NEVER = timedelta(0), timedelta(days=1)


class Taker:
    """Takes up catalogues, but while there is an error for it to raise."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.taken: list[Catalogue] = []

    def take_up(self, catalogue: Catalogue) -> None:
        """Take one up."""
        if self.errors:
            raise self.errors.pop(0)
        self.taken.append(catalogue)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A catalogue."""
    path = tmp_path / "catalogue.yaml"
    path.write_text(GOOD)
    return path


@pytest.fixture
def follow(path: Path) -> Callable[..., CatalogueFollower]:
    """Make who follows it."""

    def make(taker: Taker, retry: timedelta = AT_ONCE) -> CatalogueFollower:
        watch, expected = CatalogueWatch(path), (SmallfirstError,)
        return CatalogueFollower(watch, taker.take_up, expected=expected, retry=retry)

    return make


def change(path: Path, number: int) -> None:
    """Write another version."""
    path.write_text(f"{GOOD}# {number}{'.' * number}\n")


def test_a_version_is_taken_up_once(path: Path, follow: Callable[..., CatalogueFollower]) -> None:
    """What has not changed is not taken up, what has is, and only then."""
    taker = Taker()
    follower = follow(taker)
    looks = [follower.look()]
    change(path, 1)
    looks += [follower.look(), follower.look()]
    assert looks == [False, True, False]
    assert len(taker.taken) == 1


@pytest.mark.parametrize("error", [SmallfirstError("no folder"), OSError("no disk"), KeyError("x")])
def test_what_fails_for_a_passing_reason_is_tried_again(
    path: Path, follow: Callable[..., CatalogueFollower], error: Exception
) -> None:
    """Whatever it raised, and although the file does not change; one reason is said once."""
    taker = Taker(error, error)
    follower = follow(taker)
    change(path, 1)
    with capture_logs() as logs:
        looks = [follower.look() for _ in range(4)]
    assert looks == [False, False, True, False]
    assert [entry["event"] for entry in logs] == ["catalogue.rejected", "catalogue.reloaded"]


def test_another_reason_is_said_too(path: Path, follow: Callable[..., CatalogueFollower]) -> None:
    """Whoever mends one fault is told of the next."""
    follower = follow(Taker(SmallfirstError("one"), SmallfirstError("two")))
    change(path, 1)
    with capture_logs() as logs:
        for _ in range(2):
            follower.look()
    assert [entry["problem"] for entry in logs] == ["one", "two"]


def test_a_try_costs_little(path: Path, follow: Callable[..., CatalogueFollower]) -> None:
    """Between two tries of one version there is a pause; another version is tried at once."""
    taker = Taker(SmallfirstError("one"))
    follower = follow(taker, NEVER)
    change(path, 1)
    looks = [follower.look(), follower.look()]
    change(path, 2)
    looks.append(follower.look())
    assert looks == [False, False, True]
