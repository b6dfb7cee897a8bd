"""The built-in recognizers, under the names that a rule's `find` gives them.

They read a folded text (see `read` and `fold`). Which of them run, and what happens where their
stretches overlap, belongs to `rules`.
"""

from collections.abc import Mapping
from types import MappingProxyType

from smallfirst_router.recognizers.addresses import EMAIL, IP, URL
from smallfirst_router.recognizers.dates import DATE
from smallfirst_router.recognizers.numbers import CARD, IBAN, SSN
from smallfirst_router.recognizers.phones import PHONE
from smallfirst_router.recognizers.reading import Reading, Stretch, fold, is_hidden, read
from smallfirst_router.recognizers.recognizer import Recognizer, satisfies

__all__ = [
    "RECOGNIZERS",
    "Reading",
    "Recognizer",
    "Stretch",
    "fold",
    "is_hidden",
    "read",
    "satisfies",
]

#: A recognizer's name is also the label of what it finds.
RECOGNIZERS: Mapping[str, Recognizer] = MappingProxyType(
    {
        "ssn": SSN,
        "card": CARD,
        "iban": IBAN,
        "email": EMAIL,
        "phone": PHONE,
        "date": DATE,
        "ip": IP,
        "url": URL,
    }
)
