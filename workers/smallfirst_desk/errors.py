"""What can go wrong at the desk; a job's text never stands in one of these.

DeskError
├── UsersFileError    the file of users cannot be read, or is wrong
├── FormError         what a person entered is no answer of the task
├── NotRecorded       what was done before cannot be written to the action log
├── NotSignedIn       a provider could not be asked, or what it says of a person is not good
└── NotAllowed        who asks may not, or nobody knows who asks
"""


class DeskError(Exception):
    """Root of what the desk raises."""


class UsersFileError(DeskError):
    """Raised when the file of users is missing, or wrong.

    Attributes:
        path: The file.
        reason: What is wrong, with the key where there is one.
    """

    def __init__(self, path: object, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class FormError(DeskError):
    """Raised when what a person entered is no answer of the task; its message is for them."""


class NotRecorded(DeskError):
    """Raised when nothing may be done, since what was done before cannot be recorded."""


class NotSignedIn(DeskError):
    """Raised when a person could not be signed in at a provider; its message is for the log.

    Attributes:
        is_outage: Whether the provider could not be reached at all.
    """

    def __init__(self, reason: str, *, is_outage: bool = False) -> None:
        super().__init__(reason)
        self.is_outage = is_outage


class NotAllowed(DeskError):
    """Raised when a request may not be done; its message is for people.

    Attributes:
        status: The HTTP status.
    """

    def __init__(self, reason: str, status: int = 403) -> None:
        super().__init__(reason)
        self.status = status
