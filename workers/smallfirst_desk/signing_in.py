"""Signing in and out, and how often somebody may try."""

import time
from collections import OrderedDict
from typing import Final

import structlog
from anyio import CapacityLimiter, to_thread
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from smallfirst_desk.access import Access
from smallfirst_desk.asking import SEE_OTHER, Asker, Asking, to
from smallfirst_desk.provider_sign_in import ProviderSignIn
from smallfirst_desk.said import SAID
from smallfirst_desk.sessions import LAST_COOKIE, SESSION_COOKIE, Signer, Way
from smallfirst_desk.users import User, UsersFile
from smallfirst_desk.web import one

log = structlog.get_logger()

#: Wrong passwords for one name within a minute, after which none is looked at for the rest of it.
MAX_FAILURES: Final = 10
_FAILURE_SECONDS: Final = 60.0
#: Passwords that are looked at side by side: each takes 64 MiB for a moment.
_AT_ONCE: Final = 2
_UNKNOWN: Final = "The proxy knows you, and the desk does not: ask who keeps it to add you."
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
        access: How else people sign in.
    """

    def __init__(self, asking: Asking, users: UsersFile, signer: Signer, access: Access) -> None:
        self._asking = asking
        self._users = users
        self._signer = signer
        self._access = access
        self._provider = (
            ProviderSignIn(asking, users, signer, access.oidc) if access.oidc is not None else None
        )
        self._hashing = CapacityLimiter(_AT_ONCE)
        self._failures = Failures()

    def routes(self) -> list[Route]:
        """Where its pages are."""
        elsewhere = [] if self._provider is None else self._provider.routes()
        return [
            *elsewhere,
            Route("/sign-in", self._sign_in_page, methods=["GET"]),
            Route("/sign-in", self._sign_in, methods=["POST"]),
            Route("/sign-out", self._asking.action(self._sign_out), methods=["POST"]),
        ]

    async def _sign_in_page(self, request: Request) -> Response:
        asker = self._asking.asker(request)
        if asker.user is not None:
            return RedirectResponse("/", SEE_OTHER)
        key = request.query_params.get("said", "")
        out = await run_in_threadpool(self._out_url) if key == "signed-out" else None
        proxy = self._access.proxy
        error = _UNKNOWN if proxy is not None and proxy.person_of(request) is not None else ""
        response = self._page(asker, 200, said=SAID.get(key, ""), error=error, out=out)
        self._asking.tell_session(response, asker.session)
        return response

    def _page(self, asker: Asker, status: int, **shown: object) -> Response:
        oidc = self._access.oidc
        ways = {
            "provider": None if oidc is None else oidc.host,
            "has_passwords": self._users.has_passwords,
        }
        shown = {"said": "", "error": "", "out": None, **ways, **shown}
        return self._asking.render("sign_in.html.j2", asker, status, **shown)

    def _out_url(self) -> str | None:
        """Where people sign out at the provider, too: else the next one is who was there before."""
        oidc = self._access.oidc
        return None if oidc is None else oidc.sign_out_url(f"{self._access.url}/sign-in")

    async def _sign_in(self, request: Request) -> Response:
        asker = self._asking.asker(request)
        form = await request.form(max_files=0, max_fields=10)
        self._asking.check(asker, form)
        name, password = one(form.get("name"))[:64].strip(), one(form.get("password"))
        if self._failures.is_closed(name):
            said = "Too many wrong passwords; try again in a minute."
            return self._page(asker, 429, error=said)
        user = await to_thread.run_sync(
            self._users.signed_in, name, password, limiter=self._hashing
        )
        if user is None:
            self._failures.add(name)
            log.warning("desk.sign_in_failed", address=request.client and request.client.host)
            note = self._asking.note
            await run_in_threadpool(note, "was not let in", None, way=str(Way.PASSWORD))
            said = "There is no such name with this password."
            return self._page(asker, 401, error=said)
        self._failures.forget(name)
        log.info("desk.signed_in", person=user.pseudonym, way=str(Way.PASSWORD))
        await run_in_threadpool(self._asking.note, "signed in", user, way=str(Way.PASSWORD))
        response = RedirectResponse("/", SEE_OTHER)
        self._asking.tell_session(response, self._signer.begun(name, user))
        return response

    def _sign_out(self, _request: Request, _asker: Asker, user: User, _form: FormData) -> Response:
        log.info("desk.signed_out", person=user.pseudonym)
        self._asking.note("signed out", user)
        response = to("/sign-in", "signed-out")
        response.delete_cookie(SESSION_COOKIE)
        response.delete_cookie(LAST_COOKIE)
        return response
