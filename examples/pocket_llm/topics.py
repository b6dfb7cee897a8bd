"""Mails of a topic, and the many ways in which a prompt may list the topics.

A mail is put together by the support mail's own composer, from this folder's phrases.
"""

from __future__ import annotations

import json
import random
from functools import cache

from pools import SUPPORT_MAIL, Pool, pool

from composing import TOPICS, Composer, Request  # isort: skip
from entities import Values  # isort: skip
from markup import choose, join, pieces  # isort: skip
from noise import pick_style  # isort: skip

from smallfirst.catalogue import Example, Kind, ModelStep, Task

#: Steps are not read by the prompt; a task cannot be without.
BY_MODEL = (ModelStep(model="pocket"),)
#: The demo's own words first; the others teach the model to read what the list says.
MEANINGS = {
    "billing": [
        "invoices, payments, refunds that did not arrive",
        "charges, invoices, prices, vouchers, ways to pay",
        "money, bills and cards",
    ],
    "delivery": [
        "where a parcel is, late or lost, how it is sent",
        "when, how and to where a parcel comes, what is missing from it",
        "parcels, couriers and tracking",
    ],
    "return": [
        "sending something back, damaged or faulty goods, exchanges",
        "goods sent back, exchanged or under guarantee, and the refund for them",
        "broken or unwanted things",
    ],
    "product_question": [
        "what a product is, does, fits or contains",
        "how a product is used, what it is made of, when it is in stock",
        "questions about goods",
    ],
    "account": [
        "signing in, passwords, addresses, newsletters, data protection",
        "login, profile, security, points, stored data",
        "the customer's login and data",
    ],
    "complaint": [
        "how somebody was treated, quality of service",
        "rude staff, broken promises, nobody answers",
        "anger about people and service",
    ],
    "other": [
        "not for support at all",
        "spam, offers, applications, private mail",
        "nothing a customer asks",
    ],
}
ALIASES = {
    "billing": ["payment", "money", "invoice"],
    "delivery": ["shipping", "parcel", "transport"],
    "return": ["returns", "exchange", "send_back"],
    "product_question": ["product", "goods", "item_question"],
    "account": ["login", "profile", "customer_data"],
    "complaint": ["service", "anger", "staff"],
    "other": ["none", "not_support", "misc"],
}
DESCRIPTIONS = (
    "Which team answers this mail.", "Topic of a mail to a shop.", "What the writer wants.", "",
)  # fmt: skip
P_SECOND_REQUEST, P_LOSSY, P_LOST_WORD = 0.15, 0.4, 0.15
P_DEMO_PROMPT, P_ALIASES, P_BARE_LIST, P_SHORT_MAIL, P_BY_HAND = 0.75, 0.25, 0.3, 0.45, 0.25


@cache
def demo_task() -> Task:
    """Ask as the demo's catalogue does."""
    return Task(
        kind=Kind.CLASSIFY,
        description=DESCRIPTIONS[0],
        labels={topic: meanings[0] for topic, meanings in MEANINGS.items()},
        cascade=BY_MODEL,
    )


def any_task(rng: random.Random) -> tuple[Task, dict[str, str]]:
    """Ask as the demo does, or with a shuffled, short, renamed list; name each topic's label."""
    if rng.random() < P_DEMO_PROMPT:
        return demo_task(), {topic: topic for topic in TOPICS}
    topics = rng.sample(TOPICS, rng.randint(3, len(TOPICS)))
    has_aliases, is_bare = rng.random() < P_ALIASES, rng.random() < P_BARE_LIST
    names = {t: rng.choice(ALIASES[t]) if has_aliases else t for t in topics}
    labels = {names[t]: "" if is_bare else rng.choice(MEANINGS[t]) for t in topics}
    task = Task(
        kind=Kind.CLASSIFY, description=rng.choice(DESCRIPTIONS), labels=labels, cascade=BY_MODEL
    )
    return task, names


def mail(words: Pool, topic: str, rng: random.Random, p_short: float = P_SHORT_MAIL) -> str:
    """Write a mail on a topic: the request alone, or a letter around it."""
    if words.name == "train" and rng.random() < P_BY_HAND:
        return rng.choice(_by_hand()[topic])
    asked = rng.choice(words.phrases[topic])
    if words.name == "train":
        asked = _varied(choose(asked, rng), words.phrases[topic], rng)
    request = Request(asked, "any", rng.random() < p_short)
    draft = Composer(topic, rng, _heads(words.name)).compose(request, is_long=False)
    style = pick_style(rng)
    values = Values(rng, words.names, has_writer=True)
    return join(style(part, rng) for part in pieces(draft.marked_up, values.fill))[0]


def _varied(asked: str, others: list[str], rng: random.Random) -> str:
    """Lose some words, or ask for two things at once: no request is read twice alike."""
    if rng.random() < P_SECOND_REQUEST:
        asked = f"{asked} {choose(rng.choice(others), rng)}"
    if rng.random() > P_LOSSY:
        return asked
    kept = [word for word in asked.split(" ") if "{" in word or rng.random() > P_LOST_WORD]
    return " ".join(kept) or asked


def mail_example(
    words: Pool, topic: str, label: str, rng: random.Random, p_short: float = P_SHORT_MAIL
) -> Example:
    """Write a mail with its label."""
    return Example(text=mail(words, topic, rng, p_short), label=label)


@cache
def _heads(name: str) -> dict[str, list[str]]:
    """Give the composer a pool's phrases under the heads it knows."""
    words = pool(name)
    heads = dict(words.phrases)
    for topic in TOPICS:
        heads[f"scenario {topic} any"] = words.phrases[topic]
        heads[f"aside {topic}"] = words.phrases["aside"]
    return {head: lines for head, lines in heads.items() if lines}


@cache
def _by_hand() -> dict[str, list[str]]:
    """Read the examples that the demo's own small model learns from: for training, never tests."""
    rows = (SUPPORT_MAIL / "examples" / "topic.jsonl").read_text(encoding="utf-8").splitlines()
    examples = [json.loads(row) for row in rows]
    return {t: [row["text"] for row in examples if row["label"] == t] for t in TOPICS}


__all__ = ["TOPICS", "any_task", "demo_task", "mail", "mail_example"]
