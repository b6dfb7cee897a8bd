"""Keeping one bad item from failing the others that share a batch with it."""

from collections.abc import Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Done = TypeVar("Done")


def isolate(
    items: Sequence[Item],
    together: Callable[[Sequence[Item]], list[Done]],
    *,
    instead: Callable[[Item, Exception], list[Done]],
) -> list[Done]:
    """Handle items together; where that raises, in halves, until who raises is alone.

    Costs nothing while nothing raises, and about two passes per halving for one bad item.

    Raises:
        MemoryError: As it came: nobody's fault, and halving here would hide that a worker is too
            small.
    """
    try:
        return together(items)
    except MemoryError:
        raise
    except Exception as err:  # noqa: BLE001 - whatever it is, it is one item's and not the batch's
        if len(items) == 1:
            return instead(items[0], err)
    half = len(items) // 2
    first = isolate(items[:half], together, instead=instead)
    return first + isolate(items[half:], together, instead=instead)
