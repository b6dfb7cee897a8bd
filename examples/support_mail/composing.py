"""Puts a mail together from phrases: what is asked, what is told around it, how it is signed.

Owns the shape of a mail and its gold topic and urgency; the words are in ``data/phrases.txt``.
"""

from __future__ import annotations

import random
import textwrap
from dataclasses import dataclass

from markup import choose

TOPICS = (
    "billing", "delivery", "return", "product_question", "account", "complaint", "other",
)  # fmt: skip
URGENCIES = ("high", "normal", "low")
#: How often a request that may be of any urgency is of each.
URGENCY_WEIGHTS = (20, 66, 14)
#: How often an urgency is said in a line of its own: where nothing else tells it, and where
#: the request tells it already.
P_LINE_IF_FREE = {"high": 1.0, "normal": 0.5, "low": 1.0}
P_LINE_IF_TOLD = 0.3
#: Chances of the other parts a mail may or may not have.
P_BARE = 0.16
P_GREETING, P_OPENER, P_CLOSING, P_THREAD = 0.8, 0.2, 0.8, 0.08
P_ID, P_DECOY, P_ASIDE, P_SECOND_TOPIC = 0.43, 0.2, 0.28, 0.07
NUM_STORIES_IN_LONG_MAIL = 6
NUM_QUOTED_IN_LONG_MAIL = 3
QUOTE_WIDTH = 90
SHOP_EMAIL = "support@ladleandlarch.example"


@dataclass(frozen=True)
class Draft:
    """Marked-up text of a mail with what it is about."""

    marked_up: str
    topic: str
    urgency: str


@dataclass(frozen=True)
class Request:
    """What a mail asks for. Urgency "any": something else has to say how urgently."""

    text: str
    urgency: str
    is_whole_mail: bool


def requests(topic: str, phrases: dict[str, list[str]]) -> list[Request]:
    """Return all that is ever asked on a topic."""
    return [
        Request(text, urgency, is_whole_mail=kind == "whole")
        for kind in ("scenario", "whole")
        for urgency in ("any", *URGENCIES)
        for text in phrases.get(f"{kind} {topic} {urgency}", [])
    ]


@dataclass(frozen=True)
class Composer:
    """Writes mails on one topic. What a mail asks first is its topic, whatever comes along."""

    topic: str
    rng: random.Random
    phrases: dict[str, list[str]]

    def compose(self, request: Request, *, is_long: bool) -> Draft:
        """Write one mail; a long one has more than 600 words and a quoted thread."""
        urgency = request.urgency
        if request.is_whole_mail:
            return self._draft(urgency, [request.text])
        if urgency == "any":
            urgency = self.rng.choices(URGENCIES, URGENCY_WEIGHTS)[0]
        chance = P_LINE_IF_FREE[urgency] if request.urgency == "any" else P_LINE_IF_TOLD
        pressing = self._urgency_line(urgency) if self._happens(chance) else []
        if self._happens(P_BARE) and not is_long:
            return self._draft(urgency, [" ".join([request.text, *pressing])])
        return self._draft(urgency, self._letter(request, pressing, is_long=is_long))

    def _letter(self, request: Request, pressing: list[str], *, is_long: bool) -> list[str]:
        """Write a mail with all that belongs to one, paragraph by paragraph."""
        details = self.phrases[f"detail {self.topic}"]
        body = [request.text, *self.rng.sample(details, self.rng.choice([0, 0, 1, 1, 2]))]
        tail = [*self._extras(), *pressing]
        self.rng.shuffle(tail)
        paragraphs = self._lay_out(body, tail)
        if is_long:
            paragraphs[1:1] = self.rng.sample(self.phrases["story"], NUM_STORIES_IN_LONG_MAIL)
        return [*self._opening(), *paragraphs, *self._ending(is_long=is_long)]

    def _draft(self, urgency: str, paragraphs: list[str]) -> Draft:
        return Draft(choose("\n\n".join(paragraphs), self.rng), self.topic, urgency)

    def _urgency_line(self, urgency: str) -> list[str]:
        """Say how urgent it is, in general words or in those of the topic."""
        of_topic = self.phrases.get(f"urgency {self.topic} {urgency}", [])
        return [self.rng.choice(self.phrases[f"urgency {urgency}"] + of_topic)]

    def _extras(self) -> list[str]:
        """Draw what muddies a mail: ids, numbers like ids, words or wishes of other topics."""
        lines = []
        if self._happens(P_ID):
            lines.append(self._pick(f"ids {self.topic}"))
        if self._happens(P_DECOY):
            lines.append(self._pick("decoy"))
        others = [topic for topic in TOPICS if topic not in {self.topic, "other"}]
        if self.topic != "other" and self._happens(P_ASIDE):
            lines.append(self._pick(f"aside {self.rng.choice([*others, 'other', 'language'])}"))
        if self.topic != "other" and self._happens(P_SECOND_TOPIC):
            second = self._pick(f"scenario {self.rng.choice(others)} any")
            lines.append(f"[Another thing:|And besides:|Second point.] {second}")
        return lines

    def _lay_out(self, body: list[str], tail: list[str]) -> list[str]:
        """Make one, two or many paragraphs of the sentences."""
        style = self.rng.choice(["one", "two", "two", "many"])
        if style == "one":
            return [" ".join(body + tail)]
        rest = [" ".join(tail)] if style == "two" else tail
        return [paragraph for paragraph in [" ".join(body), *rest] if paragraph]

    def _opening(self) -> list[str]:
        """Greet, and sometimes say something polite."""
        greeting = [self._pick("greeting")] if self._happens(P_GREETING) else []
        return greeting + ([self._pick("opener")] if self._happens(P_OPENER) else [])

    def _ending(self, *, is_long: bool) -> list[str]:
        """Sign, and quote what was written before: always in a long mail, at times in others."""
        lines = [self._pick("closing")] if is_long or self._happens(P_CLOSING) else []
        if is_long:
            return lines + [self._quoted(depth) for depth in range(NUM_QUOTED_IN_LONG_MAIL)]
        return lines + ([self._quoted(0)] if self._happens(P_THREAD) else [])

    def _quoted(self, depth: int) -> str:
        """Quote the shop, and below it the writer, who wasn't always on the same topic."""
        if depth % 2 == 0:
            header = f"On {{weekday}}, {{agent}} <{{email:{SHOP_EMAIL}}}> wrote:"
            return quote(header, choose(self._pick("reply"), self.rng), depth)
        topic = self.rng.choice([self.topic, self.topic, "delivery", "billing"])
        earlier = choose(self._pick(f"scenario {topic} any"), self.rng)
        return quote("On {date}, {me} <{email}> wrote:", earlier, depth)

    def _pick(self, head: str) -> str:
        return self.rng.choice(self.phrases[head])

    def _happens(self, chance: float) -> bool:
        return self.rng.random() < chance


def quote(header: str, text: str, depth: int) -> str:
    """Set the header at a quoting depth and the text one below."""
    mark = "> " * depth
    lines = textwrap.wrap(text, QUOTE_WIDTH, break_long_words=False, break_on_hyphens=False)
    return "\n".join([f"{mark}{header}", *(f"{mark}> {line}" for line in lines)])
