"""How trouble with Redis is logged: an outage, or a refusal with what to do about it."""

import structlog

from smallfirst.redis_access.refusals import refusal_of

log = structlog.get_logger()


def tell(error: BaseException, *, consequence: str, **about: object) -> None:
    """Log that Redis cannot be reached, or what it refuses and what to do.

    Args:
        error: Of the driver, or of a library above it.
        consequence: What an outage, or a refusal, means for jobs.
        about: More to log.
    """
    refusal = refusal_of(error)
    if refusal is None:
        name = type(error).__name__
        log.warning("redis.unreachable", error=name, consequence=consequence, **about)
        return
    say = log.warning if refusal.is_passing else log.error
    say(
        "redis.refused",
        reason=refusal.reason,
        consequence=consequence,
        remedy=refusal.remedy,
        **about,
    )
