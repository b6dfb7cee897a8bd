"""How long and how much of everything is kept in Redis, and how much of it is read at once."""

from dataclasses import dataclass
from datetime import timedelta

#: Names that are told of one job's result; any further one asks for the result by its id.
MAX_WAITERS = 32


@dataclass(frozen=True)
class Bounds:
    """How long and how much of everything is kept, and how much is read.

    Attributes:
        result_ttl: For which a result can be fetched.
        job_ttl: For which a job may be in flight.
        dead_ttl: For which a dead letter can be replayed.
        max_dead: The most dead letters.
        max_dead_bytes: Of all submissions that are kept behind them.
        max_job_bytes: The largest submission that is taken in whole.
        read_bytes: What is enough for one read of a stream; its last entry may go beyond it.
    """

    result_ttl: timedelta = timedelta(days=1)
    job_ttl: timedelta = timedelta(days=7)
    dead_ttl: timedelta = timedelta(days=7)
    max_dead: int = 10_000
    max_dead_bytes: int = 64 * 2**20
    max_job_bytes: int = 1_048_576
    read_bytes: int = 8_388_608

    def as_arguments(self) -> list[int]:
        """In the order in which settle.lua reads them."""
        ttls = (self.result_ttl, self.job_ttl, self.dead_ttl)
        return [
            *(round(ttl.total_seconds()) for ttl in ttls),
            self.max_dead,
            self.max_dead_bytes,
            MAX_WAITERS,
        ]
