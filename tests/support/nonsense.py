"""Nonsense of every kind that reaches a fleet: texts, JSON, bytes and stream entries."""

import json
from typing import Any

from hypothesis import strategies as st

from smallfirst.jobs import Priority

#: Each has broken some reader of texts or JSON before.
NASTY_TEXTS = (
    "\x00",
    "\ud800",
    "\u202e\u2066reversed\u2069",
    "\ufeff",
    "\ufdfa" * 500,
    "e" + "\u0301" * 2000,
    "👩‍👩‍👧‍👦" * 200,
    "\r\n\x1b[2J",
    "NaN",
    "{{config}}",
    "<|end|><|system|>",
    "a" * 90_000,
    " ",
    "",
)
NASTY_NUMBERS = ("NaN", "Infinity", "-Infinity", "1e999", "9" * 5000, "-0", "0.1e-400")

texts = st.one_of(st.text(), st.sampled_from(NASTY_TEXTS))
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), texts)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=10,
)
#: Jobs as their producers mean them, so that what is accepted is among what is drawn.
JOBS: dict[str, Any] = {
    "id": st.from_regex(r"[0-9a-z][0-9a-z_.:\-]{0,10}", fullmatch=True),
    "task": st.sampled_from(["ids", "topic", "no_such_task", "Not A Name"]),
    "text": texts,
    "priority": st.sampled_from([*map(str, Priority), "at once"]),
    "deadline": st.one_of(st.floats(), st.integers(), texts),
    "explain": st.one_of(st.booleans(), scalars),
    "first_tier": st.sampled_from(["rule", "slm", "llm", "human", "god"]),
    "last_tier": st.sampled_from(["rule", "slm", "llm", "human", 7]),
    "metadata": st.one_of(st.dictionaries(texts, texts, max_size=3), values),
    "reply_to": st.one_of(st.just("me"), texts),
    "traceparent": texts,
}


@st.composite
def jobs(draw: st.DrawFn) -> bytes:
    """A job as JSON: right, with wrong values, with fields missing, doubled or made up."""
    optional = draw(st.sets(st.sampled_from([*JOBS][3:]), max_size=2))
    fields = {name: draw(JOBS[name]) for name in ("id", "task", "text", *sorted(optional))}
    if draw(st.integers(0, 3)) == 0:
        fields[draw(st.sampled_from([*fields, "made_up"]))] = draw(values)
    if draw(st.integers(0, 5)) == 0:
        del fields[draw(st.sampled_from([*fields]))]
    written = json.dumps(fields)
    if draw(st.integers(0, 5)) == 0:
        number = draw(st.sampled_from(NASTY_NUMBERS))
        written = written[:-1] + f', "deadline": {number}' + "}"
    return written.encode()


broken_json = st.one_of(
    st.binary(max_size=200),
    st.just(b"[" * 100_000),
    st.just(b'{"a":' * 50_000),
    st.builds(lambda raw, cut: raw[: cut % (len(raw) + 1)], jobs(), st.integers(0, 300)),
    st.builds(lambda value: json.dumps(value).encode(), values),
)
#: What may stand in the stream that producers write to.
submissions = st.one_of(
    st.builds(lambda raw: {b"job": raw}, jobs()),
    st.builds(lambda raw: {b"job": raw}, jobs()),
    st.builds(lambda raw: {b"job": raw}, broken_json),
    st.builds(lambda raw: {b"cancel": raw}, st.one_of(st.binary(max_size=50), st.just(b"a1"))),
    st.dictionaries(st.binary(min_size=1, max_size=10), st.binary(max_size=50), min_size=1),
)
#: Moments as a clock, a broken clock or malice would have them.
moments = st.one_of(st.integers(0, 2**42), st.sampled_from([-1, -(10**18), 2**48, 2**63, 10**30]))
#: Notes of the router that read well and say anything.
slips = st.fixed_dictionaries(
    {
        "task": st.sampled_from(["topic", "ids", "gone"]),
        "step": st.sampled_from([0, 1, 7, 10**12]),
        "model": st.sampled_from(["minilm", "gone"]),
        "pool": st.sampled_from(["cpu", "gone"]),
        "accept": st.sampled_from([0.0, 0.8, 1.0]),
        "submitted_ms": moments,
        "parked_ms": moments,
        "expires_ms": moments,
        "num_chars": st.sampled_from([1, 40, 2**40]),
        "num_tokens": st.sampled_from([0, 12, 2**40]),
        "text_key": st.sampled_from(["", "a", "b"]),
    }
).map(lambda slip: json.dumps(slip).encode())
#: What may stand in the streams that only the fleet writes to, if it does not.
entries = st.fixed_dictionaries(
    {b"slip": st.one_of(slips, slips, jobs(), broken_json)},
    optional={
        b"id": st.one_of(st.just(b"a1"), st.binary(max_size=20)),
        b"job": st.one_of(jobs(), jobs(), broken_json),
    },
)
#: Whoever adds an entry may choose its id, and so the moment that it claims.
entry_ids = st.sampled_from(["*", "*", "*", "300000000000000-0", "18446744073709551614-7"])
