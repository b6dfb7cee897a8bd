"""Addresses of the net: e-mail, IP, URL."""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from smallfirst_router.recognizers.reading import CASELESS, Stretch
from smallfirst_router.recognizers.recognizer import (
    DIGITS,
    Recognizer,
    follows,
    is_word,
    stands_alone,
)

# An e-mail address is read by RFC 5322 and, beyond ASCII, RFC 6531, which let a name before the @
# hold nearly anything. What people write around addresses is told apart by what it looks like: a
# sentence without spaces, a row of a table, a query, a path, a mark-up's stars and quotes.

_QUOTED = r'"(?:[^"\\\x00-\x1f]|\\[\x20-\x7e]){1,64}"'
_ATOMS = r"[A-Za-z0-9\x01\x03.!#$%&'*+/=?^_`{|}~-]+"
_EMAIL = rf"(?:{_QUOTED}|{_ATOMS})@(?:\[[0-9A-Za-z:.]+\]|[A-Za-z0-9\x01\x03.-]+)"
_TOP_LEVEL = re.compile(
    r"(xn--[a-z0-9-]{2,59}|[a-z\x01]{2,24}|\x03{2,24})(?:[\x03-]|$)", re.IGNORECASE
)
#: Source: RFC 5321, section 4.5.3.1, and RFC 1035, section 2.3.4.
_MAX_LOCAL_CHARS, _MAX_DOMAIN_CHARS, _MAX_DOMAIN_LABEL_CHARS = 64, 253, 63
#: Endings of files that are no top-level domains: `icon@2x.png`, `style@1.min.css`.
#: Source: https://www.iana.org/domains/root/db
_FILE_ENDINGS = re.compile(
    "bmp|bz2|css|csv|docx?|eot|exe|gif|gz|html?|ico|jar|jpe?g|jsx?|json|lock|log|otf|pdf|png|pptx?"
    "|psd|rar|rpm|scss|svg|tar|tgz|tiff?|tmp|tsx|ttf|txt|wav|web[mp]|whl|woff2?|xlsx?|xml|xz|ya?ml",
    re.IGNORECASE,
)
#: No more is looked at before an @: an address, and the key in front of it.
_MAX_LOCAL_REGION_CHARS = 4 * _MAX_LOCAL_CHARS
_ASCII_LETTER, _NAME_CHARACTER = re.compile("[A-Za-z]"), re.compile(r"[A-Za-z0-9\x01\x03]")
#: The key of a query or a form in front of an address, or a character of a URL in hexadecimal.
_KEY = re.compile(
    r"(?:.*[?&])?(?:[A-Za-z_]*(?:e-?mail|user|login|name|addr|address|account|contact)|to|from|cc"
    r"|bcc|sender|recipient|reply-to)=|.*[?&][A-Za-z_]+=|(?:%[0-9A-F]{2})+",
    re.IGNORECASE,
)
#: What the sentence or its mark-up puts before an address, and what closes it behind.
_LEADING = frozenset(".'`*=/?&-+^~")
_CLOSED_BY: Mapping[str, str] = MappingProxyType(
    {"{": "}", "_": "_", "~": "~", "#": "#", "!": "!", "$": "$"}
)


def _emails(text: str, start: int, end: int) -> Iterator[Stretch]:
    at = text.rindex("@", start, end)
    stop = _domain_end(text, at, end)
    if not stop or text[end : end + 1] == "@" or text[at - 1] == ".":
        return
    if text[start] != '"':
        start = _local_start(text, start, at, text[stop : stop + 1])
    is_name = _NAME_CHARACTER.search(text, start, at) is not None
    if is_name and at - start <= _MAX_LOCAL_CHARS and stands_alone(text, start, stop):
        yield start, stop


def _domain_end(text: str, at: int, end: int) -> int | None:
    """Say where the domain ends that follows the @; None where none does."""
    if text[at + 1] == "[":
        literal = text[at + 2 : end - 1].removeprefix("IPv6:")
        return end if _is_ip(literal) else None
    num_chars = len(_domain(text[at + 1 : min(end, at + 2 + _MAX_DOMAIN_CHARS)]))
    return at + 1 + num_chars if 0 < num_chars <= _MAX_DOMAIN_CHARS else None


def _local_start(text: str, start: int, at: int, after: str) -> int:
    """Say where the part before the @ begins: behind what is no part of an address."""
    start = max(start, at - _MAX_LOCAL_REGION_CHARS)
    start = max(start, text.rfind("|", start, at) + 1)
    if (dots := text.rfind("..", start, at)) >= 0:
        start = dots + 2
    if (last := text.rfind(CASELESS, start, at)) >= 0 and _ASCII_LETTER.search(text, last, at):
        start = last + 1
    if key := _KEY.match(text, start, at):
        start = key.end()
    if text[start : start + 1] == "/":  # a path's last part
        start = text.rindex("/", start, at) + 1
    while start < at and (
        text[start] in _LEADING or _CLOSED_BY.get(text[start], "") == after != ""
    ):
        start += 1
    return start


