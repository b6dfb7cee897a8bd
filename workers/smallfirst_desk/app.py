"""The desk over HTTP: who asks, whether they may, what they see.

Nothing is changed by a GET. Every form holds the session's token, and what is done to a job also
the token of the page view, by which one press of a key never decides two jobs. No address, title
or log holds a word of a job.
"""

import traceback
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from http import HTTPStatus
from typing import Any, Final

import structlog
from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from smallfirst.audit.reporting import MAX_WORDS_A_MINUTE
from smallfirst.catalogue import Task
from smallfirst.ledger.decisions import Decision
from smallfirst.ledger.held_jobs import HeldJob
from smallfirst.ledger.review import Leased, Refusal, TaskLoad
from smallfirst.people import checks_of, task_of_checks
from smallfirst_desk.access import Access
from smallfirst_desk.action_log import ActionLog, job_hash
from smallfirst_desk.asking import Asker, Asking, to
from smallfirst_desk.dashboard.page import PATH as DASHBOARD
from smallfirst_desk.dashboard.page import Dashboard
from smallfirst_desk.desk import LISTED, Desk, code_of
from smallfirst_desk.errors import FormError, NotAllowed, NotRecorded
from smallfirst_desk.forms import read_answer
from smallfirst_desk.pages import ages, page_of, row_of
from smallfirst_desk.said import SAID
from smallfirst_desk.sessions import LAST_COOKIE, LastDecision, Signer, View
from smallfirst_desk.signing_in import SigningIn
from smallfirst_desk.users import Role, User, UsersFile
from smallfirst_desk.web import Guard, TooLarge, one

log = structlog.get_logger()

_SAID_OF: Final[Mapping[Refusal, str]] = {
    Refusal.HELD: "held",
    Refusal.LOST: "lost",
    Refusal.ANSWERED: "done",
    Refusal.DUE: "due",
    Refusal.ENDED: "ended",
    Refusal.NONE: "ended",
    Refusal.FREE: "free",
    Refusal.GIVEN: "given",
}


