"""Verdicts: what an evaluation says in words, losses as plainly as gains. Pure."""

from collections.abc import Iterator

from smallfirst.catalogue import Promise
from smallfirst.evaluation.alternatives import EQUAL_WITHIN, Alternative, Way
from smallfirst.evaluation.amounts import percent, price
from smallfirst.evaluation.errors import MAX_NAMED
from smallfirst.evaluation.evaluating import Comparison, Evaluation, StepFailures, StepShare
from smallfirst.evaluation.foreign_figures import ForeignFigures
from smallfirst.evaluation.intervals import Interval, of_share
from smallfirst.jobs import Tier

#: Costs closer than this share count as the same: a second run differs by as much.
SAME_COST_WITHIN = 0.02
#: By quality (better, level, worse) and cost (cheaper, same, dearer): who wins, and with what.
_OUTCOMES = {
    (1, 1): "The cascade wins: it is right more often and costs {saving} less.",
    (1, 0): "The cascade wins: it is right more often at the same cost.",
    (1, -1): "The cascade is right more often, and costs {surplus} more for it.",
    (0, 1): "The cascade wins: it is right as often, as far as these rows can tell, and costs"
    " {saving} less.",
    (0, 0): "Neither wins: as far as these rows can tell, both are right as often, and they cost"
    " the same.",
    (0, -1): "The cascade LOSES: it costs {surplus} more and, as far as these rows can tell, is"
    " right no more often.",
    (-1, 1): "The cascade costs {saving} less, and LOSES on quality: it is right less often.",
    (-1, 0): "The cascade LOSES: it is right less often at the same cost.",
    (-1, -1): "The cascade LOSES on both: it is right less often and costs {surplus} more.",
}


def headline(found: Evaluation) -> str:
    """Say what the cascade costs and how often it is right, beside its cheapest equal."""
    ours, rival = found.cascade, found.comparison.rival
    cost = price(ours.cost_per_million, found.currency)
    said = f"Task {found.task}: the cascade costs {cost} per million jobs and {_how_right(ours)}"
    if _is_its_rival(found):
        return f"{said}."
    cost = price(rival.cost_per_million, found.currency)
    return f"{said}; {rival.name} costs {cost} and {_how_right(rival)}."


def verdict(found: Evaluation) -> str:
    """Say whether the cascade is worth it."""
    if not found.cascade.accepted:
        return "The cascade LOSES: it accepts no answer at all on these rows."
    if _is_its_rival(found):
        return (
            "The cascade asks one step alone here: there is nothing that it could save, and its"
            " threshold is all that it adds."
        )
    rival = found.comparison.rival
    quality = _direction(found.comparison)
    saving, surplus, cost = _cost_change(found.cascade, rival)
    return _OUTCOMES[quality, cost].format(saving=saving, surplus=surplus)


def sentences(found: Evaluation, promise: Promise | None = None) -> list[str]:
    """Say all that there is to say, the verdict first."""
    said = [verdict(found)]
    if not _is_its_rival(found) and found.cascade.accepted:
        said.append(_difference(found.comparison, found.num_rows))
    if promise is not None:
        said.append(promise_kept(found.cascade, promise))
    failed = [_failure(failures, found.num_rows) for failures in found.failures]
    if found.foreign is not None:
        said += foreign_sentences(found.foreign, promise)
    return [*said, *_losses(found), *_voids(found), *failed]


def foreign_sentences(found: ForeignFigures, promise: Promise | None = None) -> Iterator[str]:
    """Say what became of texts that no label fits, and which of the own ones seemed so."""
    if found.num_foreign:
        interval = of_share(found.num_accepted, found.num_foreign)
        said = (
            f"Of {found.num_foreign:,} texts that no label fits {found.num_accepted:,} were"
            f" answered ({_span(interval)}), and count as wrong"
        )
        promised = promise.foreign if promise else None
        if promised is None:
            yield f"{said}."
        else:
            is_broken = interval.low > promised.target
            kept = "the promise is BROKEN on these rows" if is_broken else "these rows bear it"
            yield f"{said}; at most {percent(promised.target)} were promised: {kept}."
    if found.looks and found.num_own:
        interval = of_share(found.num_flagged, found.num_own)
        yield (
            f"Of {found.num_own:,} other texts {found.num_flagged:,} seemed foreign to a step"
            f" ({_span(interval)}), which left them to the next."
        )


def promise_kept(cascade: Alternative, promise: Promise) -> str:
    """Say whether the rows bear out what calibration promised."""
    asked = f"At most {percent(promise.target, 2)} of accepted answers were promised to be wrong"
    error, interval = cascade.error, cascade.error_interval
    if error is None or interval is None:
        return f"{asked}; nothing was accepted here."
    met = f"here {percent(error, 2)} are ({_span(interval)})"
    if interval.low > promise.target:
        return f"{asked}; {met}: the promise is BROKEN on these rows."
    if error > promise.target:
        return f"{asked}; {met}: more than promised, though these rows could be by chance."
    return f"{asked}; {met}: kept."


def marks_of(each: Alternative, found: Evaluation) -> list[str]:
    """Say what an alternative is known as: the cheapest equal, the best of its tier."""
    marks = []
    if each.name == found.comparison.rival.name:
        marks.append("the cheapest single step of equal quality")
    if each.way is Way.ALONE:
        tier = found.steps[each.steps[0]].about.tier
        alike = [
            other
            for other in found.alternatives
            if other.way is Way.ALONE and found.steps[other.steps[0]].about.tier is tier
        ]
        if each is max(alike, key=lambda other: other.accuracy):
            marks.append(f"all to {tier}")
    return marks


