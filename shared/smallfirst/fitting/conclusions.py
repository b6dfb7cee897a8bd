"""What a fitting came to, in sentences: first what answers how much, then what is missing. Pure."""

from collections.abc import Iterator
from math import ceil

from smallfirst.catalogue import Promise
from smallfirst.evaluation.amounts import percent, price
from smallfirst.evaluation.promises import in_words
from smallfirst.fitting.candidates import Candidate
from smallfirst.fitting.fitting import Found
from smallfirst.jobs import Tier
from smallfirst.wording import counted

#: A step that answers less than this of all rows is not spoken of.
_HARDLY = 0.005


def headline(found: Found) -> str:
    """Say who answers how much of the rows at the target that is promised."""
    promise = found.promise
    if promise is None:
        return (
            f"No cascade of these models keeps {percent(found.aim.target, 0)} of its answers from"
            f" being wrong on these rows, nor any target up to 30 %: nothing is promised."
        )
    said = list(_shares(found, promise))
    rest = 1 - promise.share_answered
    tail = (
        f"; the other {percent(rest, 0)} is not answerable at this target with these rows"
        if rest >= _HARDLY
        else ""
    )
    return f"{'; '.join(said)}{tail}."


def _shares(found: Found, promise: Promise) -> Iterator[str]:
    at = f"with at most {percent(promise.target, 3).replace('.000', '')} of its answers wrong"
    answering = [
        (candidate, step.share_answered)
        for candidate, step in zip(found.chosen, promise.steps, strict=True)
        if step.share_answered >= _HARDLY
    ]
    for number, (candidate, share) in enumerate(answering):
        if number == 0:
            yield f"{_who(candidate)} answers {percent(share, 0)} of these texts {at}"
        else:
            yield f"{_who(candidate, inside=True)} adds {percent(share, 0)}"


def _who(candidate: Candidate, *, inside: bool = False) -> str:
    """Name a candidate as the subject of a sentence."""
    match candidate.tier:
        case Tier.RULE:
            name = "the rules"
        case Tier.LINEAR:
            name = "a linear model"
        case _:
            name = candidate.spoken or candidate.name
    return name if inside else name[0].upper() + name[1:]


def sentences(found: Found) -> list[str]:
    """Say the rest: the promise, what the one that was asked for takes, what is doubtful."""
    return [*_promise(found), *_cost(found), *_few(found), *_rare(found), *found.notes]


def _promise(found: Found) -> Iterator[str]:
    if found.promise is not None:
        yield in_words(found.promise)
    if found.is_kept:
        return
    asked = percent(found.aim.target, 1).replace(".0 %", " %")
    if found.promise is not None:
        borne = percent(found.promise.target, 0)
        yield (
            f"That is NOT the {asked} that was asked for: these rows do not bear it, and {borne} is"
            f" the smallest target that they bear. {_what_it_takes(found)}"
        )
    else:
        yield f"For {asked} of wrong answers: {_what_it_takes(found)}"


def _what_it_takes(found: Found) -> str:
    """How many more labelled rows the target takes, of which a part would learn."""
    if found.unsupported is None:
        return "More labelled rows are needed before anything can be said."
    needed = found.unsupported.rows_needed
    num_promising = len(found.dealt.promising)
    num_rows = found.dealt.num_dealt
    if needed is None:
        return (
            "At this error rate no number of rows would do: a better model is needed, a larger one"
            " or one that is tuned, or clearer labels."
        )
    more = [
        max(0, ceil(each * num_rows / max(1, num_promising)) - num_rows)
        for each in (needed.low, needed.high)
        if each is not None
    ]
    if not any(more):
        return "That was by chance: a few more labelled rows are likely to do."
    if len(more) == 1:
        return f"It takes about {_rounded(more[0])} more labelled rows at least."
    low, high = (_rounded(each) for each in more)
    return f"About {low} more labelled rows would do at best, {high} at worst."


def _rounded(number: int) -> str:
    """A number of rows with the two digits that mean something."""
    digits = max(0, len(str(number)) - 2)
    return f"{round(number, -digits):,}"


def _cost(found: Found) -> Iterator[str]:
    if found.cascade is None:
        return
    ours = found.cascade
    # A figure of a sample is not set beside those of all rows.
    asked = [each for each in found.standings if each.is_on_promising]
    best = max(asked, key=lambda each: each.alone.accuracy)
    cost = price(ours.cost_per_million, found.currency)
    yield (
        f"A million jobs cost {cost}. The most accurate step alone, {best.candidate.name}, is right"
        f" in {percent(best.alone.accuracy)} of all rows where it answers each, for"
        f" {price(best.alone.cost_per_million, found.currency)}."
    )


def _few(found: Found) -> Iterator[str]:
    num_rows = len(found.dealt.promising) + len(found.dealt.learning)
    if not found.is_kept and num_rows < 500:
        yield (
            f"With {counted(num_rows, 'row')} a large model is the tool for now: it needs none to"
            " learn from, only some to promise on. What it answers becomes rows to fit with later."
        )


def _rare(found: Found) -> Iterator[str]:
    if rare := found.dealt.rare:
        named = ", ".join(rare[:5]) + (" and more" if rare[5:] else "")
        yield (
            "Too few rows have one of these labels to judge it, so that all of them are learned"
            f" from, and nothing is promised of such texts: {named}."
        )
