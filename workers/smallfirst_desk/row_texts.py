"""The texts of a task's examples, found by the keys of their words."""

from collections.abc import Mapping, Sequence

from smallfirst.catalogue import Example, Task
from smallfirst.catalogue.likeness import text_key


class RowTexts:
    """Lays out each task's examples when somebody first asks, and anew where they have changed.

    For 10,000 short ones that takes 50 ms; it is kept for as long as the catalogue has them.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[Sequence[Example], Mapping[str, str]]] = {}

    def of(self, name: str, task: Task) -> Mapping[str, str]:
        """The examples' texts by their keys; see `text_key`."""
        known = self._known.get(name)
        if known is None or known[0] is not task.examples:
            texts = {text_key(each.text): each.text for each in task.examples}
            known = self._known[name] = task.examples, texts
        return known[1]
