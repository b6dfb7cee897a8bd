"""A provider of OpenID Connect, small and strict: `python -m tests.support.oidc_provider PORT`.

It approves whoever it was told is there, checks what a client owes it (redirect address, secret,
PKCE, each code once), and can be told to lie in its tokens in one way at a time.
"""

import base64
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_urlsafe
from typing import Any
from urllib.parse import urlencode

import httpx
import uvicorn
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from tests.support.waiting import wait_until

from smallfirst.local.redis_server import free_port

CLIENT_ID, CLIENT_SECRET = "review-desk", "a secret of the client, 32 characters"


class Provider:
    """The provider's state.

    Args:
        issuer: Its own address.
    """

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.keys = [self._new_key()]
        self.told: dict[str, Any] = {"claims": {"sub": "nobody"}, "fault": ""}
        self.codes: dict[str, dict[str, str]] = {}

    def _new_key(self) -> RSAKey:
        return RSAKey.generate_key(2048, {"kid": token_urlsafe(6), "use": "sig"}, auto_kid=False)

    async def about(self, _request: Request) -> Response:
        """Discovery."""
        other = self.told["fault"] == "another issuer"
        return JSONResponse(
            {
                "issuer": "https://evil.example.com" if other else self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "end_session_endpoint": f"{self.issuer}/sign-out",
            }
        )

    async def public_keys(self, _request: Request) -> Response:
        """What its signatures are checked with."""
        return JSONResponse(KeySet(list(self.keys)).as_dict(private=False))

    async def tell(self, request: Request) -> Response:
        """Be told who is there, and how to lie."""
        self.told = await request.json()
        if self.told["fault"] == "new keys":
            self.keys = [self._new_key()]
        return JSONResponse({})

    async def authorize(self, request: Request) -> Response:
        """Send a browser back with a code."""
        asked = dict(request.query_params)
        wanted = {"response_type": "code", "client_id": CLIENT_ID, "code_challenge_method": "S256"}
        if not wanted.items() <= asked.items() or not asked.get("nonce"):
            return JSONResponse({"error": "invalid_request"}, 400)
        if self.told["fault"] == "denied":
            back = {"error": "access_denied", "state": asked["state"]}
        else:
            code = token_urlsafe(16)
            self.codes[code] = asked
            back = {"code": code, "state": asked["state"]}
        if self.told["fault"] == "another state":
            back["state"] = token_urlsafe(24)
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(back)}", 303)

    async def token(self, request: Request) -> Response:
        """Sell a token for a code, once, to the client that asked for it."""
        form = await request.form()
        asked = self.codes.pop(str(form.get("code")), None)
        secret = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        is_client = request.headers.get("authorization") == f"Basic {secret}"
        challenge = create_s256_code_challenge(str(form.get("code_verifier")))
        if (
            asked is None
            or not is_client
            or form.get("redirect_uri") != asked["redirect_uri"]
            or challenge != asked["code_challenge"]
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        return JSONResponse(
            {
                "access_token": "none",
                "token_type": "Bearer",
                "expires_in": 60,
                "id_token": self._id_token(asked["nonce"]),
            }
        )

    def _id_token(self, nonce: str) -> str:
        now, fault = int(time.time()), self.told["fault"]
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": nonce,
            **self.told["claims"],
        }
        lies: dict[str, dict[str, Any]] = {
            "nonce": {"nonce": "of another try"},
            "audience": {"aud": "somebody-else"},
            "two audiences": {"aud": [CLIENT_ID, "somebody-else"]},
            "issuer in the token": {"iss": "https://evil.example.com"},
            "expired": {"iat": now - 900, "exp": now - 600},
            "of the future": {"iat": now + 900, "exp": now + 1200},
        }
        claims |= lies.get(fault, {})
        key: Any = self.keys[0]
        header = {"alg": "RS256", "kid": key.kid}
        if fault == "shared secret":
            key, header = OctKey.import_key(CLIENT_SECRET), {"alg": "HS256", "kid": key.kid}
        if fault == "foreign key":
            key = self._new_key()
        if fault == "unsigned":
            parts = (jwt.encode(header, claims, key)).split(".")
            none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
            return f"{none}.{parts[1]}."
        return str(jwt.encode(header, claims, key))


def app_of(provider: Provider) -> Starlette:
    """Its addresses."""
    return Starlette(
        routes=[
            Route("/.well-known/openid-configuration", provider.about),
            Route("/keys", provider.public_keys),
            Route("/authorize", provider.authorize),
            Route("/token", provider.token, methods=["POST"]),
            Route("/tell", provider.tell, methods=["POST"]),
        ]
    )


class RunningProvider:
    """A provider that runs, as a test speaks to it."""

    def __init__(self, process: "subprocess.Popen[bytes]", issuer: str) -> None:
        self.process = process
        self.issuer = issuer

    def tell(self, fault: str = "", **claims: object) -> None:
        """Say who is there, and how the next token lies."""
        told = {"claims": claims, "fault": fault}
        httpx.post(f"{self.issuer}/tell", json=told, timeout=10).raise_for_status()

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait(10)


@contextmanager
def running_provider() -> Iterator[RunningProvider]:
    """Run a provider as long as the block does."""
    port = free_port()
    issuer = f"http://127.0.0.1:{port}"
    process = subprocess.Popen([sys.executable, "-m", "tests.support.oidc_provider", str(port)])

    def answers() -> bool:
        try:
            return httpx.get(f"{issuer}/keys", timeout=2).is_success
        except httpx.TransportError:
            return False

    try:
        wait_until(answers, description="the provider answers", timeout=30)
        yield RunningProvider(process, issuer)
    finally:
        process.terminate()
        process.wait(10)


if __name__ == "__main__":
    where = int(sys.argv[1])
    uvicorn.run(
        app_of(Provider(f"http://127.0.0.1:{where}")),
        host="127.0.0.1",
        port=where,
        log_level="error",
    )
