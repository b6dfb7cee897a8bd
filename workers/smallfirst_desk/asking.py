"""Asking: who asks for a page, whether they may, and the page that they get.

What the pages show of jobs is `app`'s business.
"""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import structlog
from anyio import CapacityLimiter, to_thread
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from smallfirst_desk.access import Access
from smallfirst_desk.action_log import ActionLog
from smallfirst_desk.errors import NotAllowed, NotRecorded
from smallfirst_desk.sessions import SESSION_COOKIE, Session, Signer, Way, key_of
from smallfirst_desk.users import User, UsersFile
from smallfirst_desk.web import MAX_BODY_BYTES, assets, one, templates

log = structlog.get_logger()

SEE_OTHER: Final = HTTPStatus.SEE_OTHER


@dataclass(frozen=True)
class Asker:
    """Who asks: a session, and the user where somebody has signed in.

    Attributes:
        session: Of the browser.
        user: None where nobody has signed in.
        is_new: Whether the session has just begun, and the browser has to be told.
    """

    session: Session
    user: User | None
    is_new: bool = False


class Asking:
    """What every page and every form of a desk begins and ends with.

    Args:
        users: Who may sign in.
        signer: Of cookies and tokens.
        access: How people sign in.
        actions: What is done is recorded there.
        undo_seconds: For how long a decision may be taken back, as pages say.
        is_https: Whether people come over HTTPS alone.

    Attributes:
        assets: The style and the script, by name.
    """

    def __init__(
        self,
        users: UsersFile,
        signer: Signer,
        access: Access,
        actions: ActionLog,
        *,
        undo_seconds: int,
        is_https: bool,
    ) -> None:
        self._users = users
        self._access = access
        self.actions = actions
        self._signer = signer
        self._undo_seconds = undo_seconds
        self._is_https = is_https
        self._templates = templates()
        self.assets = assets()
        contents = b"".join(asset.content for asset in self.assets.values())
        self._version = hashlib.sha256(contents).hexdigest()[:12]

    def asker(self, request: Request) -> Asker:
        """Tell who asks; a new password, or none any more in the file, ends a session."""
        session = self._signer.session(request.cookies.get(SESSION_COOKIE))
        proxy = self._access.proxy
        if proxy is not None and (person := proxy.person_of(request)) is not None:
            return self._behind_proxy(session, person)
        user = self._users.current.get(session.name) if session.name else None
        is_same = user is not None and key_of(user) == session.key
        return Asker(session, user if is_same and self._is_open(session.way) else None)

    def _is_open(self, way: Way) -> bool:
        """Whether people sign in so; what a proxy said, it says with each request anew."""
        return way is Way.PASSWORD or (way is Way.OIDC and self._access.oidc is not None)

    def _behind_proxy(self, session: Session, person: str) -> Asker:
        """The proxy's word stands above that of a cookie: it may know another by now."""
        found = self._users.known_as(person)
        if found is None:
            return Asker(Session(session.id), None)
        name, user = found
        if (session.name, session.key, session.way) == (name, key_of(user), Way.PROXY):
            return Asker(session, user)
        return Asker(self._signer.begun(name, user, Way.PROXY), user, is_new=True)

    def page(
        self,
        show: Callable[[Request, Asker, User], Response],
        at_once: CapacityLimiter | None = None,
    ) -> Callable[[Request], Awaitable[Response]]:
        """A page for who has signed in; anybody else is sent to do so.

        Args:
            show: Makes it, in a thread.
            at_once: How many are made side by side; where nothing is said, as many as of anything.
        """

        async def endpoint(request: Request) -> Response:
            asker = self.asker(request)
            if asker.user is None:
                return RedirectResponse("/sign-in", SEE_OTHER)
            response = await to_thread.run_sync(show, request, asker, asker.user, limiter=at_once)
            if asker.is_new:
                self.tell_session(response, asker.session)
            return response

        return endpoint

    def action(
        self, do: Callable[[Request, Asker, User, FormData], Response]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Something that a form of ours does for who has signed in."""

        async def endpoint(request: Request) -> Response:
            asker = self.asker(request)
            form = await request.form(max_files=0, max_fields=5000, max_part_size=MAX_BODY_BYTES)
            if asker.user is None:
                return RedirectResponse("/sign-in", SEE_OTHER)
            self.check(asker, form)
            return await run_in_threadpool(self._recorded, do, request, asker, asker.user, form)

        return endpoint

    def _recorded(
        self,
        do: Callable[[Request, Asker, User, FormData], Response],
        request: Request,
        asker: Asker,
        user: User,
        form: FormData,
    ) -> Response:
        """Do something, but not while what was done before cannot be recorded."""
        try:
            self.actions.check()
        except OSError as error:
            raise NotRecorded from error
        try:
            return do(request, asker, user, form)
        except NotAllowed as error:
            self.note("was refused", user, why=str(error.status), **_about(request))
            raise

    def note(self, did: str, user: User | None, **about: str) -> None:
        """Record what somebody did; what cannot be written now is kept, and stops what comes."""
        try:
            self.actions.add(did, user.pseudonym if user is not None else None, **about)
        except OSError as error:
            log.error(  # noqa: TRY400 - its reason is all there is to it
                "desk.action_not_recorded",
                error=type(error).__name__,
                reason=error.strerror,
                consequence="it is done and kept; nothing more is done until it can be written",
                remedy="make room in the folder that SMALLFIRST_DESK_LOG names",
            )

    def check(self, asker: Asker, form: FormData) -> None:
        """See that a form stood on a page of this session.

        Raises:
            NotAllowed: When it did not.
        """
        if not self._signer.is_csrf(asker.session, one(form.get("csrf"))):
            raise NotAllowed("This form is of another session; open the page anew.")

    def render(self, name: str, asker: Asker, status: int = 200, /, **shown: Any) -> HTMLResponse:
        """Write a page for who asks."""
        html = self._templates.get_template(name).render(
            asker=asker,
            csrf=self._signer.csrf(asker.session),
            version=self._version,
            undo_seconds=self._undo_seconds,
            **{"said": "", "last": None, **shown},
        )
        return HTMLResponse(html, status)

    def tell_session(self, response: Response, session: Session) -> None:
        """Let the browser know its session."""
        self.set_cookie(response, SESSION_COOKIE, self._signer.write_session(session))

    def set_cookie(
        self, response: Response, name: str, value: str, *, max_age: int | None = None
    ) -> None:
        """Keep something signed in the browser of whoever asks; a session long, or for seconds."""
        response.set_cookie(
            name,
            value,
            max_age=max_age,
            httponly=True,
            samesite="lax",
            secure=self._is_https,
            path="/",
        )


def _about(request: Request) -> dict[str, str]:
    """What an address says of a task and a job; whoever may not see them may have made it up."""
    wanted = {"task": "task", "place": "place"}
    found = {name: request.path_params.get(key, "") for name, key in wanted.items()}
    return {name: value[:128] for name, value in found.items() if value}


def to(path: str, said: str) -> RedirectResponse:
    """Go to a page, which says what was done before."""
    return RedirectResponse(f"{path}?said={said}" if said else path, SEE_OTHER)
