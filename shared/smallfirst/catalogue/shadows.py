"""Shadows in the catalogue: candidates that are asked of a share of another task's jobs."""

from pydantic import Field

from smallfirst.jobs import Name
from smallfirst.kinds.entries import Entry


class Shadow(Entry):
    """Of which task's jobs a candidate is asked as well, beside them and unseen."""

    of: Name = Field(description="The name of the task whose place it is a candidate for.")
    share: float = Field(
        default=0.05,
        gt=0.0,
        le=0.5,
        description="The share of that task's jobs that are asked of it too, while the fleet has"
        " capacity to spare.",
    )
