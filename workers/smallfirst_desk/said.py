"""What a page says of what was done before it."""

from collections.abc import Mapping
from typing import Final

#: What a page says of what was done before; an address holds the key alone.
SAID: Final[Mapping[str, str]] = {
    "answered": "Answered.",
    "skipped": "Skipped; it is offered to others.",
    "undone": "Taken back; the job is yours again.",
    "final": "That answer is final by now, and cannot be taken back.",
    "none": "Nothing waits here that nobody has in hand.",
    "held": "Somebody else has this job in hand.",
    "lost": "The lease on this job ended, and somebody else has taken it since.",
    "done": "This job has its answer already.",
    "given": "You have answered this; another person is asked now.",
    "due": "The time for which this job waits is over.",
    "ended": "This job is over: it was answered, cancelled, or its time is up.",
    "free": "This job is not in your hands any more.",
    "signed-out": "You are signed out.",
    "not-signed-in": "You could not be signed in there. Try again, or ask who keeps the desk.",
    "away": "The place where people sign in cannot be reached. Try again in a moment.",
}
