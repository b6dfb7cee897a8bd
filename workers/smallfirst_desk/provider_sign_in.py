"""Signing in at a provider: the way there, and the way back.

Both are links and not forms: the pages' policy lets no form lead to another site, and a form's
redirects count as the form's.
"""

import hmac

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from smallfirst_desk.access import CALLBACK
from smallfirst_desk.asking import SEE_OTHER, Asking, to
from smallfirst_desk.errors import NotSignedIn
from smallfirst_desk.oidc import Oidc
from smallfirst_desk.sessions import TRY_AGE, TRY_COOKIE, Signer, Way
from smallfirst_desk.users import User, UsersFile

log = structlog.get_logger()

#: The longest code or state that is looked at.
_MAX_CHARS = 4096


class ProviderSignIn:
    """The two addresses of a provider's way.

    Args:
        asking: What pages begin and end with.
        users: Who may sign in.
        signer: Of cookies.
        oidc: The provider.
    """

    def __init__(self, asking: Asking, users: UsersFile, signer: Signer, oidc: Oidc) -> None:
        self._asking = asking
        self._users = users
        self._signer = signer
        self._oidc = oidc

    def routes(self) -> list[Route]:
        """Where they are."""
        return [
            Route("/sign-in/oidc", self._begin, methods=["GET"]),
            Route(CALLBACK, self._back, methods=["GET"]),
        ]

    async def _begin(self, request: Request) -> Response:
        try:
            url, tried = await run_in_threadpool(self._oidc.begin)
        except NotSignedIn as error:
            return self._failed(request, error)
        response = RedirectResponse(url, SEE_OTHER)
        age = round(TRY_AGE.total_seconds())
        self._asking.set_cookie(response, TRY_COOKIE, self._signer.write_try(tried), max_age=age)
        return response

    async def _back(self, request: Request) -> Response:
        try:
            name, user = await run_in_threadpool(self._signed_in, request)
        except NotSignedIn as error:
            await run_in_threadpool(self._asking.note, "was not let in", None, way=str(Way.OIDC))
            return self._failed(request, error)
        log.info("desk.signed_in", person=user.pseudonym, way=str(Way.OIDC))
        await run_in_threadpool(self._asking.note, "signed in", user, way=str(Way.OIDC))
        response = RedirectResponse("/", SEE_OTHER)
        self._asking.tell_session(response, self._signer.begun(name, user, Way.OIDC))
        response.delete_cookie(TRY_COOKIE)
        return response

    def _signed_in(self, request: Request) -> tuple[str, User]:
        """Find who comes back.

        Raises:
            NotSignedIn: When it is nobody's try, or nobody here.
        """
        asked = request.query_params
        tried = self._signer.read_try(request.cookies.get(TRY_COOKIE))
        state, code = asked.get("state", "")[:_MAX_CHARS], asked.get("code", "")
        if tried is None or not hmac.compare_digest(tried.state.encode(), state.encode()):
            raise NotSignedIn("the try was begun by another browser, or long ago")
        if "error" in asked or not 0 < len(code) <= _MAX_CHARS:
            raise NotSignedIn("the provider let nobody in")
        person = self._oidc.end(tried, code)
        found = self._users.known_as(person)
        if found is None:
            raise NotSignedIn("the provider knows who it is, and the file of users does not")
        return found

    def _failed(self, request: Request, error: NotSignedIn) -> Response:
        address = request.client and request.client.host
        log.warning("desk.sign_in_failed", address=address, way=str(Way.OIDC), reason=str(error))
        response = to("/sign-in", "away" if error.is_outage else "not-signed-in")
        response.delete_cookie(TRY_COOKIE)
        return response
