"""Options of commands that read an audit log: which log, and the key by which it is trusted."""

from pathlib import Path
from typing import Annotated

import typer

from smallfirst.audit_log.folder import KEY_FILE
from smallfirst.audit_log.notes import VerifierKey, named_verifier
from smallfirst.cli.output import USAGE, fail, note
from smallfirst.settings import AuditLogSettings, load_settings

FolderOption = Annotated[
    Path | None,
    typer.Option(
        "--log", help="The folder of the log; if not given, SMALLFIRST_AUDIT_LOG, else audit-log."
    ),
]
KeyOption = Annotated[
    str | None,
    typer.Option(
        "--key",
        help="The verifier key, or its file; if not given, the one that lies in the log's folder.",
    ),
]


def folder_of(given: Path | None) -> Path:
    """The folder that is given, or that the settings name."""
    return load_settings(AuditLogSettings, audit_log=given).audit_log


def verifier_of(folder: Path, given: str | None) -> VerifierKey:
    """The key that is given, as itself or as a file; else the one beside the log."""
    if given is not None:
        return named_verifier(given)
    note(f"by the key in {folder / KEY_FILE}; name one that you trust by --key")
    return named_verifier(str(folder / KEY_FILE))


def read_file(path: Path) -> bytes:
    """Read a file that was named on the command line, or end the command."""
    try:
        return path.read_bytes()
    except OSError as error:
        fail(f"{path}: cannot be read: {error.strerror}", exit_code=USAGE)
