"""The desk over HTTP: who asks, whether they may, what they see.

Nothing is changed by a GET. Every form holds the session's token, and what is done to a job also
the token of the page view, by which one press of a key never decides two jobs. No address, title
or log holds a word of a job.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import structlog
from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from smallfirst.ledger.decisions import Decision
from smallfirst.ledger.held_jobs import HeldJob
from smallfirst.ledger.review import Leased, Refusal
from smallfirst_desk.desk import LISTED, Desk, code_of
from smallfirst_desk.errors import FormError, NotAllowed
from smallfirst_desk.forms import read_answer
from smallfirst_desk.pages import ages, page_of, row_of
from smallfirst_desk.sessions import (
    LAST_COOKIE,
    SESSION_COOKIE,
    LastDecision,
    Session,
    Signer,
    View,
    key_of,
)
from smallfirst_desk.users import Role, User, UsersFile
from smallfirst_desk.web import MAX_BODY_BYTES, Guard, TooLarge, assets, one, templates

log = structlog.get_logger()

#: What a page says of what was done before; an address holds the key alone.
SAID: Final[Mapping[str, str]] = {
    "answered": "Answered.",
    "skipped": "Skipped; it is offered to others.",
    "undone": "Taken back; the job is yours again.",
    "final": "That answer is final by now, and cannot be taken back.",
    "none": "Nothing waits here that nobody has in hand.",
    "held": "Somebody else has this job in hand.",
    "lost": "The lease on this job ended, and somebody else has taken it since.",
    "done": "This job has its answer already.",
    "due": "The time for which this job waits is over.",
    "ended": "This job is over: it was answered, cancelled, or its time is up.",
    "free": "This job is not in your hands any more.",
    "signed-out": "You are signed out.",
}
_SAID_OF: Final[Mapping[Refusal, str]] = {
    Refusal.HELD: "held",
    Refusal.LOST: "lost",
    Refusal.ANSWERED: "done",
    Refusal.DUE: "due",
    Refusal.ENDED: "ended",
    Refusal.NONE: "ended",
    Refusal.FREE: "free",
}
#: Wrong passwords for one name within a minute, after which none is looked at for the rest of it.
MAX_FAILURES: Final = 10
_FAILURE_SECONDS: Final = 60.0
#: Names of which failures are counted.
_MAX_COUNTED: Final = 10_000
_SEE_OTHER: Final = HTTPStatus.SEE_OTHER


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


@dataclass(frozen=True)
class Asker:
    """Who asks: a session, and the user where somebody has signed in."""

    session: Session
    user: User | None


class DeskApp:
    """The pages of one desk.

    Args:
        desk: What can be done.
        users: Who may.
        signer: Of cookies and tokens.
        is_https: Whether people come over HTTPS alone.
    """

    def __init__(self, desk: Desk, users: UsersFile, signer: Signer, *, is_https: bool) -> None:
        self._desk = desk
        self._users = users
        self._signer = signer
        self._is_https = is_https
        self._failures = Failures()
        self._templates = templates()
        self._assets = assets()
        self._version = hashlib.sha256(
            b"".join(asset.content for asset in self._assets.values())
        ).hexdigest()[:12]

    def asgi(
        self, lifespan: Callable[[Starlette], AbstractAsyncContextManager[None]] | None = None
    ) -> ASGIApp:
        """Put the pages together."""
        job = "/tasks/{task}/jobs/{place}"
        routes = [
            Route("/", self._page(self._front)),
            Route("/sign-in", self._sign_in_page, methods=["GET"]),
            Route("/sign-in", self._sign_in, methods=["POST"]),
            Route("/sign-out", self._action(self._sign_out), methods=["POST"]),
            Route("/help", self._page(self._help)),
            Route("/undo", self._action(self._undo), methods=["POST"]),
            Route("/tasks/{task}", self._page(self._list)),
            Route("/tasks/{task}/next", self._action(self._next), methods=["POST"]),
            Route(job, self._page(self._job)),
            Route(f"{job}/take", self._action(self._take), methods=["POST"]),
            Route(f"{job}/answer", self._action(self._answer), methods=["POST"]),
            Route(f"{job}/skip", self._action(self._skip), methods=["POST"]),
            Route(f"{job}/renew", self._action(self._renew), methods=["POST"]),
            Route("/static/{name}", self._asset),
            Route("/healthz", self._healthy),
        ]
        app = Starlette(
            routes=routes,
            exception_handlers={
                NotAllowed: self._refused,
                RedisError: self._unreachable,
                TooLarge: self._too_large,
                HTTPException: self._no_page,
                Exception: self._broken,
            },
            lifespan=lifespan,
        )
        # Around all of it, errors too.
        return Guard(app)

    # Who asks

    def _asker(self, request: Request) -> Asker:
        session = self._signer.session(request.cookies.get(SESSION_COOKIE))
        user = self._users.current.get(session.name) if session.name else None
        if user is not None and key_of(user) != session.key:
            user = None
        return Asker(session, user)

    def _page(
        self, show: Callable[[Request, Asker, User], Response]
    ) -> Callable[[Request], Awaitable[Response]]:
        """A page for who has signed in; anybody else is sent to do so."""

        async def endpoint(request: Request) -> Response:
            asker = self._asker(request)
            if asker.user is None:
                return RedirectResponse("/sign-in", _SEE_OTHER)
            return await run_in_threadpool(show, request, asker, asker.user)

        return endpoint

    def _action(
        self, do: Callable[[Request, Asker, User, FormData], Response]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Something that a form of ours does for who has signed in."""

        async def endpoint(request: Request) -> Response:
            asker = self._asker(request)
            form = await request.form(max_files=0, max_fields=5000, max_part_size=MAX_BODY_BYTES)
            if asker.user is None:
                return RedirectResponse("/sign-in", _SEE_OTHER)
            self._check(asker, form)
            return await run_in_threadpool(do, request, asker, asker.user, form)

        return endpoint

    def _check(self, asker: Asker, form: FormData) -> None:
        if not self._signer.is_csrf(asker.session, one(form.get("csrf"))):
            raise NotAllowed("This form is of another session; open the page anew.")

    # Pages

    def _render(self, name: str, asker: Asker, status: int = 200, /, **shown: Any) -> HTMLResponse:
        html = self._templates.get_template(name).render(
            asker=asker,
            csrf=self._signer.csrf(asker.session),
            version=self._version,
            undo_seconds=round(self._desk.waits.undo.total_seconds()),
            **{"said": "", "last": None, **shown},
        )
        return HTMLResponse(html, status)

    def _front(self, request: Request, asker: Asker, user: User) -> Response:
        tasks, loads = self._desk.tasks_of(user), self._desk.loads(user)
        rows = [(name, tasks[name], load, ages(load)) for name, load in loads.items()]
        return self._render("front.html.j2", asker, rows=rows, **self._news(request))

    def _list(self, request: Request, asker: Asker, user: User) -> Response:
        name = request.path_params["task"]
        task = self._desk.task(user, name)
        load = self._desk.load(user, name, listed=LISTED)
        rows = [(code_of(each.place), row_of(each, load.now_ms)) for each in load.listed[:LISTED]]
        return self._render(
            "list.html.j2",
            asker,
            task=name,
            about=task,
            load=load,
            ages=ages(load),
            rows=rows,
            me=user.pseudonym,
            sees_people=user.role is not Role.REVIEWER,
            **self._news(request),
        )

    def _job(self, request: Request, asker: Asker, user: User) -> Response:
        name, code = request.path_params["task"], request.path_params["place"]
        found = self._desk.shown(user, name, code)
        if isinstance(found, Refusal):
            return self._not_yours(asker, name, code, found)
        return self._show(request, asker, user, name, found)

    def _show(
        self, request: Request, asker: Asker, user: User, name: str, leased: Leased
    ) -> Response:
        code = code_of(leased.place)
        view = View(user.pseudonym, name, code, leased.start, leased.now_ms)
        shown = self._job_page(user, view, leased.due_ms)
        shown |= page_of(leased.held, self._desk.task(user, name))
        return self._render("job.html.j2", asker, **shown, **self._news(request), error="")

    def _job_page(self, user: User, view: View, due_ms: int) -> dict[str, Any]:
        """What a job's page shows besides the job."""
        return {
            "task": view.task,
            "about": self._desk.task(user, view.task),
            "code": view.place,
            "view": self._signer.write_view(view),
            "lease_ms": round(self._desk.waits.lease.total_seconds() * 1000),
            "left_ms": max(0, due_ms - view.shown_ms),
        }

    def _not_yours(self, asker: Asker, task: str, code: str, why: Refusal) -> Response:
        said = SAID[_SAID_OF[why]]
        status = HTTPStatus.CONFLICT if why is not Refusal.FREE else HTTPStatus.OK
        may_take = why is Refusal.FREE
        return self._render(
            "not_yours.html.j2", asker, status, task=task, code=code, may_take=may_take, said=said
        )

    def _help(self, _request: Request, asker: Asker, _user: User) -> Response:
        return self._render("help.html.j2", asker)

    def _news(self, request: Request) -> dict[str, Any]:
        """What was done before, and whether it may be taken back still."""
        said = SAID.get(request.query_params.get("said", ""), "")
        last = self._signer.last(request.cookies.get(LAST_COOKIE))
        return {"said": said, "last": last if said == SAID["answered"] else None}

    # What forms do

    def _next(self, request: Request, _asker: Asker, user: User, _form: FormData) -> Response:
        return self._go_on(user, request.path_params["task"], "")

    def _go_on(self, user: User, task: str, said: str) -> RedirectResponse:
        """Lease the next job and show it; or say that there is none."""
        found = self._desk.next(user, task)
        if isinstance(found, Refusal):
            return _to(f"/tasks/{task}", said or "none")
        return _to(f"/tasks/{task}/jobs/{code_of(found.place)}", said)

    def _take(self, request: Request, _asker: Asker, user: User, _form: FormData) -> Response:
        name, code = request.path_params["task"], request.path_params["place"]
        found = self._desk.take(user, name, code)
        if isinstance(found, Refusal):
            return _to(f"/tasks/{name}", _SAID_OF[found])
        return _to(f"/tasks/{name}/jobs/{code}", "")

    def _view(self, request: Request, user: User, form: FormData) -> View:
        """The page view that a form was sent from.

        Raises:
            NotAllowed: When it is another person's, another job's, or none.
        """
        view = self._signer.view(one(form.get("view")))
        at = (user.pseudonym, request.path_params["task"], request.path_params["place"])
        if view is None or (view.person, view.task, view.place) != at:
            raise NotAllowed("This form is of another page; open the job anew.")
        return view

    def _answer(self, request: Request, asker: Asker, user: User, form: FormData) -> Response:
        name, code = request.path_params["task"], request.path_params["place"]
        view, task = self._view(request, user, form), self._desk.task(user, name)
        held = self._desk.read(user, name, code)
        if held is None:
            return self._late(asker, name, form, Refusal.ENDED)
        try:
            answer = read_answer(task, held.job.text, _entered(form))
        except FormError as error:
            return self._again(asker, user, held, view, form, str(error))
        now_ms = self._desk.now_ms(code, name)
        decision = Decision(
            person=user.pseudonym,
            answer=answer,
            decided_ms=now_ms,
            seconds=max(0.0, (now_ms - view.shown_ms) / 1000),
            start=view.start,
        )
        final = self._desk.decide(name, code, held, decision)
        if isinstance(final, Refusal):
            _tell("desk.late", user, name, held, refusal=str(final))
            return self._late(asker, name, form, final)
        _tell("desk.decided", user, name, held, seconds=round(decision.seconds, 1))
        response = self._go_on(user, name, "answered")
        last = self._signer.write_last(LastDecision(name, code, final))
        self._set_cookie(response, LAST_COOKIE, last)
        return response

    def _again(
        self, asker: Asker, user: User, held: HeldJob, view: View, form: FormData, error: str
    ) -> Response:
        """Show the page once more, with all that was entered, and what is wrong with it."""
        shown = self._job_page(user, view, held.slip.due_ms)
        again = page_of(held, self._desk.task(user, view.task), _entered(form))
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        return self._render("job.html.j2", asker, status, **shown, **again, error=error)

    def _late(self, asker: Asker, task: str, form: FormData, why: Refusal) -> Response:
        """Say that an answer does not count, and why, and give it back: nothing typed is lost."""
        kept = [
            (key.removeprefix("field."), value)
            for key, values in _entered(form).items()
            for value in values
            if value
        ]
        return self._render(
            "late.html.j2",
            asker,
            HTTPStatus.CONFLICT,
            task=task,
            why=SAID[_SAID_OF[why]],
            kept=kept,
        )

    def _skip(self, request: Request, _asker: Asker, user: User, form: FormData) -> Response:
        name, code = request.path_params["task"], request.path_params["place"]
        view = self._view(request, user, form)
        self._desk.skip(user, name, code, view.start)
        log.info("desk.skipped", person=user.pseudonym, task=name)
        return self._go_on(user, name, "skipped")

    def _renew(self, request: Request, _asker: Asker, user: User, form: FormData) -> Response:
        name, code = request.path_params["task"], request.path_params["place"]
        view = self._view(request, user, form)
        refusal = self._desk.renew(user, name, code, view.start)
        if refusal is None:
            return JSONResponse({"is_kept": True})
        return JSONResponse(
            {"is_kept": False, "said": SAID[_SAID_OF[refusal]]}, HTTPStatus.CONFLICT
        )

    def _undo(self, request: Request, _asker: Asker, user: User, _form: FormData) -> Response:
        last = self._signer.last(request.cookies.get(LAST_COOKIE))
        if last is None:
            return _to("/", "final")
        is_undone = self._desk.undo(user, last.task, last.place)
        log.info("desk.undone", person=user.pseudonym, task=last.task, is_undone=is_undone)
        if not is_undone:
            return _to(f"/tasks/{last.task}", "final")
        response = _to(f"/tasks/{last.task}/jobs/{last.place}", "undone")
        response.delete_cookie(LAST_COOKIE)
        return response

    # Signing in and out

    async def _sign_in_page(self, request: Request) -> Response:
        asker = self._asker(request)
        if asker.user is not None:
            return RedirectResponse("/", _SEE_OTHER)
        said = SAID.get(request.query_params.get("said", ""), "")
        response = self._render("sign_in.html.j2", asker, error="", said=said)
        self._set_cookie(response, SESSION_COOKIE, self._signer.write_session(asker.session))
        return response

    async def _sign_in(self, request: Request) -> Response:
        asker = self._asker(request)
        form = await request.form(max_files=0, max_fields=10)
        self._check(asker, form)
        name, password = one(form.get("name"))[:64].strip(), one(form.get("password"))
        if self._failures.is_closed(name):
            said = "Too many wrong passwords; try again in a minute."
            return self._render("sign_in.html.j2", asker, 429, error=said)
        user = await run_in_threadpool(self._users.signed_in, name, password)
        if user is None:
            self._failures.add(name)
            log.warning("desk.sign_in_failed", address=request.client and request.client.host)
            said = "There is no such name with this password."
            return self._render("sign_in.html.j2", asker, 401, error=said)
        self._failures.forget(name)
        log.info("desk.signed_in", person=user.pseudonym)
        response = RedirectResponse("/", _SEE_OTHER)
        begun = self._signer.begun(name, user)
        self._set_cookie(response, SESSION_COOKIE, self._signer.write_session(begun))
        return response

    def _sign_out(self, _request: Request, _asker: Asker, user: User, _form: FormData) -> Response:
        log.info("desk.signed_out", person=user.pseudonym)
        response = _to("/sign-in", "signed-out")
        response.delete_cookie(SESSION_COOKIE)
        response.delete_cookie(LAST_COOKIE)
        return response

    def _set_cookie(self, response: Response, name: str, value: str) -> None:
        response.set_cookie(
            name, value, httponly=True, samesite="lax", secure=self._is_https, path="/"
        )

    # The rest

    async def _asset(self, request: Request) -> Response:
        asset = self._assets.get(request.path_params["name"])
        if asset is None:
            raise HTTPException(404)
        headers = {"cache-control": "public, max-age=31536000, immutable"}
        return Response(asset.content, media_type=asset.media_type, headers=headers)

    async def _healthy(self, _request: Request) -> Response:
        return JSONResponse({"is_alive": True})

    async def _refused(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, NotAllowed)
        return self._render("message.html.j2", self._asker(request), error.status, said=str(error))

    async def _no_page(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        words = {404: "There is no such page.", 405: "There is no such form."}
        said = words.get(error.status_code, "This cannot be done.")
        return self._render("message.html.j2", self._asker(request), error.status_code, said=said)

    async def _too_large(self, request: Request, _error: Exception) -> Response:
        said = "The form is too large."
        return self._render("message.html.j2", self._asker(request), 413, said=said)

    async def _broken(self, request: Request, error: Exception) -> Response:
        # Nobody but us reads it, and no variable of it, which could hold a text.
        log.error("desk.broken", error=type(error).__name__, exc_info=error)
        said = "Something broke here. Your jobs stand as they did; go back, and try again."
        return self._render("message.html.j2", self._asker(request), 500, said=said)

    async def _unreachable(self, request: Request, error: Exception) -> Response:
        log.warning(
            "desk.redis_unreachable",
            error=type(error).__name__,
            consequence="people see an error page; jobs and decisions stand in Redis",
        )
        said = (
            "The fleet cannot be reached. Nothing is lost: go back, and send the page again in a"
            " moment."
        )
        return self._render("message.html.j2", self._asker(request), 503, said=said)


def _entered(form: FormData) -> dict[str, list[str]]:
    """What a person entered, without what the page added; files are nothing."""
    return {
        key: [value for value in form.getlist(key) if isinstance(value, str)]
        for key in form
        if key not in {"csrf", "view"}
    }


def _to(path: str, said: str) -> RedirectResponse:
    return RedirectResponse(f"{path}?said={said}" if said else path, _SEE_OTHER)


def _tell(event: str, user: User, task: str, held: HeldJob, **more: object) -> None:
    log.info(event, person=user.pseudonym, task=task, job_id=held.job.id, **more)
