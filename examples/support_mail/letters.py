"""Puts together the example letters that teach a model to find personal data in a whole mail.

A sentence with a name teaches what a name is; a letter teaches where names stand, and that most
of a mail is none. The words are in ``data/letter_phrases.txt`` and ``data/pii_phrases.txt``.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from composing import quote

#: How many sentences of each sort a letter has, each number as likely as it stands here.
NUM_TELLING, NUM_HARD, NUM_FILLERS = (0, 0, 1, 1, 2, 2), (0, 0, 0, 1), (1, 2, 2, 3, 4)
P_GREETING, P_CLOSING, P_QUOTED = 0.7, 0.75, 0.12
#: Names beside those of the examples: their parts joined anew.
NUM_JOINED_NAMES = 300

Phrases = dict[str, list[str]]


@dataclass(frozen=True)
class LetterComposer:
    """Writes marked-up letters out of phrases."""

    phrases: Phrases
    rng: random.Random

    def compose(self) -> str:
        """Write one letter, between a line and a page long."""
        body = [
            *self._some("entities", NUM_TELLING),
            *self._some("hard", NUM_HARD),
            *self._some("filler", NUM_FILLERS),
        ]
        self.rng.shuffle(body)
        blocks = [self.rng.choice([" ", " ", "\n\n"]).join(body)]
        if self._happens(P_GREETING):
            blocks.insert(0, self._pick("greeting"))
        if self._happens(P_CLOSING):
            blocks.append(self._pick("closing"))
        if self._happens(P_QUOTED):
            blocks.append(quote(self._pick("quoted"), self._pick("filler"), 0))
        return self.rng.choice(["\n\n", "\n\n", "\n"]).join(blocks)

    def _some(self, head: str, numbers: tuple[int, ...]) -> list[str]:
        return self.rng.sample(self.phrases[head], self.rng.choice(numbers))

    def _pick(self, head: str) -> str:
        return self.rng.choice(self.phrases[head])

    def _happens(self, chance: float) -> bool:
        return self.rng.random() < chance


def within_a_letter(phrases: Phrases) -> Phrases:
    """Keep of the short texts those that may stand in the middle of a letter."""
    return {
        head: [line for line in lines if "\n" not in line and not line.endswith("wrote:")]
        for head, lines in phrases.items()
    }


def with_joined_names(people: list[str], rng: random.Random) -> list[str]:
    """Add names made of one person's first and another's last."""
    parts = [name.split(maxsplit=1) for name in people]
    joined = (f"{rng.choice(parts)[0]} {rng.choice(parts)[1]}" for _ in range(NUM_JOINED_NAMES))
    return [*people, *joined]
