"""OIDC: signing in at a provider of OpenID Connect, by the authorization code flow.

Authlib asks, joserfc checks the signature; state, nonce and PKCE are made here for each try, and
lie signed in the browser that began it. No token is kept, logged or shown.
Source: OpenID Connect Core 1.0, sections 3.1.2 and 3.1.3.7; RFC 7636; RFC 9700, section 2.1.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from secrets import token_urlsafe
from threading import Lock
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import httpx2
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from smallfirst_desk.errors import NotSignedIn
from smallfirst_desk.proxy import MAX_KNOWN_CHARS

#: How long what the provider says of itself is kept.
_KEPT_SECONDS: Final = 3600.0
#: Between two looks for new keys, so that made-up tokens cannot make us ask without end.
_KEYS_SECONDS: Final = 10.0
_TIMEOUT_SECONDS: Final = 10.0
#: By how much the provider's clock and ours may differ.
_LEEWAY_SECONDS: Final = 60
#: Signatures by a key that the provider alone has; `none` and shared secrets are not among them.
_ALGORITHMS: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "EdDSA",
)
#: What is asked for beside `openid`, by the claim that names a person.
_SCOPES: Final[Mapping[str, str]] = {"sub": "openid", "email": "openid email"}
_MAX_REPLY_BYTES: Final = 1_000_000


@dataclass(frozen=True)
class OidcSettings:
    """What a provider has been told of this desk, and what we have of it.

    Attributes:
        issuer: The provider's own name: an address.
        client_id: The desk's name there.
        client_secret: Its secret; None where it has none.
        redirect_uri: Where the provider sends people back to.
        claim: The claim that names a person.
    """

    issuer: str
    client_id: str
    client_secret: str | None
    redirect_uri: str
    claim: str


@dataclass(frozen=True)
class Try:
    """One try to sign in, kept by the browser that began it."""

    state: str
    nonce: str
    verifier: str


class Oidc:
    """A provider, as the desk speaks to it. Its methods wait for the provider.

    Args:
        settings: Of provider and desk.
    """

    def __init__(self, settings: OidcSettings) -> None:
        self._settings = settings
        self._lock = Lock()
        self._about: tuple[float, dict[str, Any]] | None = None
        self._keys: tuple[float, KeySet] | None = None
        self._looked_anew = -inf

    @property
    def host(self) -> str:
        """The provider, for people."""
        return urlsplit(self._settings.issuer).netloc

    def begin(self) -> tuple[str, Try]:
        """Begin a try: the address to send the browser to, and what it keeps meanwhile.

        Raises:
            NotSignedIn: When the provider cannot be reached, or says nonsense.
        """
        tried = Try(token_urlsafe(24), token_urlsafe(24), token_urlsafe(48))
        with self._client() as client:
            url, _ = client.create_authorization_url(
                self._endpoint("authorization_endpoint"),
                state=tried.state,
                code_verifier=tried.verifier,
                nonce=tried.nonce,
            )
        return str(url), tried

    def end(self, tried: Try, code: str) -> str:
        """End a try with the code that the browser brought: who it is, as the claim says.

        Raises:
            NotSignedIn: When the code, or the token that it bought, is not good.
        """
        try:
            with self._client() as client:
                bought: Any = client.fetch_token(
                    self._endpoint("token_endpoint"),
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=tried.verifier,
                )
        except (OAuthError, httpx2.HTTPError, ValueError) as error:
            raise NotSignedIn(f"the code bought no token: {type(error).__name__}") from error
        token = bought.get("id_token") if isinstance(bought, dict) else None
        if not isinstance(token, str):
            raise NotSignedIn("the provider gave no id token")
        return self._person_of(self._claims(token), tried.nonce)

    def sign_out_url(self, back: str) -> str | None:
        """Where people sign out at the provider too; None where it has no such page, or is away."""
        try:
            found = self._told().get("end_session_endpoint")
        except NotSignedIn:
            return None
        if not isinstance(found, str) or not _is_address(found, self._settings.issuer):
            return None
        asked = {"client_id": self._settings.client_id, "post_logout_redirect_uri": back}
        return f"{found}{'&' if '?' in found else '?'}{urlencode(asked)}"

    def _client(self) -> OAuth2Client:
        settings = self._settings
        return OAuth2Client(
            client_id=settings.client_id,
            client_secret=settings.client_secret,
            token_endpoint_auth_method="client_secret_basic" if settings.client_secret else "none",
            scope=_SCOPES.get(settings.claim, "openid profile"),
            redirect_uri=settings.redirect_uri,
            code_challenge_method="S256",
            timeout=_TIMEOUT_SECONDS,
            follow_redirects=False,
        )

    def _claims(self, token: str) -> Mapping[str, Any]:
        """Check a token's signature and what it claims of itself."""
        try:
            try:
                decoded = jwt.decode(token, self._key_set(), algorithms=_ALGORITHMS)
            except (JoseError, ValueError):
                # The provider may have new keys since.
                decoded = jwt.decode(token, self._key_set(is_new=True), algorithms=_ALGORITHMS)
            jwt.JWTClaimsRegistry(
                leeway=_LEEWAY_SECONDS,
                iss={"essential": True, "value": self._settings.issuer},
                sub={"essential": True},
                aud={"essential": True, "value": self._settings.client_id},
                exp={"essential": True},
                iat={"essential": True},
            ).validate(decoded.claims)
        except (JoseError, ValueError, TypeError) as error:
            raise NotSignedIn(f"the id token is not good: {type(error).__name__}") from error
        return decoded.claims

    def _person_of(self, claims: Mapping[str, Any], nonce: str) -> str:
        if claims.get("nonce") != nonce:
            raise NotSignedIn("the id token is of another try")
        audience = claims["aud"]
        party = claims.get("azp", self._settings.client_id)
        if party != self._settings.client_id or (isinstance(audience, list) and len(audience) > 1):
            raise NotSignedIn("the id token is for others, too")
        person = claims.get(self._settings.claim)
        if not isinstance(person, str) or not 0 < len(person) <= MAX_KNOWN_CHARS:
            raise NotSignedIn("the id token lacks the claim that names a person")
        if self._settings.claim == "email" and claims.get("email_verified") is not True:
            raise NotSignedIn("the provider has not verified the address")
        return person

    def _endpoint(self, name: str) -> str:
        found = self._told().get(name)
        if not isinstance(found, str) or not _is_address(found, self._settings.issuer):
            raise NotSignedIn(f"the provider names no {name}")
        return found

    def _told(self) -> dict[str, Any]:
        """What the provider says of itself."""
        with self._lock:
            if self._about is None or time.monotonic() - self._about[0] > _KEPT_SECONDS:
                place = f"{self._settings.issuer.rstrip('/')}/.well-known/openid-configuration"
                told = _fetched(place)
                if told.get("issuer") != self._settings.issuer:
                    raise NotSignedIn("the provider names another issuer than the desk was told")
                self._about = (time.monotonic(), told)
            return self._about[1]

    def _key_set(self, *, is_new: bool = False) -> KeySet:
        place = self._endpoint("jwks_uri")
        with self._lock:
            now = time.monotonic()
            may_look = is_new and now - self._looked_anew > _KEYS_SECONDS
            if may_look:
                self._looked_anew = now
            if self._keys is None or may_look or now - self._keys[0] > _KEPT_SECONDS:
                self._keys = (now, KeySet.import_key_set(_fetched(place)))  # type: ignore[arg-type]
            return self._keys[1]


def is_safe(url: str) -> bool:
    """Whether nobody on the way can read or change what goes to an address."""
    parts = urlsplit(url)
    is_here = parts.hostname in {"127.0.0.1", "::1", "localhost"}
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and is_here)
    )


def _is_address(url: str, issuer: str) -> bool:
    return is_safe(url) and (urlsplit(url).scheme == "https" or issuer.startswith("http:"))


def _fetched(url: str) -> dict[str, Any]:
    try:
        reply = httpx2.get(url, timeout=_TIMEOUT_SECONDS, follow_redirects=False)
        reply.raise_for_status()
        found = reply.json() if len(reply.content) <= _MAX_REPLY_BYTES else None
    except (httpx2.HTTPError, ValueError) as error:
        why = f"the provider cannot be asked: {type(error).__name__}"
        raise NotSignedIn(why, is_outage=True) from error
    if not isinstance(found, dict):
        raise NotSignedIn("the provider says nonsense of itself")
    return found
