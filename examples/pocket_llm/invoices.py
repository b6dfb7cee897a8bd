"""Invoices as text with the record that is to be read out of them."""

from __future__ import annotations

import random
from datetime import date, timedelta
from functools import cache

from pools import Pool, cents, day, firm, number, person, some, written_cents, written_day
from topics import BY_MODEL

from smallfirst.catalogue import Example, Kind, RecordField, Task

FIELDS = {
    "vendor": RecordField(description="firm that sends the invoice"),
    "number": RecordField(description="number of the invoice"),
    "date": RecordField(type="date", description="day of the invoice"),
    "due": RecordField(type="date", description="last day to pay", optional=True),
    "total": RecordField(type="number", description="amount to pay"),
    "currency": RecordField(description="three letters"),
}
#: A field more, asked for at times so that the list of fields is read.
CUSTOMER = {"customer": RecordField(description="who is to pay")}
P_DEMO_FIELDS, P_DUE, P_PROSE = 0.8, 0.6, 0.3
CURRENCIES = ("USD", "USD", "EUR", "GBP")
#: How a paper announces each of its facts.
SAYS = {
    "number": ("Invoice no.", "Number:", "No.", "Invoice number:", "Ref:"),
    "date": ("Date:", "Issued", "Invoice date:", "Date of issue:"),
    "customer": ("Bill to:", "Customer:", "To:", "Billed to:"),
    "due": ("Due:", "Pay by", "Payable until", "Due date:", "Please pay by"),
    "total": ("Total:", "Total due:", "Amount due:", "TOTAL", "To pay:", "Grand total:"),
}
Record = dict[str, str | float | None]


@cache
def demo_task() -> Task:
    """Ask for the fields of the demo's catalogue."""
    return Task(
        kind=Kind.EXTRACT,
        description="What an invoice says.",
        fields=FIELDS,
        max_answer_tokens=160,
        cascade=BY_MODEL,
    )


def any_task(rng: random.Random) -> Task:
    """Ask for the demo's fields, or for some of them in another order."""
    if rng.random() < P_DEMO_FIELDS:
        return demo_task()
    known = {**FIELDS, **CUSTOMER}
    fields = {name: known[name] for name in rng.sample(list(known), rng.randint(2, 5))}
    return Task(kind=Kind.EXTRACT, fields=fields, cascade=BY_MODEL)


def invoice_example(words: Pool, task: Task, rng: random.Random) -> Example:
    """Write an invoice with its record."""
    record = _record(words, rng)
    write = _prose if rng.random() < P_PROSE else _paper
    text = write(words, record, rng)
    return Example(text=text, record={name: record[name] for name in task.fields})


def _record(words: Pool, rng: random.Random) -> Record:
    issued = day(rng)
    due = issued + timedelta(days=rng.choice([7, 10, 14, 21, 30, 30, 45, 60]))
    return {
        "vendor": firm(words, rng),
        "number": number(rng),
        "date": issued.isoformat(),
        "due": due.isoformat() if rng.random() < P_DUE else None,
        "total": cents(rng) / 100,
        "currency": rng.choice(CURRENCIES),
        "customer": some(rng, ["Ladle & Larch", person(words, rng), firm(words, rng)]),
    }


def _paper(words: Pool, record: Record, rng: random.Random) -> str:
    """Write it as it looks on paper: lines in one of several orders."""
    sender, head = str(record["vendor"]), some(rng, ["INVOICE", "Invoice", "Bill", "Tax invoice"])
    facts = [
        f"{some(rng, SAYS['number'])} {record['number']}",
        f"{some(rng, SAYS['date'])} {_day(record, 'date', rng)}",
        f"{some(rng, SAYS['customer'])} {record['customer']}",
    ]
    if record["due"]:
        facts.append(f"{some(rng, SAYS['due'])} {_day(record, 'due', rng)}")
    rng.shuffle(facts)
    top = [head, sender] if rng.random() < 0.5 else [sender, head]
    if rng.random() < 0.15:
        top, facts = [head], [*facts, f"From: {sender}"]
    return "\n".join([*top, *facts, *_items(words, record, rng), *_foot(rng)])


def _items(words: Pool, record: Record, rng: random.Random) -> list[str]:
    currency = str(record["currency"])
    lines = [f"{rng.randint(1, 60)} x {rng.choice(words.names['items'])}"]
    if rng.random() < 0.4:
        lines.append(
            f"{some(rng, ['VAT', 'Tax', 'Shipping'])} {written_cents(cents(rng), currency, rng)}"
        )
    return [*lines, f"{some(rng, SAYS['total'])} {_total(record, rng)}"]


def _foot(rng: random.Random) -> list[str]:
    says = ["Thank you for your business.", "Please quote the number.", "VAT included.", "", "", ""]
    return [line for line in [some(rng, says)] if line]


def _prose(words: Pool, record: Record, rng: random.Random) -> str:
    """Write it as a mail."""
    vendor, made = record["vendor"], rng.choice(words.names["items"])
    opening = some(
        rng, ["Hello,", "Dear customer,", f"Dear {record['customer']},", "Good morning,"]
    )
    first = some(
        rng,
        [
            f"please find below our invoice {record['number']} of {_day(record, 'date', rng)}",
            f"this is invoice {record['number']}, dated {_day(record, 'date', rng)},",
            f"on {_day(record, 'date', rng)} we issued invoice {record['number']}",
        ],
    )
    amount = f"{first} for {made}. {some(rng, ['The total is', 'You owe us', 'The amount is'])}"
    due = f" Please pay by {_day(record, 'due', rng)}." if record["due"] else ""
    to = "" if str(record["customer"]) in opening else f" Billed to {record['customer']}."
    signed = some(rng, ["Regards,", "Kind regards", "Yours,", "Accounts"])
    return f"{opening}\n{amount} {_total(record, rng)}.{due}{to}\n{signed}\n{vendor}"


def _day(record: Record, name: str, rng: random.Random) -> str:
    return written_day(date.fromisoformat(str(record[name])), rng)


def _total(record: Record, rng: random.Random) -> str:
    return written_cents(round(float(record["total"] or 0) * 100), str(record["currency"]), rng)
