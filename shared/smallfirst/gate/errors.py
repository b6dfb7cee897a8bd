"""What keeps a candidate from being looked at at all."""

from smallfirst.errors import SmallfirstError


class CandidateError(SmallfirstError):
    """Raised when a candidate cannot be compared or promoted: what is wrong, and what to do."""
