"""Shows a local fleet coming up, part by part."""

import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from time import monotonic

from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table

from smallfirst.cli.output import console, note
from smallfirst.local import LocalFleet
from smallfirst.local.fleet import Part

#: What a part does that is not ready yet.
_DOING = {
    "redis": "starting",
    "flower": "starting",
    "router": "reading the catalogue, compiling rules",
}
_LOADING = "loading models, training heads"


def show_start(fleet: LocalFleet, timeout: timedelta, *, with_slow: bool = True) -> None:
    """Wait until the fleet is ready: a live picture on a terminal, else a line as a part is there.

    Large models are waited for only with `with_slow`; they load on behind what comes next.

    Raises:
        LocalFleetError: When it does not come up.
    """
    _wait_in_sight(fleet, timeout, with_slow=with_slow)
    for part in fleet.parts():
        if not part.is_ready:
            note(f"{part.name} {part.live}/{part.wanted}  still loading; what is for them waits")


class ChangeTeller:
    """Tells when a part of a fleet that runs is ready: one that was slow, or that had died."""

    def __init__(self) -> None:
        self._missing: set[str] = set()
        self._seen: set[str] = set()

    def __call__(self, parts: Sequence[Part]) -> None:
        """Compare with what was seen before; what is ready from the first is not told."""
        for part in parts:
            if not part.is_ready:
                self._missing.add(part.name)
                continue
            if part.name in self._missing:
                again = " again" if part.name in self._seen else ""
                note(f"{part.name} {part.live}/{part.wanted}  ready{again}")
            self._missing.discard(part.name)
            self._seen.add(part.name)


def _wait_in_sight(fleet: LocalFleet, timeout: timedelta, *, with_slow: bool) -> None:
    started = monotonic()
    if not sys.stderr.isatty():
        fleet.wait_ready(timeout, _line_by_line(started), with_slow=with_slow)
        return
    spinner = Spinner("dots")
    with Live(console=console(stderr=True), refresh_per_second=10) as live:
        fleet.wait_ready(
            timeout,
            lambda parts: live.update(_picture(parts, spinner, started)),
            with_slow=with_slow,
        )


def _line_by_line(started: float) -> Callable[[Sequence[Part]], None]:
    seen: set[str] = set()

    def show(parts: Sequence[Part]) -> None:
        for part in parts:
            if part.is_ready and part.name not in seen:
                seen.add(part.name)
                note(f"{part.name} {part.live}/{part.wanted}  {monotonic() - started:.1f} s")

    return show


def _picture(parts: Sequence[Part], spinner: Spinner, started: float) -> Table:
    picture = Table.grid(padding=(0, 1))
    for part in parts:
        mark = "[green]✓[/]" if part.is_ready else spinner
        doing = "" if part.is_ready else f"[dim]{_DOING.get(part.name, _LOADING)}[/]"
        picture.add_row(mark, part.name, f"{part.live}/{part.wanted}", doing)
    picture.add_row("", f"[dim]{monotonic() - started:.1f} s[/]")
    return picture
