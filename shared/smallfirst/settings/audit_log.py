"""What the keeper of the audit log is set by."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from smallfirst.settings.components import Settings
from smallfirst.settings.fields import HealthDir, expanded


class AuditLogSettings(Settings):
    """What the keeper of the audit log needs besides."""

    audit_log: Annotated[Path, AfterValidator(expanded)] = Field(
        default=Path("audit-log"),
        description="The folder of the audit log, on a disk of the keeper's own machine.",
    )
    audit_log_key: Annotated[Path, AfterValidator(expanded)] = Field(
        default=Path("audit-log.key"),
        description="The file of the key by which the audit log is signed; `smallfirst audit-log"
        " key` makes it.",
    )
    audit_log_seconds: float = Field(
        default=1.0,
        ge=0.05,
        le=60,
        description="The time between two looks for records to write, and so between two"
        " checkpoints.",
    )
    audit_log_days: float | None = Field(
        default=None,
        gt=0,
        le=36_500,
        description="The days for which records are kept; older ones are removed, and the hashes"
        " over them stay. Not set: for ever.",
    )
    health_dir: HealthDir = None
