"""Makes `install.pyz`: the modules that read and install bundles, in one file that Python runs."""

from importlib.resources import files
from io import BytesIO
from typing import Final
from zipfile import ZIP_STORED, ZipFile, ZipInfo

#: What it is called in a bundle.
INSTALLER: Final = "install.pyz"
#: Modules that need nothing but Python; a test installs with them alone.
MODULES: Final = (
    "__init__.py",
    "errors.py",
    "audit_log/__init__.py",
    "audit_log/merkle.py",
    "audit_log/notes.py",
    "audit_log/openssl.py",
    "bundling/__init__.py",
    "bundling/__main__.py",
    "bundling/archive.py",
    "bundling/installing.py",
    "bundling/manifest.py",
    "bundling/reading.py",
    "bundling/telling.py",
    "bundling/unpacking.py",
)
#: An older Python must be able to read this much, to say so.
_START: Final = """\
import sys

if sys.version_info < (3, 11):
    sys.exit("install.pyz: needs Python 3.11 or newer, and this is %d.%d" % sys.version_info[:2])
from smallfirst.bundling.__main__ import main

sys.exit(main())
"""
#: The earliest that a zip file knows: of the same modules comes the same file.
_NO_TIME: Final = (1980, 1, 1, 0, 0, 0)


def installer() -> bytes:
    """Pack it, uncompressed, so that whoever is to run it can read it first."""
    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_STORED) as to:
        to.writestr(_entry("__main__.py"), _START)
        for module in MODULES:
            content = files("smallfirst").joinpath(module).read_bytes()
            to.writestr(_entry(f"smallfirst/{module}"), content)
    return packed.getvalue()


def _entry(name: str) -> ZipInfo:
    found = ZipInfo(name, _NO_TIME)
    found.create_system, found.external_attr = 3, 0o644 << 16
    return found
