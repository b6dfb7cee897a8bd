"""`smallfirst bundle` and `smallfirst unbundle`: a fleet carried to where there is no network."""

from pathlib import Path
from typing import Annotated, Any

import typer

from smallfirst.audit_log.notes import VerifierKey, named_verifier, read_key
from smallfirst.bundling.gathering import Order, gather
from smallfirst.bundling.installing import Installed, install
from smallfirst.bundling.telling import PARTS, lines_of
from smallfirst.bundling.unpacking import Unpacked, unpack, verify_bundle
from smallfirst.bundling.writing import write_bundle
from smallfirst.cli.options import CatalogueOption
from smallfirst.cli.output import USAGE, JsonOption, fail, note, print_json, say
from smallfirst.settings import Settings, load_settings
from smallfirst.wording import counted


def bundle(
    out: Annotated[Path, typer.Argument(help="The file to write; one that is there is replaced.")],
    *,
    key: Annotated[
        Path,
        typer.Option(
            help="The file of the signing key; `smallfirst audit-log key FILE --name NAME` makes"
            " one."
        ),
    ],
    catalogue: CatalogueOption = None,
    wheels: Annotated[
        Path | None,
        typer.Option(
            help="The folder of the packages as wheels, ours among them; left out where images"
            " bring them."
        ),
    ] = None,
    chart: Annotated[
        Path | None, typer.Option(help="The packed chart, as `helm pull` or `helm package` has it.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="The list of the images to mirror, a line each.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a catalogue, its models, rows and promises, wheels and chart to one signed file.

    `smallfirst unbundle` installs it where there is no network. The same files and key give the
    same bytes. What the fleet may miss there is said, and is no error.
    """
    path = load_settings(Settings, catalogue=catalogue).catalogue
    if not path.is_file():
        fail(f"{path}: no such file; name one with --catalogue", exit_code=USAGE)
    if out.is_dir() or not out.absolute().parent.is_dir():
        fail(f"{out}: is a folder, or in none; name a file to write", exit_code=USAGE)
    signing_key = read_key(key)
    gathered = gather(Order(path, wheels, chart, images))
    manifest = write_bundle(out, gathered.contents, signing_key)
    told: dict[str, Any] = {
        "file": str(out),
        "files": len(manifest.files),
        "bytes": manifest.num_bytes,
        "verifier": signing_key.verifier.line,
        "lacks": list(gathered.lacks),
    }
    if as_json:
        print_json(told)
    else:
        _tell(told)


def _tell(told: dict[str, Any]) -> None:
    for sentence in told["lacks"]:
        note(f"warning: {sentence}")
    say(f"{told['file']}: {counted(told['files'], 'file')} of {told['bytes']:,} bytes")
    say(f"verifier key: {told['verifier']}")


def unbundle(
    file: Annotated[Path, typer.Argument(help="The bundle.")],
    *,
    key: Annotated[
        str,
        typer.Option(
            help="The verifier key of who made the bundle, or its file; not one that came with it."
        ),
    ],
    to: Annotated[
        Path | None,
        typer.Option(help="The folder to unpack to, which must be new; if not given, it verifies."),
    ] = None,
    venv: Annotated[
        Path | None,
        typer.Option(help="The folder of a new environment in which its wheels are installed."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Verify a bundle, byte by byte; unpack it, and install its wheels; exit 1 where it is changed.

    Needs no network. Nothing stands in the folder before the last byte was verified, and a second
    run leaves alone what the first one did.
    """
    if venv is not None and to is None:
        fail("--venv installs what --to unpacks; name both", exit_code=USAGE)
    verifier = named_verifier(key)
    found = verify_bundle(file, verifier) if to is None else unpack(file, verifier, to)
    installed = install(found, venv) if venv is not None else None
    if as_json:
        print_json(_as_json(found, installed, verifier))
        return
    for line in lines_of(found, installed, verifier):
        say(line)


def _as_json(found: Unpacked, installed: Installed | None, verifier: VerifierKey) -> dict[str, Any]:
    places = {part: found.place_of(part) for part in (*PARTS, "hub")}
    return {
        "files": len(found.manifest.files),
        "bytes": found.manifest.num_bytes,
        "signed_by": verifier.name,
        "folder": None if found.folder is None else str(found.folder),
        "is_new": found.is_new,
        **{part: None if place is None else str(place) for part, place in places.items()},
        "command": None if installed is None else str(installed.command),
        "missing": [] if installed is None else list(installed.missing),
    }
