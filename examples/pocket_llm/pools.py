"""The two pools of words, train and held-out, and how numbers, dates and amounts are written.

Every text the pocket model learns from or is tested on draws from exactly one of them: other
phrases, other names, other firms, another seed. The support mail's frame (greetings, closings,
typing habits, made-up numbers) serves both; what its mails ask for serves neither, so that those
mails stay an honest test.
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
SUPPORT_MAIL = HERE.parent / "support_mail"
sys.path.insert(0, str(SUPPORT_MAIL))

from generate_mails import names_of  # noqa: E402  (the path is set above)
from markup import phrase_lists  # noqa: E402

POOLS = ("train", "heldout")
SEEDS = {"train": "pocket", "heldout": "unseen"}
#: Whose people, streets and cities of the support mail a pool uses.
SPLITS = {"train": "example", "heldout": "mail"}
#: Sections of the support mail's phrases that say nothing of a topic.
FRAME = ("greeting", "closing", "opener", "reply", "decoy", "urgency high", "urgency normal",
         "urgency low", "aside language")  # fmt: skip
#: The share of names that are made of syllables, so that copying is learnt and not names.
P_MADE_NAME, P_SPLICED = 0.65, 0.6
P_MIDDLE = 0.4
#: What is taken for a word of a phrase: not a slot, and long enough to be cut.
WORD = re.compile(r"(?<![{\w])[A-Za-z]{3,}(?![}\w])")
ONSETS = [
    "b", "br", "c", "ch", "d", "f", "g", "gr", "h", "j", "k", "kl", "l", "m", "n", "p", "r", "s",
    "st", "t", "tr", "v", "w", "z",
]  # fmt: skip
VOWELS = ["a", "e", "i", "o", "u", "ai", "ea", "ie", "oa", "ou"]
CODAS = ["", "", "n", "r", "s", "l", "t", "nd", "ck", "m", "ston", "ley", "sen"]


@dataclass(frozen=True)
class Pool:
    """The words of one side: lists by kind of name, and phrases by head."""

    name: str
    names: dict[str, list[str]]
    phrases: dict[str, list[str]]

    def stream(self, name: str) -> random.Random:
        """Return a random stream that depends on nothing but the pool's seed and a name."""
        return random.Random(f"{SEEDS[self.name]} {name}")


@cache
def pool(name: str) -> Pool:
    """Read the words of one side."""
    phrases = _own(HERE / "data" / "phrases.txt", name)
    support = phrase_lists(SUPPORT_MAIL / "data" / "phrases.txt")
    frame = {head: support[head] for head in support if head in FRAME or head.startswith("ids ")}
    names = {**names_of(SPLITS[name]), **_own(HERE / "data" / "names.txt", name)}
    return Pool(name, names, {**frame, **phrases})


def _own(path: Path, name: str) -> dict[str, list[str]]:
    """Read the sections of a data file that belong to a pool."""
    lists = phrase_lists(path)
    return {head.split(" ", 1)[1]: lists[head] for head in lists if head.split()[0] == name}


def made_word(rng: random.Random) -> str:
    """Make a word nobody has seen: of syllables, or of the ends of two words of the training text.

    Syllables alone cover few of the tokens that a name may be written in, and a name of others was
    not copied to its end.
    """
    if rng.random() < P_SPLICED:
        first, second = rng.choice(_training_words()), rng.choice(_training_words())
        spliced = first[: rng.randint(2, len(first))] + second[rng.randint(0, len(second)) :]
        return spliced.capitalize()
    parts = [rng.choice(ONSETS) + rng.choice(VOWELS) for _ in range(rng.choice([1, 1, 2]))]
    middle = rng.choice(CODAS) if rng.random() < P_MIDDLE else ""
    return (middle.join(parts) + rng.choice(CODAS)).capitalize()


@cache
def _training_words() -> list[str]:
    """List the words of the training phrases, those that name something held out left out."""
    heldout = {word.lower() for line in _held_out_names() for word in line.split()}
    phrases = pool("train").phrases
    found = {
        word.lower()
        for head in sorted(phrases)
        for line in phrases[head]
        for word in WORD.findall(line)
    }
    return sorted(found - heldout)


def _held_out_names() -> list[str]:
    lists = _own(HERE / "data" / "names.txt", "heldout")
    return [line for head in sorted(lists) for line in lists[head]]


def firm(words: Pool, rng: random.Random) -> str:
    """Name a firm that sells something."""
    first, second = _maybe_made(words, "firms", rng), _maybe_made(words, "trades", rng)
    styles = [f"{first} {second}", f"{first} {second} Ltd", f"{first} & {made_word(rng)}"]
    return rng.choice([*styles, f"{first} {second} Inc.", f"{first} {second}"])


def _maybe_made(words: Pool, kind: str, rng: random.Random) -> str:
    if words.name == "train" and rng.random() < P_MADE_NAME:
        return made_word(rng)
    return rng.choice(words.names[kind])


def person(words: Pool, rng: random.Random) -> str:
    """Name a person."""
    if words.name == "train" and rng.random() < P_MADE_NAME:
        return f"{made_word(rng)} {made_word(rng)}"
    return rng.choice(words.names["people"])


def number(rng: random.Random) -> str:
    """Make the number of a paper: letters, digits, a year."""
    digits = "".join(rng.choices("0123456789", k=rng.randint(3, 6)))
    letters = "".join(rng.choices("ABCDEFGHJKLMNPRSTVWX", k=rng.choice([1, 2, 2, 3])))
    year = rng.randint(2021, 2026)
    return rng.choice([f"{letters}-{digits}", f"{year}-{digits}", f"{letters}{digits}", digits])


def day(rng: random.Random) -> date:
    """Draw a day of the last years."""
    return date(2021, 1, 1) + timedelta(days=rng.randrange(365 * 6))


def written_day(when: date, rng: random.Random) -> str:
    """Write a date in one of the ways that can be read in one way only."""
    month, short = f"{when:%B}", f"{when:%b}"
    styles = [f"{when.day} {month} {when.year}", f"{month} {when.day}, {when.year}",
              when.isoformat(), f"{when.day} {short} {when.year}"]  # fmt: skip
    return rng.choice(styles)


def cents(rng: random.Random) -> int:
    """Draw an amount in cents, small ones as often as large ones."""
    whole = rng.randrange(5, rng.choice([100, 1000, 1000, 9000]))
    return whole * 100 + rng.choice([0, 0, 50, 90, 95, 99, rng.randrange(100)])


def written_cents(amount: int, currency: str, rng: random.Random) -> str:
    """Write an amount with its currency, as `USD`, `EUR` or `GBP` is written."""
    plain = f"{amount / 100:.2f}"
    sign = {"USD": "$", "EUR": "€", "GBP": "£"}[currency]
    return rng.choice([f"{sign}{plain}", f"{plain} {currency}", f"{currency} {plain}"])


def some(rng: random.Random, options: Sequence[str]) -> str:
    """Pick one of the ways to say a thing."""
    return rng.choice(options)
