"""`install.pyz`: unpacks and installs a bundle where there is nothing but Python 3.11.

`smallfirst unbundle` does the same where smallfirst is installed. Signatures are verified by the
program `openssl`, where the package `cryptography` is not there.
"""

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from smallfirst.audit_log.notes import named_verifier
from smallfirst.bundling.installing import install
from smallfirst.bundling.telling import lines_of
from smallfirst.bundling.unpacking import unpack, verify_bundle
from smallfirst.errors import SmallfirstError


def main() -> int:
    """Do what the arguments say; return the exit status."""
    given = _arguments()
    try:
        verifier = named_verifier(given.key)
        bundle = (
            unpack(given.file, verifier, given.to)
            if given.to
            else verify_bundle(given.file, verifier)
        )
        installed = install(bundle, given.venv) if given.venv else None
    except (SmallfirstError, OSError) as error:
        sys.stderr.write(f"install.pyz: {error}\n")
        return 1
    sys.stdout.writelines(f"{line}\n" for line in lines_of(bundle, installed, verifier))
    return 0


def _arguments() -> Namespace:
    parser = ArgumentParser(prog="install.pyz", description="Verify, unpack and install a bundle.")
    parser.add_argument("file", type=Path, help="The bundle.")
    parser.add_argument(
        "--key", required=True, help="The verifier key of who made it, or its file."
    )
    parser.add_argument("--to", type=Path, help="The folder to unpack to; without it, only verify.")
    parser.add_argument("--venv", type=Path, help="The folder of a new environment for its wheels.")
    given = parser.parse_args()
    if given.venv and not given.to:
        parser.error("--venv needs --to")
    return given


if __name__ == "__main__":
    sys.exit(main())