def _domain(run: str) -> str:
    """Cut a run of domain characters down to a domain name; empty where it does not begin with one.

    A dash may follow the name, or a word in a script that has no spaces: "a@b.com - thanks" is
    often written without them.
    """
    labels: list[str] = []
    for label in run.split("."):
        if not label or label.startswith("-") or len(label) > _MAX_DOMAIN_LABEL_CHARS:
            break
        labels.append(label)
    if len(labels) < 2 or any(label.endswith("-") for label in labels[:-1]):
        return ""
    top = _TOP_LEVEL.match(labels[-1])
    if top is None or _FILE_ENDINGS.fullmatch(top[1]):
        return ""
    return ".".join((*labels[:-1], top[1].rstrip("-")))


_IP = (
    r"[0-9A-Fa-f]*(?::[0-9A-Fa-f]*){2,}(?:\.[0-9]+)*(?:%[0-9A-Za-z]+)?"
    r"|[0-9]+(?:\.[0-9]+){3,}"
)
#: Four numbers behind one of these are a version, the place of a section, or part of a file's name.
_NO_HOST = (
    r"(?i)(?:(?:version|release|build|firmware|driver|revision|(?:^|[^a-z])(?:ver|rev))[^a-z0-9]*"
    r"|(?:section|sec|chapter|clause|article|table|figure|appendix|annex|paragraph|abschnitt"
    r"|kapitel|artikel|chrome|chromium|electron|opera)[. ]*"
    r"|(?-i:[A-Z])[a-z0-9_-]*/|[a-z]\.)$"
)
_NO_HOST_CONTEXT_CHARS = 24
#: A browser's version where its maker hides the rest. Of the networks that it would be, people name
#: one without its length.
_HIDDEN_VERSION = re.compile(r"(?!10\.)[0-9]+\.0\.0\.0")
_PREFIX_LENGTH, _NAME_GOES_ON = re.compile("/[0-9]"), re.compile(r"\.[A-Za-z]")
_MAX_IP_CHARS = 64


def _ips(text: str, start: int, end: int) -> Iterator[Stretch]:
    if text[start] == ":" and text[start : start + 2] != "::":
        start += 1
    if text[end - 1] == ":" and text[end - 2 : end] != "::":
        end -= 1
    if not _is_ip(text[start:end]) or not stands_alone(text, start, end, joiners="."):
        return
    if ":" in text[start:end] or _is_host(text, start, end):
        yield start, end


def _is_host(text: str, start: int, end: int) -> bool:
    """Whether four numbers are where somebody would write a host, or a network with its length."""
    if _HIDDEN_VERSION.fullmatch(text, start, end) and not _PREFIX_LENGTH.match(text, end):
        return False
    is_file = text[start - 1 : start] == "-" and _NAME_GOES_ON.match(text, end) is not None
    return not is_file and not follows(_NO_HOST, text, start, _NO_HOST_CONTEXT_CHARS)


def _is_ip(piece: str) -> bool:
    """Whether somebody may have this address: `::` and `dead::beef` are code more often."""
    if len(piece) > _MAX_IP_CHARS or DIGITS.search(piece) is None:
        return False
    try:
        ipaddress.ip_address(piece)
    except ValueError:
        return False
    return True


_URL = r"""(?i)(?:(?:https?|ftps?)://|www\.)[^\x00\x02\x04-\x20"<>\\^`{|}]+"""
_HOST = re.compile(
    r"(?:[A-Za-z]+://)?(?:[^@/?#]*@)?"
    r"(?:localhost|\[[0-9A-Fa-f:.]+\]"
    r"|[A-Za-z0-9\x01\x03_-]+(?:\.[A-Za-z0-9\x01\x03_-]+)+)\.?"
    r"(?::[0-9]{1,5})?(?=[/?#]|$)",
    re.IGNORECASE,
)
_OPENER_OF = {")": "(", "]": "["}


def _urls(text: str, start: int, end: int) -> Iterator[Stretch]:
    if start and is_word(text[start - 1]):
        return
    end = _before_sentence(text, start, end)
    end = start + _trimmed_chars(text[start:end])
    if _HOST.match(text[start:end]):
        yield start, end


def _before_sentence(text: str, start: int, end: int) -> int:
    """Say where a URL ends that a sentence in a script without spaces goes on behind.

    In a host or a path that is itself in such a script, no end can be told: it goes on to the next
    space or punctuation, since what is taken too much is better than an address cut in two.
    """
    first = text.find(CASELESS, start, end)
    if first < 0:
        return end
    host_end = next((at for at in range(start + 8, end) if text[at] in "/?#"), end)
    before = text[first - 1]
    if is_word(before) or (before == "/" and first - 1 == host_end):
        return first
    return end


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
