"""What can go wrong before anything is removed."""

from smallfirst.errors import PlaceError


class WrongPlace(PlaceError):
    """Raised when a file or folder that is named is missing, or holds something else.

    Nothing has been removed then.
    """
