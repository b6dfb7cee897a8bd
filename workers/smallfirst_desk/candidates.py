"""Candidates in shadow: what people's answers say of theirs.

A candidate's answer is kept for an even sample of the jobs that people check blind or are given. It
is shown to nobody. Where its copy has not ended yet, a router counts what the person said.
"""

from collections.abc import Sequence

import structlog
from redis.exceptions import RedisError

from smallfirst.ledger.checks import CheckRecord
from smallfirst.ledger.decisions import Decided, Decision
from smallfirst.ledger.shadows import Shadows
from smallfirst.shadow.pairing import Judged, Judgement

log = structlog.get_logger()


def judge_decided(shadows: Shadows, decided: Decided) -> None:
    """Count what a candidate said of a job that a person answered: no machine's answer stood."""
    held = decided.held
    judgement = Judgement(live=Judged.NONE, answer=decided.last.answer)
    _judge(shadows, (held.slip.producer, held.job.id), judgement)


def judge_checked(
    shadows: Shadows, job: tuple[str, str], record: CheckRecord, decisions: Sequence[Decision]
) -> None:
    """Count what a candidate said of a job whose live answer was checked blind.

    Args:
        shadows: Of the slice.
        job: Its producer and id.
        record: How the check ended.
        decisions: Of all who looked, in order.
    """
    live = Judged.WRONG if record.is_wrong else Judged.RIGHT
    # Who was overruled by others says nothing of what is right.
    told = zip(decisions, record.answers, strict=True)
    agreeing = [each for each, said in told if said.is_wrong is record.is_wrong]
    if agreeing:
        _judge(shadows, job, Judgement(live=live, answer=agreeing[-1].answer))


def _judge(shadows: Shadows, job: tuple[str, str], judgement: Judgement) -> None:
    try:
        shadows.note(*job, judgement)
        shadows.join(*job)
    except RedisError as error:
        consequence = "one person's answer counts for no candidate; the job itself is settled"
        log.warning("shadow.failed", error=type(error).__name__, consequence=consequence)
