"""What can go wrong at the desk; a job's text never stands in one of these.

DeskError
├── UsersFileError    the file of users cannot be read, or is wrong
├── FormError         what a person entered is no answer of the task
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


class NotAllowed(DeskError):
    """Raised when a request may not be done; its message is for people.

    Attributes:
        status: The HTTP status.
    """

    def __init__(self, reason: str, status: int = 403) -> None:
        super().__init__(reason)
        self.status = status
