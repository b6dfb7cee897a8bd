"""For how long a job may wait for a catalogue that its worker does not have."""

from datetime import timedelta

from smallfirst_workers.catalogue_wait import MAX_WAITS, CatalogueWait


def test_a_wait_goes_on_until_patience_is_over() -> None:
    """It counts from the first job that was planned by the catalogue."""
    wait = CatalogueWait(timedelta(seconds=10))
    moments = (100.0, 109.9, 110.0, 500.0)
    assert [wait.goes_on("b", "a", now) for now in moments] == [True, True, False, False]


def test_nobody_waits_for_what_is_here() -> None:
    """A worker that has seen the very catalogue has refused what it lacks."""
    assert not CatalogueWait().goes_on("a", "a", 0.0)


def test_each_change_of_its_own_catalogue_begins_the_wait_anew() -> None:
    """A catalogue that was waited for before, and came, may be lacked again by a later one."""
    wait = CatalogueWait(timedelta(seconds=10))
    assert wait.goes_on("b", "a", 0.0)
    assert wait.goes_on("b", "c", 3600.0)


def test_waits_are_forgotten_before_they_are_many() -> None:
    """The oldest first: its jobs wait anew, should there be any left."""
    wait = CatalogueWait(timedelta(seconds=10))
    for number in range(MAX_WAITS + 1):
        wait.goes_on(f"b{number}", "a", 0.0)
    assert wait.goes_on("b0", "a", 60.0)
    assert not wait.goes_on(f"b{MAX_WAITS}", "a", 60.0)
