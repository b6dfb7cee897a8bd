"""The values that fill slots: people, numbers, goods, and numbers that only look like ids.

Every value is made up or reserved for examples: payment cards are the published test numbers,
phones lie in ranges set aside for fiction, e-mail domains are those of RFC 2606 and RFC 6761.
"""

from __future__ import annotations

import random
import re
import string
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from markup import Piece

#: Test card numbers published by payment providers; no account stands behind them.
TEST_CARDS = (
    "4242424242424242",
    "4000056655665556",
    "4111111111111111",
    "4012888888881881",
    "5555555555554444",
    "2223003122003222",
    "5200828282828210",
    "5105105105105100",
    "378282246310005",
    "371449635398431",
    "6011111111111117",
    "6011000990139424",
    "30569309025904",
    "36227206271667",
    "3566002020360505",
)
#: Made-up but structurally right: country to the letters (a) and digits (n) of its account part.
#: Source: SWIFT, IBAN registry. The bank code's letters are a word, so they name no bank.
IBAN_ACCOUNTS = {
    "DE": "nnnnnnnnnnnnnnnnnn",
    "GB": "DEMOnnnnnnnnnnnnnn",
    "NL": "DEMOnnnnnnnnnn",
    "IE": "DEMOnnnnnnnnnnnnnn",
    "AT": "nnnnnnnnnnnnnnnn",
    "CH": "nnnnnnnnnnnnnnnnn",
    "DK": "nnnnnnnnnnnnnn",
    "PT": "nnnnnnnnnnnnnnnnnnnnn",
}
#: x is any digit. 555-01xx (NANP), 07700 900xxx and 020 7946 0xxx (Ofcom), 030 23125 xxx
#: (Bundesnetzagentur), 01 99 00 xx xx (Arcep) and 02 5550 xxxx (ACMA) are kept for fiction.
PHONES = (
    "(503) 555-01xx",
    "503-555-01xx",
    "+1 541 555 01xx",
    "206.555.01xx",
    "97155501xx",
    "+1 (458) 555-01xx",
    "07700 900xxx",
    "+44 7700 900xxx",
    "020 7946 0xxx",
    "+49 30 23125 xxx",
    "01 99 00 xx xx",
    "(02) 5550 xxxx",
)
MAIL_DOMAINS = ("example.com", "example.org", "example.net", "mail.example", "post.example")
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
#: Void numbers that circulate in print, which some validators refuse.
PRINTED_SSNS = {"078-05-1120", "219-09-9999", "457-55-5462"}


@dataclass(frozen=True)
class Persona:
    """Somebody who writes or is written about."""

    name: str
    email: str
    phone: str
    address: str


class Values:
    """Fills the slots of one text; a mail has one writer, an example text has none."""

    def __init__(
        self, rng: random.Random, names: dict[str, list[str]], *, has_writer: bool
    ) -> None:
        self._rng = rng
        self._names = names
        self._writer = make_persona(rng, names) if has_writer else None
        self._latest: Persona | None = None
        self._told: set[str] = set()

    def fill(self, slot: str) -> Piece:
        """Return the value of a slot; raises KeyError for a slot nobody knows."""
        if slot in GOODS:
            return Piece(self.pick(GOODS[slot]))
        if slot in PERSONAL:
            label, value = PERSONAL[slot](self)
            return Piece(value, label=label, is_value=True)
        if slot in EVERYDAY:
            return Piece(EVERYDAY[slot](self._rng))
        label, make = IMPERSONAL[slot]
        return Piece(make(self._rng), label=label, is_value=True)

    def owner(self, kind: str) -> Persona:
        """Return the writer; in a text without one whoever was named last, but once for a kind."""
        known = None if kind in self._told else self._latest
        self._told.add(kind)
        return self._writer or known or make_persona(self._rng, self._names)

    def person(self) -> str:
        """Name somebody other than the writer."""
        self._latest, self._told = make_persona(self._rng, self._names), set()
        is_writer = self._writer is not None and self._latest.name == self._writer.name
        return self.person() if is_writer else self._latest.name

    def pick(self, kind: str) -> str:
        """Pick one of the split's names of a kind."""
        return self._rng.choice(self._names[kind])


#: Slots for goods, with the list of names they draw from. Typed like prose, as EVERYDAY is.
GOODS = {"product": "products", "pan": "pans", "machine": "machines"}
PERSONAL: dict[str, Callable[[Values], tuple[str, str]]] = {
    "me": lambda values: ("person", values.owner("me").name),
    "first": lambda values: ("person", values.owner("first").name.split()[0]),
    "person": lambda values: ("person", values.person()),
    "agent": lambda values: ("person", values.pick("agents")),
    "email": lambda values: ("email", values.owner("email").email),
    "phone": lambda values: ("phone", values.owner("phone").phone),
    "address": lambda values: ("address", values.owner("address").address),
}


def make_persona(rng: random.Random, names: dict[str, list[str]]) -> Persona:
    """Draw a name and everything that goes with it."""
    name = rng.choice(names["people"])
    address = f"{rng.choice(names['streets'])}, {rng.choice(names['cities'])}"
    return Persona(name, make_email(rng, name), make_phone(rng), address)


def make_email(rng: random.Random, name: str) -> str:
    """Make an address out of a name, in one of the usual ways."""
    plain = unicodedata.normalize("NFKD", name.replace("ł", "l").replace("ø", "o"))
    words = re.sub(r"[^a-z ]", "", plain.lower()).split()
    first, last = words[0], words[-1]
    year = rng.randint(61, 99)
    styles = [f"{first}.{last}", f"{first[0]}{last}", f"{last}_{first}", f"{first}{year}"]
    local = rng.choice([*styles, f"{last}.{year}"])
    return f"{local}@{rng.choice(MAIL_DOMAINS)}"


