"""What every answer of the desk has in common."""

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from smallfirst_desk.web import CONTENT_SECURITY_POLICY, Guard

CANARY = "marta lives at the mill"


async def _break(_request: Request) -> Response:
    raise ValueError(CANARY)


async def _answer(_request: Request, _error: Exception) -> Response:
    return PlainTextResponse("Something broke here.", 500)


async def test_what_breaks_is_answered_and_not_raised_for_the_server_to_log() -> None:
    """A server logs what an application raises with its message, which may quote a text."""
    app = Guard(Starlette(routes=[Route("/", _break)], exception_handlers={Exception: _answer}))
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://desk") as client:
        answer = await client.get("/")

    assert (answer.status_code, answer.text) == (500, "Something broke here.")
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
