"""Authorities of TLS, each with the certificate of one server on this machine."""

import subprocess
from pathlib import Path


def make_authority(folder: Path, name: str) -> Path:
    """Make an authority and a server's certificate for 127.0.0.1; return the authority's."""
    ca, key = folder / f"{name}-ca.crt", folder / f"{name}-ca.key"
    request = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    openssl(*request, "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(ca))
    server = ("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1")
    asked = folder / f"{name}.csr"
    openssl(*server, "-keyout", str(folder / f"{name}.key"), "-out", str(asked))
    names = folder / f"{name}.ext"
    names.write_text("subjectAltName=IP:127.0.0.1\n")
    signed = ("-CA", str(ca), "-CAkey", str(key), "-CAcreateserial", "-days", "2")
    out = str(folder / f"{name}.crt")
    openssl("x509", "-req", "-in", str(asked), *signed, "-extfile", str(names), "-out", out)
    return ca


def openssl(*arguments: str) -> None:
    """Run openssl."""
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
