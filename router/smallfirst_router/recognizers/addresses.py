"""Addresses of the net: e-mail, IP, URL."""

import ipaddress
import re
from collections.abc import Iterator

from smallfirst_router.recognizers.recognizer import (
    DIGITS,
    Recognizer,
    Stretch,
    compiled,
    is_word,
    stands_alone,
)

_EMAIL = r"[A-Za-z0-9\x01._%+'-]+@[A-Za-z0-9\x01.-]+"
_TOP_LEVEL = re.compile(r"(xn--[a-z0-9-]{2,59}|[a-z\x01]{2,24})(?:-|$)", re.IGNORECASE)
#: Source: RFC 5321, section 4.5.3.1, and RFC 1035, section 2.3.4.
_MAX_LOCAL_CHARS, _MAX_DOMAIN_CHARS, _MAX_DOMAIN_LABEL_CHARS = 64, 253, 63


def _emails(text: str, start: int, end: int) -> Iterator[Stretch]:
    at = text.index("@", start)
    if (dots := text.rfind("..", start, at)) >= 0:
        start = dots + 2
    while start < at and text[start] in ".%+'-_":
        start += 1
    if not 0 < at - start <= _MAX_LOCAL_CHARS or text[at - 1] == "." or text[end : end + 1] == "@":
        return
    stop = at + 1 + len(_domain(text[at + 1 : min(end, at + 2 + _MAX_DOMAIN_CHARS)]))
    if 1 < stop - at <= 1 + _MAX_DOMAIN_CHARS and stands_alone(text, start, stop):
        yield start, stop


def _domain(run: str) -> str:
    """Cut a run of domain characters down to a domain name; empty where it does not begin with one.

    A dash may follow the name: "a@b.com - thanks" is often written without the spaces.
    """
    labels: list[str] = []
    for label in run.split("."):
        if not label or label.startswith("-") or len(label) > _MAX_DOMAIN_LABEL_CHARS:
            break
        labels.append(label)
    if len(labels) < 2 or any(label.endswith("-") for label in labels[:-1]):
        return ""
    top = _TOP_LEVEL.match(labels[-1])
    return ".".join((*labels[:-1], top[1].rstrip("-"))) if top else ""


_IP = (
    r"[0-9A-Fa-f]*(?::[0-9A-Fa-f]*){2,}(?:\.[0-9]+)*(?:%[0-9A-Za-z]+)?"
    r"|[0-9]+(?:\.[0-9]+){3,}"
)
#: Four numbers behind one of these words are a version.
_VERSION = r"(?i)(?:version|release|build|firmware|ver)[^a-z0-9]*$"
_MAX_IP_CHARS, _VERSION_CONTEXT_CHARS = 64, 16


def _ips(text: str, start: int, end: int) -> Iterator[Stretch]:
    if text[start] == ":" and text[start : start + 2] != "::":
        start += 1
    if text[end - 1] == ":" and text[end - 2 : end] != "::":
        end -= 1
    if not _is_ip(text[start:end]) or not stands_alone(text, start, end, joiners="."):
        return
    before = text[max(0, start - _VERSION_CONTEXT_CHARS) : start].encode("ascii")
    if ":" in text[start:end] or not compiled(_VERSION).search(before):
        yield start, end


def _is_ip(piece: str) -> bool:
    """Whether somebody may have this address: `::` and `dead::beef` are code more often."""
    if len(piece) > _MAX_IP_CHARS or DIGITS.search(piece) is None:
        return False
    try:
        ipaddress.ip_address(piece)
    except ValueError:
        return False
    return True


_URL = r"""(?i)(?:(?:https?|ftps?)://|www\.)[^\x00\x02-\x20"<>\\^`{|}]+"""
_HOST = re.compile(
    r"(?:[A-Za-z]+://)?(?:[^@/?#]*@)?"
    r"(?:localhost|\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\x01_-]+(?:\.[A-Za-z0-9\x01_-]+)+)\.?"
    r"(?::[0-9]{1,5})?(?=[/?#]|$)",
    re.IGNORECASE,
)
_OPENER_OF = {")": "(", "]": "["}


def _urls(text: str, start: int, end: int) -> Iterator[Stretch]:
    if start and is_word(text[start - 1]):
        return
    end = start + _trimmed_chars(text[start:end])
    if _HOST.match(text[start:end]):
        yield start, end


def _trimmed_chars(url: str) -> int:
    """Count the characters before the sentence's own punctuation, keeping brackets that pair up."""
    surplus = {close: url.count(close) - url.count(opener) for close, opener in _OPENER_OF.items()}
    end = len(url)
    while end and (url[end - 1] in ".,;:!?'*" or surplus.get(url[end - 1], 0) > 0):
        if url[end - 1] in surplus:
            surplus[url[end - 1]] -= 1
        end -= 1
    return end


EMAIL, IP, URL = Recognizer(_EMAIL, _emails), Recognizer(_IP, _ips), Recognizer(_URL, _urls)