def _how_right(alternative: Alternative) -> str:
    """Abstentions are told apart from errors."""
    interval = alternative.accuracy_interval
    if not alternative.accepted:
        return "answers none of them"
    if alternative.accepted >= alternative.num_rows:
        return f"is right in {percent(alternative.accuracy)} of them ({_span(interval)})"
    return (
        f"answers {percent(alternative.coverage)} of them,"
        f" {percent(alternative.error)} of these wrongly ({_span(alternative.error_interval)})"
    )


def _span(interval: Interval | None) -> str:
    return f"95 % interval {percent(interval.low)} to {percent(interval.high)}" if interval else ""


def _is_its_rival(found: Evaluation) -> bool:
    """Whether the cascade asks nobody but the single step it is measured against."""
    asked = tuple(step.about.index for step in found.steps if step.asked)
    return asked == found.comparison.rival.steps


def _direction(comparison: Comparison) -> int:
    """1 where the cascade is right more often for certain, -1 where its rival is, else 0."""
    if comparison.interval.low > 0:
        return 1
    return -1 if comparison.interval.high < 0 else 0


def _cost_change(cascade: Alternative, rival: Alternative) -> tuple[str, str, int]:
    """How much less and how much more the cascade costs, in words, and which of them it is."""
    ours, theirs = (cascade.cost, rival.cost)
    if not ours and not theirs:
        # Nothing has a price, so work is compared.
        ours, theirs = cascade.seconds, rival.seconds
    if abs(ours - theirs) <= SAME_COST_WITHIN * max(ours, theirs):
        return "", "", 0
    if ours < theirs:
        return percent(1 - ours / theirs, 0), "", 1
    return "", percent(ours / theirs - 1, 0) if theirs else "anything instead of nothing and", -1


def _difference(comparison: Comparison, num_rows: int) -> str:
    rival, interval = comparison.rival, comparison.interval
    return (
        f"Of {num_rows:,} rows {comparison.only_cascade} are right only in the cascade and"
        f" {comparison.only_rival} only with {rival.name}: a difference of"
        f" {_points(comparison.difference)} points (95 % interval {_points(interval.low)} to"
        f" {_points(interval.high)}; McNemar p = {comparison.p_value:.2g})."
    )


def _points(difference: float) -> str:
    return f"{difference * 100:+.1f}".replace("-", "\N{MINUS SIGN}")


def _losses(found: Evaluation) -> Iterator[str]:
    """Name every alternative that the cascade does not beat where it should."""
    for other in found.alternatives:
        if other.way is Way.RANDOM and other.right >= found.cascade.right:
            yield (
                "The cascade LOSES to lots: escalating at random as often would be right in"
                f" {percent(other.accuracy)} of all rows, so its confidences choose no better than"
                " chance whom to ask."
            )
        if other.way is Way.MIXTURE and other.right >= found.cascade.right + 0.5:
            yield (
                f"The cascade LOSES at its own cost: {other.name} would cost the same and be right"
                f" in {percent(other.accuracy)} of all rows, against"
                f" {percent(found.cascade.accuracy)}."
            )
    yield from _beaten_by_one(found)


def _beaten_by_one(found: Evaluation) -> Iterator[str]:
    """The cheapest single step that is right more often and costs no more, and what to do."""
    ours = found.cascade
    better = [
        other
        for other in found.alternatives
        if other.way is Way.ALONE
        and other.accuracy > ours.accuracy + EQUAL_WITHIN
        and _cost_change(ours, other)[2] <= 0
    ]
    for other in sorted(better, key=lambda other: other.cheapness)[:1]:
        cost = "less cost" if _cost_change(ours, other)[2] < 0 else "the same cost"
        yield (
            f"{other.name} is right in {percent(other.accuracy)} of all rows at {cost}, and the"
            f" cascade in {percent(ours.accuracy)}: {_instead(found, other)}"
        )


def _instead(found: Evaluation, other: Alternative) -> str:
    """Advise: to abstain less, where that is what the cascade loses by; else to ask it alone."""
    ours, step = found.cascade, found.steps[other.steps[0]]
    if ours.accepted >= found.num_rows or step.about.tier is Tier.RULE:
        return "ask it alone."
    return (
        f"the cascade abstains from {percent(1 - ours.coverage)} of them. {_lower(step)}, if it may"
        f" be wrong in up to {percent(other.error)} of its answers; the cascade is wrong in"
        f" {percent(ours.error)} of them."
    )


def _lower(step: StepShare) -> str:
    threshold = step.acceptance.threshold
    if step.acceptance.revision is not None:
        return f"Calibrate with a larger target, so that {step.name} answers more"
    return f"Lower the `accept` of {step.name} ({threshold})"


def _failure(failures: StepFailures, num_rows: int) -> str:
    """Name the rows that a step failed on."""
    count, lines = len(failures.lines), failures.lines[:MAX_NAMED]
    more = " and more" if count > len(lines) else ""
    return (
        f"Step {failures.step} ({failures.name}) failed on {count:,} of {num_rows:,} rows, which"
        f" count as not answered by it: line{'s' if count > 1 else ''}"
        f" {', '.join(map(str, lines))}{more} ({failures.reason.rstrip('.')})."
    )


def _voids(found: Evaluation) -> Iterator[str]:
    for step in found.steps:
        if step.is_void:
            yield (
                f"Step {step.about.index} ({step.name}) was calibrated with another revision than"
                " answers now: none of its answers stands. Calibrate again."
            )
