"""Signing in and out, and how often somebody may try."""

import time
from collections import OrderedDict
from typing import Final

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from smallfirst_desk.asking import SEE_OTHER, Asker, Asking, to
from smallfirst_desk.said import SAID
from smallfirst_desk.sessions import LAST_COOKIE, SESSION_COOKIE, Signer
from smallfirst_desk.users import User, UsersFile
from smallfirst_desk.web import one

log = structlog.get_logger()

#: Wrong passwords for one name within a minute, after which none is looked at for the rest of it.
MAX_FAILURES: Final = 10
_FAILURE_SECONDS: Final = 60.0
#: Names of which failures are counted.
_MAX_COUNTED: Final = 10_000


class Failures:
    """Counts wrong passwords, so that nobody tries thousands."""

    def __init__(self) -> None:
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def is_closed(self, name: str) -> bool:
        """Whether too many were wrong just now."""
        since, count = self._counts.get(name, (0.0, 0))
        return count >= MAX_FAILURES and time.monotonic() - since < _FAILURE_SECONDS

    def add(self, name: str) -> None:
        """Count one more."""
        now = time.monotonic()
        since, count = self._counts.pop(name, (now, 0))
        self._counts[name] = (now, 1) if now - since >= _FAILURE_SECONDS else (since, count + 1)
        while len(self._counts) > _MAX_COUNTED:
            self._counts.popitem(last=False)

    def forget(self, name: str) -> None:
        """Begin anew after a right one."""
        self._counts.pop(name, None)


class SigningIn:
    """The pages by which a session begins and ends.

    Args:
        asking: What pages begin and end with.
        users: Who may sign in.
        signer: Of cookies.
    """

    def __init__(self, asking: Asking, users: UsersFile, signer: Signer) -> None:
        self._asking = asking
        self._users = users
        self._signer = signer
        self._failures = Failures()

    def routes(self) -> list[Route]:
        """Where its pages are."""
        return [
            Route("/sign-in", self._sign_in_page, methods=["GET"]),
            Route("/sign-in", self._sign_in, methods=["POST"]),
            Route("/sign-out", self._asking.action(self._sign_out), methods=["POST"]),
        ]

    async def _sign_in_page(self, request: Request) -> Response:
        asker = self._asking.asker(request)
        if asker.user is not None:
            return RedirectResponse("/", SEE_OTHER)
        said = SAID.get(request.query_params.get("said", ""), "")
        response = self._asking.render("sign_in.html.j2", asker, error="", said=said)
        self._asking.set_cookie(response, SESSION_COOKIE, self._signer.write_session(asker.session))
        return response

    async def _sign_in(self, request: Request) -> Response:
        asker = self._asking.asker(request)
        form = await request.form(max_files=0, max_fields=10)
        self._asking.check(asker, form)
        name, password = one(form.get("name"))[:64].strip(), one(form.get("password"))
        if self._failures.is_closed(name):
            said = "Too many wrong passwords; try again in a minute."
            return self._asking.render("sign_in.html.j2", asker, 429, error=said)
        user = await run_in_threadpool(self._users.signed_in, name, password)
        if user is None:
            self._failures.add(name)
            log.warning("desk.sign_in_failed", address=request.client and request.client.host)
            said = "There is no such name with this password."
            return self._asking.render("sign_in.html.j2", asker, 401, error=said)
        self._failures.forget(name)
        log.info("desk.signed_in", person=user.pseudonym)
        response = RedirectResponse("/", SEE_OTHER)
        begun = self._signer.begun(name, user)
        self._asking.set_cookie(response, SESSION_COOKIE, self._signer.write_session(begun))
        return response

    def _sign_out(self, _request: Request, _asker: Asker, user: User, _form: FormData) -> Response:
        log.info("desk.signed_out", person=user.pseudonym)
        response = to("/sign-in", "signed-out")
        response.delete_cookie(SESSION_COOKIE)
        response.delete_cookie(LAST_COOKIE)
        return response
