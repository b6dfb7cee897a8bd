"""What other libraries find on the recognizers' lines; runs in an environment of its own.

Reads lines on standard input as `tests/support/recognizer_lines.jsonl` has them, and writes one
JSON object: by rival and recognizer, the spans of each line and the microseconds that a line took.
Needs presidio-analyzer (which brings phonenumbers) and dateparser, and neither a model nor a net:
Presidio's pattern recognizers are asked by themselves, without its NLP engine, so without the words
around a find that raise its score; every find counts, and of two that overlap the surer one.
"""

import json
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import phonenumbers
from dateparser.search import search_dates
from presidio_analyzer import predefined_recognizers as presidio

Stretch = tuple[int, int]
Find = Callable[[str], list[Stretch]]

#: Times that each line is read for the clock.
NUM_TURNS = 5
#: Where a number without its country's code may be from, in this order.
REGIONS = ("US", "GB", "DE", "FR")
LANGUAGES = ["en", "de", "fr", "es", "it", "nl", "pt"]
PRESIDIO = {
    "ssn": (presidio.UsSsnRecognizer, "US_SSN"),
    "card": (presidio.CreditCardRecognizer, "CREDIT_CARD"),
    "iban": (presidio.IbanRecognizer, "IBAN_CODE"),
    "email": (presidio.EmailRecognizer, "EMAIL_ADDRESS"),
    "phone": (presidio.PhoneRecognizer, "PHONE_NUMBER"),
    "date": (presidio.DateRecognizer, "DATE_TIME"),
    "ip": (presidio.IpRecognizer, "IP_ADDRESS"),
    "url": (presidio.UrlRecognizer, "URL"),
}


def main() -> None:
    """Ask every rival about every line that it has a recognizer for."""
    warnings.simplefilter("ignore")
    lines = [json.loads(row) for row in sys.stdin]
    rivals = {f"Presidio {version('presidio-analyzer')}": {n: of_presidio(n) for n in PRESIDIO}}
    rivals[f"phonenumbers {version('phonenumbers')}"] = {"phone": phone_numbers}
    rivals[f"dateparser {version('dateparser')}"] = {"date": dates}
    told = {
        rival: {name: ask(find, lines, name) for name, find in finders.items()}
        for rival, finders in rivals.items()
    }
    json.dump(told, sys.stdout)


def ask(find: Find, lines: Sequence[Any], name: str) -> dict[str, Any]:
    """Read a recognizer's lines, once to find and several times by the clock."""
    texts = [line["text"] for line in lines if line["recognizer"] == name]
    found = [find(text) for text in texts]
    began = time.process_time()
    for _ in range(NUM_TURNS):
        for text in texts:
            find(text)
    seconds = time.process_time() - began
    return {"spans": found, "microseconds": 1e6 * seconds / NUM_TURNS / len(texts)}


def of_presidio(name: str) -> Find:
    """Make Presidio's recognizer, and choose among what it finds."""
    make, entity = PRESIDIO[name]
    recognizer = make()

    def find(text: str) -> list[Stretch]:
        results = recognizer.analyze(text, [entity], None)
        surest = sorted(results, key=lambda found: (-found.score, found.start - found.end))
        return apart((found.start, found.end) for found in surest)

    return find


def apart(stretches: Any) -> list[Stretch]:
    """Keep those that overlap none before."""
    kept: list[Stretch] = []
    for start, end in stretches:
        if not any(start < other[1] and other[0] < end for other in kept):
            kept.append((start, end))
    return kept


def phone_numbers(text: str) -> list[Stretch]:
    """Numbers that are valid in one of the regions; the leniency that is right most often here."""
    return apart(
        (match.start, match.end)
        for region in REGIONS
        for match in phonenumbers.PhoneNumberMatcher(text, region)
    )


def dates(text: str) -> list[Stretch]:
    """Dates whose day, month and year are all there; dateparser tells words, not places."""
    settings = {"STRICT_PARSING": True}
    found: list[Stretch] = []
    last = 0
    for words, _ in search_dates(text, languages=LANGUAGES, settings=settings) or ():
        start = text.find(words, last)
        if start >= 0:
            last = start + len(words)
            found.append((start, last))
    return found


if __name__ == "__main__":
    main()
