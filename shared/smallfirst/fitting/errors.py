"""What can go wrong while a cascade is fitted; a row's text never stands in one of them."""

from smallfirst.errors import SmallfirstError


class FitError(SmallfirstError):
    """Raised when nothing can be fitted: what is wrong, and what to do."""
