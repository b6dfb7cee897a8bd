"""What keeps rows from being distilled; a row's text never stands in one of them.

SmallfirstError
└── DistilError
    ├── OwnAnswersError
    └── LeakedRowsError
"""

from collections.abc import Sequence

from smallfirst.errors import SmallfirstError
from smallfirst.wording import numbered

#: The most rows that are named.
_MAX_NAMED = 5


class DistilError(SmallfirstError):
    """Raised when nothing can be distilled: what is wrong, and what to do."""


class OwnAnswersError(DistilError):
    """Raised when rows were labelled by a model that is to learn from them."""

    def __init__(self, model: str, places: Sequence[str]) -> None:
        rows = numbered(len(places), "row was", "rows were")
        super().__init__(
            f"{rows} answered by {model!r}, which would be trained on its own answers:"
            f" {_named(places)}; label them with `smallfirst label --by llm`, or leave them out"
            " with --drop-refused"
        )
        self.model = model


class LeakedRowsError(DistilError):
    """Raised when rows that judge a candidate are among those that it would learn from."""

    def __init__(self, places: Sequence[str]) -> None:
        rows = numbered(len(places), "row of the test is", "rows of the test are")
        super().__init__(
            f"{rows} among those that would be learned from, so the test has leaked:"
            f" {_named(places)}; take them out, or leave them out with --drop-refused"
        )


def _named(places: Sequence[str]) -> str:
    more = " and more" if len(places) > _MAX_NAMED else ""
    return f"{', '.join(places[:_MAX_NAMED])}{more}"
