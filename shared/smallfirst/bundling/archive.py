"""The form of a bundle: a tar archive of which every byte is known before it is read. Pure.

Any `tar` reads it. We do not read it as one: whoever has the manifest writes the header that must
stand before a file, and compares. So no changed byte goes unseen, and no path leads elsewhere.
Python's own `tarfile` is not asked for headers, since it writes them differently in its versions.
Source: POSIX.1-2001, `ustar` and, for long paths, `pax`; sizes above 8 GiB in base 256, as GNU tar
writes them.
"""

from typing import Final

#: Bytes of a block: headers and contents are filled up to whole ones.
BLOCK_BYTES: Final = 512
#: What stands behind the last file.
END: Final = bytes(2 * BLOCK_BYTES)
_MOST_NAME, _MOST_PREFIX = 100, 155
_MOST_OCTAL: Final = 8**11 - 1


def header(path: str, size: int) -> bytes:
    """What stands before a file: its path and its size in bytes; owner and time are nobody's."""
    raw = path.encode()
    prefix, name = _split(raw)
    if len(name) <= _MOST_NAME:
        return _block(prefix, name, size, b"0")
    record = _path_record(raw)
    before = _block(b"", b"././@PaxHeader", len(record), b"x")
    return before + record + padding(len(record)) + _block(b"", name[:_MOST_NAME], size, b"0")


def _block(prefix: bytes, name: bytes, size: int, kind: bytes) -> bytes:
    fields = (
        (name, 100),
        (b"0000644\0", 8),
        (b"0000000\0", 8),
        (b"0000000\0", 8),
        (_size(size), 12),
        (b"00000000000\0", 12),
        (b" " * 8, 8),
        (kind, 1),
        (b"", 100),
        (b"ustar\x0000", 8),
        (b"", 32),
        (b"", 32),
        (b"", 8),
        (b"", 8),
        (prefix, 155),
        (b"", 12),
    )
    block = b"".join(field.ljust(width, b"\0") for field, width in fields)
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _path_record(raw: bytes) -> bytes:
    """A path that no field holds: a line that begins with its own length."""
    rest = b" path=" + raw + b"\n"
    length = len(rest)
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return str(length).encode() + rest


def padding(size: int) -> bytes:
    """What fills a content of so many bytes up to whole blocks."""
    return bytes(-size % BLOCK_BYTES)


def name_in(found: bytes) -> str:
    """What a header says that follows it; empty for the end. For messages alone."""
    path = found[BLOCK_BYTES:].partition(b" path=")[2].partition(b"\n")[0]
    if found[156:157] == b"x" and path:
        return path.decode("utf-8", "replace")
    name, prefix = found[:100].rstrip(b"\0"), found[345:500].rstrip(b"\0")
    whole = b"/".join(part for part in (prefix, name) if part)
    return whole.decode("utf-8", "replace")


def size_in(block: bytes) -> int:
    """The size that a header says, if it is a small one; nothing of it is trusted."""
    digits = block[124:135]
    return int(digits, 8) if digits.isdigit() and not set(digits) & set(b"89") else 0


def _size(size: int) -> bytes:
    if size <= _MOST_OCTAL:
        return b"%011o\0" % size
    return b"\x80" + size.to_bytes(11)


def _split(raw: bytes) -> tuple[bytes, bytes]:
    """Split a path between two folders where that makes it fit; else leave it whole."""
    if len(raw) <= _MOST_NAME:
        return b"", raw
    cut = raw.find(b"/", len(raw) - _MOST_NAME - 1, _MOST_PREFIX + 1)
    return (raw[:cut], raw[cut + 1 :]) if cut > 0 else (b"", raw)
