"""What keeps rows from being written by a model."""

from smallfirst.errors import SmallfirstError


class GenerateError(SmallfirstError):
    """Raised when no rows can be written: what is wrong, and what to do."""
