"""Short replies to mails: a greeting by name, a word on the topic, what happens next."""

from __future__ import annotations

import random
import re
from functools import cache

from pools import Pool
from topics import BY_MODEL, TOPICS, mail

from smallfirst.catalogue import Example, Kind, Task

#: A name that a mail is signed with: the last line that looks like one.
SIGNED = re.compile(r"^(?:Cheers )?([A-ZÀ-Ž][\w'-]+)(?: [A-ZÀ-Ž][\w'-]+)*$")
NOT_A_NAME = {"Hi", "Hey", "Hello", "Thanks", "Best", "Regards", "Sincerely", "Yours", "Cheers"}
SORRY = {
    "billing": "We are sorry for the trouble with the payment.",
    "delivery": "We are sorry that you have to wait for your parcel.",
    "return": "We are sorry that the goods are not what you hoped for.",
    "product_question": "Thank you for your question about our goods.",
    "account": "We are sorry for the trouble with your account.",
    "complaint": "We are sorry for how you were treated.",
    "other": "Thank you for writing to us.",
}
NEXT = {
    "billing": "Our bookkeeping checks the amount and writes to you within two days.",
    "delivery": "We ask the courier today and tell you where it is.",
    "return": "We send you a label, and after that a refund or a new one.",
    "product_question": "A colleague who knows the product will answer today.",
    "account": "We check your login and send you a mail with the next step.",
    "complaint": "A manager will look into it and call you.",
    "other": "We have passed your mail on to the right person.",
}


@cache
def demo_task() -> Task:
    """Ask as the demo's catalogue does."""
    return Task(
        kind=Kind.GENERATE,
        description="A first short reply to a mail, to be read by a person before it is sent.",
        max_answer_tokens=80,
        cascade=BY_MODEL,
    )


def reply_example(words: Pool, topic: str, rng: random.Random) -> Example:
    """Write a mail with a fitting reply."""
    text = mail(words, topic, rng)
    return Example(text=text, reply=reply_to(text, topic))


def reply_to(text: str, topic: str) -> str:
    """Write the reply to a mail on a topic."""
    name = _signed_by(text)
    greeting = f"Hello {name}," if name else "Hello,"
    return f"{greeting}\n{SORRY[topic]} {NEXT[topic]}\nLadle & Larch"


def _signed_by(text: str) -> str | None:
    for line in reversed(text.splitlines()[1:]):
        found = SIGNED.match(line.strip())
        if found and found[1] not in NOT_A_NAME:
            return found[1]
    return None


__all__ = ["TOPICS", "demo_task", "reply_example", "reply_to"]
