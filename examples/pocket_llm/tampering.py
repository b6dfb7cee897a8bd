"""Short papers, some of them altered, with the verdict and the line it rests on.

A paper is a few lines that can be checked each for itself: a sum, two dates, an amount in figures
and words, a number that is repeated, a note. At most one of them is wrong, or cannot be read.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from functools import cache

from pools import Pool, day, firm, number, person, some, written_day
from topics import BY_MODEL

from smallfirst.catalogue import Example, Kind, Task

QUESTION = "Was this paper altered, or does it contradict itself?"
QUESTIONS = (QUESTION, QUESTION, "Was this document tampered with?", "Is something wrong here?")
TENS = ("ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
HEADS = ("Receipt", "Delivery note", "Warranty card", "Expense claim", "Certificate", "Contract")
UNREADABLE = ("[illegible]", "[torn off]", "[smudged]", "[cannot be read]", "[covered by a stain]")
ALTERED = {
    "train": (
        "The {digit} in the total is in another ink.",
        "The date was written over.",
        "White correction fluid under the amount.",
        "The signature looks pasted in.",
        "A {digit} was made into a {other} with a pen.",
        "The total is printed in another typeface.",
        "Scratch marks where the number was.",
    ),
    "heldout": (
        "The {digit} in the date was made into a {other}.",
        "The amount was written over with a pen.",
        "Correction fluid where the number was.",
        "The total looks pasted in.",
    ),
}
HARMLESS = {
    "train": (
        "Paid in cash.",
        "Checked at the counter.",
        "Copy for the customer.",
        "Stamped by the office.",
        "Please keep this paper.",
        "Signed by both sides.",
        "Goods handed over in person.",
    ),
    "heldout": (
        "Paid at the counter.",
        "Checked and signed by the office.",
        "Please keep this copy.",
        "Goods handed over to the customer.",
    ),
}
VERDICTS, WEIGHTS = ("yes", "no", "unsure"), (42, 42, 16)
#: Lines of a paper that belong together, and the one of them that shows whether they are right.
Check = tuple[list[str], str]


@cache
def demo_task() -> Task:
    """Ask as the demo's catalogue does."""
    return Task(
        kind=Kind.JUDGE,
        description="Whether a paper can be trusted.",
        question=QUESTION,
        max_answer_tokens=64,
        cascade=BY_MODEL,
    )


def any_task(rng: random.Random) -> Task:
    """Ask the demo's question or another one of the same meaning."""
    question = rng.choice(QUESTIONS)
    if question == QUESTION:
        return demo_task()
    return Task(kind=Kind.JUDGE, question=question, cascade=BY_MODEL)


def paper_example(words: Pool, rng: random.Random) -> Example:
    """Write a paper with its verdict and the line it rests on."""
    verdict = rng.choices(VERDICTS, WEIGHTS)[0]
    makers = rng.sample(CHECKS, rng.choice([1, 2, 2, 3]))
    checks = [make(words, rng, is_wrong=False) for make in makers]
    telling = rng.randrange(len(checks)) if verdict != "no" else 0
    if verdict == "yes":
        checks[telling] = makers[telling](words, rng, is_wrong=True)
    if verdict == "unsure":
        checks[telling] = _unreadable(checks[telling], rng)
    head = [some(rng, HEADS), *_context(words, rng)]
    lines = head + [line for check, _ in checks for line in check]
    return Example(text="\n".join(lines), verdict=verdict, quote=checks[telling][1])


def _context(words: Pool, rng: random.Random) -> list[str]:
    by = some(rng, [f"Issued by {firm(words, rng)}", f"For {person(words, rng)}", ""])
    return [by] if by else []


def _unreadable(check: Check, rng: random.Random) -> Check:
    """Blot out what the telling line says."""
    lines, telling = check
    blotted = f"{telling.split(' ')[0]} {some(rng, UNREADABLE)}"
    return [blotted if line == telling else line for line in lines], blotted


def sum_check(_words: Pool, rng: random.Random, *, is_wrong: bool) -> Check:
    """Two amounts in tens and their total."""
    first, second = rng.randint(1, 8) * 10, rng.randint(1, 8) * 10
    right = first + second
    total = right + rng.choice([-1, 1]) * rng.choice([10, 30, 100]) if is_wrong else right
    total = total if total > 0 else right + 100
    told = f"Total: ${total}"
    return [f"{some(rng, ['Goods', 'Pans', 'Parts'])}: ${first}", f"Work: ${second}", told], told


def date_check(_words: Pool, rng: random.Random, *, is_wrong: bool) -> Check:
    """Something ordered, and paid later."""
    before = day(rng)
    after = before + timedelta(days=rng.randint(200, 900)) * (-1 if is_wrong else 1)
    first, second = rng.choice(
        [("Ordered", "Delivered"), ("Issued", "Paid"), ("Bought", "Returned"), ("Signed", "Ended")]
    )
    told = f"{second}: {written_day(after, rng)}"
    return [f"{first}: {written_day(before, rng)}", told], told


def words_check(_words: Pool, rng: random.Random, *, is_wrong: bool) -> Check:
    """An amount in figures and in words."""
    right, other = rng.sample(range(1, 10), 2)
    says = some(rng, ["Amount", "Deposit", "Fee", "Paid"])
    told = f"{says}: ${right * 10} ({TENS[(other if is_wrong else right) - 1]} dollars)"
    return [told], told


def number_check(_words: Pool, rng: random.Random, *, is_wrong: bool) -> Check:
    """A number at the top that is repeated at the end."""
    first = number(rng)
    again = first
    while is_wrong and again == first:
        at = rng.choice([i for i, letter in enumerate(first) if letter.isdigit()])
        again = first[:at] + rng.choice("0123456789") + first[at + 1 :]
    told = f"{some(rng, ['Repeat of number', 'Page 2 of', 'Copy of'])} {again}"
    return [f"Number: {first}", told], told


def note_check(words: Pool, rng: random.Random, *, is_wrong: bool) -> Check:
    """A note of somebody who has looked at the paper."""
    digit, other = rng.sample("123456789", 2)
    notes = (ALTERED if is_wrong else HARMLESS)[words.name]
    note = rng.choice(notes).format(digit=digit, other=other)
    told = f"{some(rng, ['Note:', 'Remark:', 'Clerk:'])} {note}"
    return [told], told


CHECKS: tuple[Callable[..., Check], ...] = (
    sum_check, date_check, words_check, number_check, note_check,
)  # fmt: skip
