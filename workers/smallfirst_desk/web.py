"""What every request and every response of the desk has in common: bounds, headers, words.

It knows Starlette, and nothing of jobs.
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

STATIC: Final = Path(__file__).with_name("static")
#: The most bytes of a form: an answer may be a long text.
MAX_BODY_BYTES: Final = 4_000_000
#: Nothing from another host, nothing inline, in nobody's frame, no form to elsewhere.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class Guard:
    """Bounds what comes in, refuses what another site sends, and puts the headers on all answers.

    Args:
        app: What answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        if reason := _refusal(scope):
            await PlainTextResponse(*reason)(scope, receive, send_with_headers)
            return
        # What breaks was told and answered by then, and is raised once more for the server, which
        # would log its message: that may quote a text.
        with suppress(Exception):
            await self._app(scope, _bounded(receive), send_with_headers)


def _refusal(scope: Scope) -> tuple[str, int] | None:
    """Why a request is not looked at; None where it is."""
    headers = Headers(scope=scope)
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
        return "The form is too large.", 413
    # Browsers say where a form stood; a form of ours stood on a page of ours.
    if scope["method"] == "POST" and headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return "This was sent by another site.", 403
    return None


class TooLarge(Exception):
    """Raised when a body goes on beyond its bound."""


def _bounded(receive: Receive) -> Receive:
    num_bytes = 0

    async def bounded() -> Message:
        nonlocal num_bytes
        message = await receive()
        num_bytes += len(message.get("body", b""))
        if num_bytes > MAX_BODY_BYTES:
            raise TooLarge
        return message

    return bounded


@dataclass(frozen=True)
class Asset:
    """A file that pages name, with a version by which browsers may keep it."""

    content: bytes
    media_type: str


def templates() -> Environment:
    """Read the pages: everything is escaped, and a name that is not there is an error."""
    pages = Environment(
        loader=PackageLoader("smallfirst_desk"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters["exact"] = exact
    return pages


def exact(text: str) -> Markup:
    """Escape a text so that a browser has each of its characters: places in it are counted there.

    A page's own carriage returns become line feeds as it is read, and its NULs go; those that are
    written as references stay. Source: https://html.spec.whatwg.org/multipage/parsing.html
    (preprocessing the input stream; unexpected-null-character).
    """
    written = str(escape(text)).replace("\r", "&#13;").replace("\x00", "&#65533;")
    return Markup(written)  # noqa: S704 - escaped a line above


def assets() -> dict[str, Asset]:
    """Read the style and the script."""
    kinds = {
        "desk.css": "text/css",
        "desk.js": "text/javascript",
        "desk.svg": "image/svg+xml",
    }
    return {name: Asset((STATIC / name).read_bytes(), kind) for name, kind in kinds.items()}


def one(value: Any) -> str:
    """A field of a form as text; a file is none."""
    return value if isinstance(value, str) else ""