class DeskApp:
    """The pages of one desk.

    Args:
        desk: What can be done.
        users: Who may.
        signer: Of cookies and tokens.
        access: How people sign in beside a password; not at all where left out.
        actions: Where it is recorded what they do; nowhere where left out.
        is_https: Whether people come over HTTPS alone.
    """

    def __init__(
        self,
        desk: Desk,
        users: UsersFile,
        signer: Signer,
        access: Access | None = None,
        actions: ActionLog | None = None,
        *,
        is_https: bool,
    ) -> None:
        access, actions = access or Access(), actions or ActionLog(None, "")
        self._desk = desk
        self._signer = signer
        undo_seconds = round(desk.waits.undo.total_seconds())
        self._asking = Asking(
            users, signer, access, actions, undo_seconds=undo_seconds, is_https=is_https
        )
        self._signing_in = SigningIn(self._asking, users, signer, access)
        self._dashboard = Dashboard(self._asking, desk)

    def asgi(
        self, lifespan: Callable[[Starlette], AbstractAsyncContextManager[None]] | None = None
    ) -> ASGIApp:
        """Put the pages together."""
        job = "/tasks/{task}/jobs/{place}"
        routes = [
            Route("/", self._asking.page(self._front)),
            *self._signing_in.routes(),
            Route("/help", self._asking.page(self._help)),
            Route(DASHBOARD, self._asking.page(self._dashboard.show, self._dashboard.at_once)),
            Route("/undo", self._asking.action(self._undo), methods=["POST"]),
            Route("/tasks/{task}", self._asking.page(self._list)),
            Route("/tasks/{task}/agreement", self._asking.page(self._agreement)),
            Route("/tasks/{task}/next", self._asking.action(self._next), methods=["POST"]),
            Route(job, self._asking.page(self._job)),
            Route(f"{job}/take", self._asking.action(self._take), methods=["POST"]),
            Route(f"{job}/answer", self._asking.action(self._answer), methods=["POST"]),
            Route(f"{job}/skip", self._asking.action(self._skip), methods=["POST"]),
            Route(f"{job}/renew", self._asking.action(self._renew), methods=["POST"]),
            Route("/static/{name}", self._asset),
            Route("/healthz", self._healthy),
        ]
        app = Starlette(
            routes=routes,
            exception_handlers={
                NotAllowed: self._refused,
                NotRecorded: self._unrecorded,
                RedisError: self._unreachable,
                TooLarge: self._too_large,
                HTTPException: self._no_page,
                Exception: self._broken,
            },
            lifespan=lifespan,
        )
        # Around all of it, errors too.
        return Guard(app)

    # Pages

    def _front(self, request: Request, asker: Asker, user: User) -> Response:
        tasks, loads = self._desk.tasks_of(user), self._desk.loads(user)
        rows = [(name, tasks[name], load, ages(load)) for name, load in loads.items()]
        return self._asking.render(
            "front.html.j2",
            asker,
            rows=rows,
            reports=self._desk.reports_of(user),
            checks=self._checks(user),
            **self._news(request),
        )

    def _checks(self, user: User) -> list[tuple[str, str, Task, TaskLoad]]:
        """The blind checks of each task that the user may answer: name, task's name, task, load."""
        return [
            (name, task_of_checks(name) or "", task, self._desk.load(user, name))
            for name, task in self._desk.checked_of(user).items()
        ]

    def _list(self, request: Request, asker: Asker, user: User) -> Response:
        name = request.path_params["task"]
        task = self._desk.task(user, name)
        if (checked := task_of_checks(name)) is not None:
            return self._list_checks(request, asker, user, checked)
        load = self._desk.load(user, name, listed=LISTED)
        rows = [(code_of(each.place), row_of(each, load.now_ms)) for each in load.listed[:LISTED]]
        return self._asking.render(
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

    def _list_checks(self, request: Request, asker: Asker, user: User, checked: str) -> Response:
        """How many texts wait to be answered blind: none is told from another, nor chosen."""
        name = checks_of(checked)
        report = self._desk.reports_of(user).get(checked)
        return self._asking.render(
            "checks.html.j2",
            asker,
            task=name,
            name=checked,
            about=self._desk.task(user, name),
            load=self._desk.load(user, name),
            report=report,
            max_words=MAX_WORDS_A_MINUTE,
            sees_people=user.role is not Role.REVIEWER,
            **self._news(request),
        )

    def _agreement(self, request: Request, asker: Asker, user: User) -> Response:
        """How people agree who answered the same jobs, for leads and administrators."""
        name = request.path_params["task"]
        found = self._desk.agreement(user, name)
        return self._asking.render("agreement.html.j2", asker, task=name, found=found)

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
        shown |= self._of_job(user, name, leased.held)
        return self._asking.render("job.html.j2", asker, **shown, **self._news(request), error="")

    def _job_page(self, user: User, view: View, due_ms: int) -> dict[str, Any]:
        """What a job's page shows besides the job."""
        return {
            "task": view.task,
            "name": task_of_checks(view.task) or view.task,
            "is_blind": task_of_checks(view.task) is not None,
            "about": self._desk.task(user, view.task),
            "code": view.place,
            "view": self._signer.write_view(view),
            "lease_ms": round(self._desk.waits.lease.total_seconds() * 1000),
            "left_ms": max(0, due_ms - view.shown_ms),
        }

    def _of_job(
        self, user: User, name: str, held: HeldJob, entered: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        task, row_text = self._desk.task(user, name), partial(self._desk.row_text, user, name)
        return page_of(held, task, entered, row_text=row_text)

    def _not_yours(self, asker: Asker, task: str, code: str, why: Refusal) -> Response:
        said = SAID[_SAID_OF[why]]
        status = HTTPStatus.CONFLICT if why is not Refusal.FREE else HTTPStatus.OK
        may_take = why is Refusal.FREE
        return self._asking.render(
            "not_yours.html.j2", asker, status, task=task, code=code, may_take=may_take, said=said
        )

    def _help(self, _request: Request, asker: Asker, _user: User) -> Response:
        return self._asking.render("help.html.j2", asker)

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
            return to(f"/tasks/{task}", said or "none")
        code = code_of(found.place)
        self._asking.note("leased", user, task=task, place=code, job=_hash_of(found.held))
        return to(f"/tasks/{task}/jobs/{code}", said)

    def _take(self, request: Request, _asker: Asker, user: User, _form: FormData) -> Response:
        name, code = request.path_params["task"], request.path_params["place"]
        found = self._desk.take(user, name, code)
        if isinstance(found, Refusal):
            self._asking.note("was refused", user, why=str(found), task=name, place=code)
            return to(f"/tasks/{name}", _SAID_OF[found])
        self._asking.note("leased", user, task=name, place=code, job=_hash_of(found.held))
        return to(f"/tasks/{name}/jobs/{code}", "")

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
        about = {"task": name, "place": code, "job": _hash_of(held)}
        if isinstance(final, Refusal):
            self._asking.note("was refused", user, why=str(final), **about)
            _tell("desk.late", user, name, held, refusal=str(final))
            return self._late(asker, name, form, final)
        self._asking.note("decided", user, **about)
        _tell("desk.decided", user, name, held, seconds=round(decision.seconds, 1))
        response = self._go_on(user, name, "answered")
        last = self._signer.write_last(LastDecision(name, code, final))
        self._asking.set_cookie(response, LAST_COOKIE, last)
        return response

    def _again(
        self, asker: Asker, user: User, held: HeldJob, view: View, form: FormData, error: str
    ) -> Response:
        """Show the page once more, with all that was entered, and what is wrong with it."""
        shown = self._job_page(user, view, held.slip.due_ms)
        again = self._of_job(user, view.task, held, _entered(form))
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        return self._asking.render("job.html.j2", asker, status, **shown, **again, error=error)

    def _late(self, asker: Asker, task: str, form: FormData, why: Refusal) -> Response:
        """Say that an answer does not count, and why, and give it back: nothing typed is lost."""
        kept = [
            (key.removeprefix("field."), value)
            for key, values in _entered(form).items()
            for value in values
            if value
        ]
        return self._asking.render(
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
        self._asking.note("skipped", user, task=name, place=code)
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
            return to("/", "final")
        is_undone = self._desk.undo(user, last.task, last.place)
        did = "undid" if is_undone else "was refused"
        why = {} if is_undone else {"why": "final"}
        self._asking.note(did, user, task=last.task, place=last.place, **why)
        log.info("desk.undone", person=user.pseudonym, task=last.task, is_undone=is_undone)
        if not is_undone:
            return to(f"/tasks/{last.task}", "final")
        response = to(f"/tasks/{last.task}/jobs/{last.place}", "undone")
        response.delete_cookie(LAST_COOKIE)
        return response

    # The rest

    async def _asset(self, request: Request) -> Response:
        asset = self._asking.assets.get(request.path_params["name"])
        if asset is None:
            raise HTTPException(404)
        headers = {"cache-control": "public, max-age=31536000, immutable"}
        return Response(asset.content, media_type=asset.media_type, headers=headers)

    async def _healthy(self, _request: Request) -> Response:
        return JSONResponse({"is_alive": True})

    def _message(self, request: Request, status: int, said: str) -> Response:
        asker = self._asking.asker(request)
        return self._asking.render("message.html.j2", asker, status, said=said)

    async def _refused(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, NotAllowed)
        return self._message(request, error.status, str(error))

    async def _unrecorded(self, request: Request, _error: Exception) -> Response:
        said = "What is done here cannot be recorded at present, so nothing is. Tell who keeps the"
        return self._message(request, 503, f"{said} desk; what you entered is one page back.")

    async def _no_page(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        words = {404: "There is no such page.", 405: "There is no such form."}
        said = words.get(error.status_code, "This cannot be done.")
        return self._message(request, error.status_code, said)

    async def _too_large(self, request: Request, _error: Exception) -> Response:
        return self._message(request, 413, "The form is too large.")

    async def _broken(self, request: Request, error: Exception) -> Response:
        # Not its message, which may quote what it met: where it was raised must do.
        log.error(
            "desk.broken",
            error=type(error).__name__,
            where=traceback.format_tb(error.__traceback__),
        )
        said = "Something broke here. Your jobs stand as they did; go back, and try again."
        return self._message(request, 500, said)

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
        return self._message(request, 503, said)


def _entered(form: FormData) -> dict[str, list[str]]:
    """What a person entered, without what the page added; files are nothing."""
    return {
        key: [value for value in form.getlist(key) if isinstance(value, str)]
        for key in form
        if key not in {"csrf", "view"}
    }


def _hash_of(held: HeldJob) -> str:
    return job_hash(held.slip.producer, held.job.id)


def _tell(event: str, user: User, task: str, held: HeldJob, **more: object) -> None:
    log.info(event, person=user.pseudonym, task=task, job_id=held.job.id, **more)