def make_phone(rng: random.Random) -> str:
    """Make a phone number nobody has."""
    return digits(rng, rng.choice(PHONES), wildcard="x")


def digits(rng: random.Random, pattern: str, *, wildcard: str = "n") -> str:
    """Replace each wildcard of the pattern by a digit."""
    return re.sub(wildcard, lambda _: rng.choice(string.digits), pattern)


def grouped(rng: random.Random, number: str) -> str:
    """Write a number as people do: in one piece, or in fours with spaces or hyphens."""
    return rng.choice(["", " ", "-", " "]).join(re.findall(".{1,4}", number))


def luhn_sum(number: str) -> int:
    """Return the Luhn sum modulo 10, 0 for a valid number. Source: ISO/IEC 7812-1, annex B."""
    doubled = [2 * int(digit) for digit in number[-2::-2]]
    return (sum(map(int, number[-1::-2])) + sum(map(int, "".join(map(str, doubled))))) % 10


def iban_remainder(iban: str) -> int:
    """Return the IBAN modulo 97, 1 for a valid one. Source: ISO 13616-1."""
    return int("".join(str(int(letter, 36)) for letter in iban[4:] + iban[:4])) % 97


def make_ssn(rng: random.Random) -> str:
    """Make a number the Social Security Administration could have given out."""
    area = rng.choice([number for number in range(1, 900) if number != 666])
    ssn = f"{area:03}-{rng.randint(1, 99):02}-{rng.randint(1, 9999):04}"
    return make_ssn(rng) if ssn in PRINTED_SSNS else ssn


def make_card(rng: random.Random) -> str:
    """Pick a test card."""
    return grouped(rng, rng.choice(TEST_CARDS))


def bare_iban(rng: random.Random) -> str:
    """Make an IBAN of a made-up account, without spaces."""
    country = rng.choice(list(IBAN_ACCOUNTS))
    account = digits(rng, IBAN_ACCOUNTS[country])
    check = (98 - iban_remainder(f"{country}00{account}")) % 97
    return f"{country}{check or 97:02}{account}"


def hides_card(iban: str) -> bool:
    """Tell whether some fours of the IBAN, read alone, would pass for a card number."""
    fours = re.findall(".{1,4}", iban)
    runs = ("".join(fours[i:j]) for i in range(len(fours)) for j in range(i + 1, len(fours) + 1))
    return any(run.isdigit() and 13 <= len(run) <= 19 and luhn_sum(run) == 0 for run in runs)


def spaced(rng: random.Random, iban: str) -> str:
    """Write an IBAN in one piece or, more often, in fours."""
    return rng.choice(["", " ", " "]).join(re.findall(".{1,4}", iban))


def make_iban(rng: random.Random) -> str:
    """Make a valid IBAN, and no other valid id within it."""
    iban = bare_iban(rng)
    return make_iban(rng) if hides_card(iban) else spaced(rng, iban)


def wrong_ssn(rng: random.Random) -> str:
    """Make a number shaped like an SSN which none can be."""
    patterns = ("000-nn-nnnn", "666-nn-nnnn", "9nn-nn-nnnn", "4nn-00-nnnn", "2nn-nn-0000")
    return digits(rng, rng.choice(patterns))


def wrong_card(rng: random.Random) -> str:
    """Make 16 digits that fail the Luhn check."""
    number = digits(rng, "nnnnnnnnnnnnnnnn")
    return wrong_card(rng) if luhn_sum(number) == 0 else grouped(rng, number)


def wrong_iban(rng: random.Random) -> str:
    """Make an IBAN with one digit wrong, which the check digits always show."""
    iban = bare_iban(rng)
    iban = iban[:-1] + str((int(iban[-1]) + rng.randint(1, 9)) % 10)
    return wrong_iban(rng) if hides_card(iban) else spaced(rng, iban)


def make_order(rng: random.Random) -> str:
    """Make an order number, in one of the shop's three styles; 16 digits fail the Luhn check."""
    styles = [digits(rng, "LL-nnnnnnnn"), digits(rng, "#7nnnnnn"), wrong_card(rng).replace(" ", "")]
    return rng.choice(styles)


def make_tracking(rng: random.Random) -> str:
    """Make a tracking number; it's too long, or too short, for a card."""
    patterns = ("1Z999EXnnnnnnnnnnn", "94nnnnnnnnnnnnnnnnnnnn", "XSnnnnnnnnnUS")
    return digits(rng, rng.choice(patterns))


def make_amount(rng: random.Random) -> str:
    """Make a price."""
    return f"${rng.randint(9, 480)}.{rng.choice(['00', '50', '90', '95', '99'])}"


def make_date(rng: random.Random) -> str:
    """Make a day, in one of the ways days are written."""
    month, day = rng.randint(2, 12), rng.randint(1, 28)
    return rng.choice([f"March {day}", f"{month}/{day}", "the 14th", "May 2nd"])


IMPERSONAL: dict[str, tuple[str, Callable[[random.Random], str]]] = {
    "ssn": ("ssn", make_ssn),
    "card": ("card", make_card),
    "iban": ("iban", make_iban),
    "badssn": ("", wrong_ssn),
    "badcard": ("", wrong_card),
    "badiban": ("", wrong_iban),
    "order": ("", make_order),
    "tracking": ("", make_tracking),
}
EVERYDAY: dict[str, Callable[[random.Random], str]] = {
    "amount": make_amount,
    "date": make_date,
    "weekday": lambda rng: rng.choice(WEEKDAYS),
}
