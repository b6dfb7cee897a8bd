"""`smallfirst audit-log`: what the fleet answered, in a log where no change goes unseen."""

import json
import signal
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from smallfirst.audit_log.folder import read_checkpoint
from smallfirst.audit_log.index import Index
from smallfirst.audit_log.notes import Checkpoint, make_key
from smallfirst.audit_log.process import keep as keep_log
from smallfirst.audit_log.proofs import prove, proven_record
from smallfirst.audit_log.tiles import Tiles
from smallfirst.audit_log.verifying import Break, verify
from smallfirst.cli.audit_keys import FolderOption, KeyOption, folder_of, read_file, verifier_of
from smallfirst.cli.fleet_connection import link_of, settings_of
from smallfirst.cli.global_options import globals_of
from smallfirst.cli.options import ProducerOption
from smallfirst.cli.output import (
    SOME_FAILED,
    JsonOption,
    fail,
    note,
    print_json,
    say,
)
from smallfirst.cli.replay import replay
from smallfirst.ledger.record_streams import RecordStream
from smallfirst.settings import AuditLogSettings, ProducerSettings, load_settings

app = typer.Typer(
    help="Keep, prove and verify the log of what the fleet answered, and by what.",
    no_args_is_help=True,
    add_completion=False,
)


@app.command("key")
def make_a_key(
    file: Annotated[Path, typer.Argument(help="The file to write; it must not be there yet.")],
    *,
    name: Annotated[str, typer.Option(help="The name of the log, such as example.com/smallfirst.")],
    as_json: JsonOption = False,
) -> None:
    """Make the key by which a log is signed, and print the verifier key that belongs to it."""
    verifier = make_key(name, file).verifier.line
    if as_json:
        print_json({"file": str(file), "verifier": verifier})
    else:
        say(verifier)


@app.command("keep")
def keep(
    context: typer.Context,
    *,
    log: FolderOption = None,
    signing_key: Annotated[
        Path | None,
        typer.Option(
            help="The file of the signing key; if not given, SMALLFIRST_AUDIT_LOG_KEY, else"
            " audit-log.key."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Keep the log of this fleet, in the foreground: its results are recorded from now on."""
    fleet = settings_of(globals_of(context))
    given: dict[str, object] = {"redis_url": fleet.redis_url, "namespace": fleet.namespace}
    settings = load_settings(AuditLogSettings, **given, audit_log=log, audit_log_key=signing_key)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if as_json:
        print_json({"log": str(settings.audit_log)})
    note(f"keeping the audit log in {settings.audit_log}; Ctrl-C ends it")
    keep_log(settings, stop)


@app.command("close")
def close(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """Have this fleet record no results any more; what is in the log's folder stays."""
    with link_of(context) as link:
        for each in link.slices:
            RecordStream(each.redis, each.keys).close()
    if as_json:
        print_json({"closed": True})
    else:
        say("closed")


@app.command("proof")
def proof(
    job_id: Annotated[str, typer.Argument(metavar="ID", help="The job's id.")],
    *,
    log: FolderOption = None,
    key: KeyOption = None,
    producer: ProducerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a proof that a job's record is in the log; exit 1 where there is none.

    It is of C2SP's form `tlog-proof`, and needs neither the log nor us to be verified.
    """
    folder, whose = folder_of(log), _producer(producer)
    found = prove(folder, verifier_of(folder, key), whose, job_id)
    if found is None:
        fail(f"the log has no record of job {job_id!r} of producer {whose!r}")
    if as_json:
        print_json({"proof": found})
    else:
        say(found.rstrip("\n"))


@app.command("show")
def show(
    job_id: Annotated[str, typer.Argument(metavar="ID", help="The job's id.")],
    *,
    log: FolderOption = None,
    key: KeyOption = None,
    producer: ProducerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the records of a job, each with its number and its salt."""
    folder, whose = folder_of(log), _producer(producer)
    signed = read_checkpoint(folder, verifier_of(folder, key))
    tiles = Tiles(folder, signed.size)
    with Index(folder) as index:
        rows = [row for row in index.find(whose, job_id) if row.number < tiles.size]
    if not rows:
        fail(f"the log has no record of job {job_id!r} of producer {whose!r}")
    for row in rows:
        written, _ = proven_record(tiles, signed.root, row.number)
        record = json.loads(written)
        if as_json:
            print_json({"number": row.number, "salt": row.salt.hex(), "record": record})
        else:
            say(f"record {row.number}, salt {row.salt.hex()}")
            say(json.dumps(record, indent=2, ensure_ascii=False))


app.command("replay")(replay)


@app.command("verify")
def verify_log(
    *,
    log: FolderOption = None,
    key: KeyOption = None,
    since: Annotated[
        Path | None,
        typer.Option(help="A checkpoint that was kept elsewhere, which the log must still hold."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Look through the whole log; name each place where it is broken, and exit 1 where one is."""
    folder = folder_of(log)
    verifier = verifier_of(folder, key)
    earlier = verifier.opened(read_file(since)) if since else None
    signed, breaks = verify(folder, verifier, earlier)
    if as_json:
        state = {"records": signed.size, "root": signed.root.hex()} if signed else None
        print_json({"signed": state, "breaks": [asdict(each) for each in breaks]})
    else:
        _tell(signed, breaks)
    if breaks:
        raise typer.Exit(SOME_FAILED)


def _tell(signed: Checkpoint | None, breaks: list[Break]) -> None:
    for each in breaks:
        say(str(each))
    what = f"{signed.size:,} records of {signed.origin}" if signed else "no checkpoint"
    say(f"{f'broken at {len(breaks)} places' if breaks else 'whole'}: {what}")


def _producer(given: str | None) -> str:
    return load_settings(ProducerSettings, producer=given).producer
