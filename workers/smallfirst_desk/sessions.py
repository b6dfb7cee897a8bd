"""Sessions: who asks, as a signed cookie says; and the tokens that only a page of ours has.

Nothing is kept at the desk, so any desk with the same key knows a session, and a restart ends none.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from secrets import token_urlsafe
from typing import Any, Final

from itsdangerous import BadData, URLSafeTimedSerializer

from smallfirst_desk.oidc import Try
from smallfirst_desk.users import User

#: The cookies of a session, and of the decision that may be taken back.
SESSION_COOKIE, LAST_COOKIE = "desk_session", "desk_last"
#: How long a page may stay open before it is sent.
VIEW_AGE: Final = timedelta(days=7)
#: How long somebody may take to sign in at a provider, and the cookie of that.
TRY_AGE: Final = timedelta(minutes=10)
TRY_COOKIE: Final = "desk_try"


class Way(StrEnum):
    """How somebody signed in.

    Attributes:
        PASSWORD: With a password of the file of users.
        PROXY: A trusted proxy says so, with each request anew.
        OIDC: At a provider of OpenID Connect.
    """

    PASSWORD = "password"  # noqa: S105 - a word
    PROXY = "proxy"
    OIDC = "oidc"


@dataclass(frozen=True)
class Session:
    """One browser's session.

    Attributes:
        id: Random.
        name: Of the user; empty before the sign-in.
        key: Of the user's password; a new password ends the session.
        way: By which the person signed in.
    """

    id: str
    name: str = ""
    key: str = ""
    way: Way = Way.PASSWORD


@dataclass(frozen=True)
class View:
    """One time that a job's page was shown. It is sent back with whatever is done there.

    Attributes:
        person: The pseudonym to whom it was shown.
        task: The job's task.
        place: Where the job is, as addresses say it.
        start: Which start of the job was shown.
        shown_ms: When, on Redis's clock.
    """

    person: str
    task: str
    place: str
    start: int
    shown_ms: int


@dataclass(frozen=True)
class LastDecision:
    """What may be taken back.

    Attributes:
        task: The job's task.
        place: Where the job is.
        final_ms: When it becomes final, on Redis's clock.
    """

    task: str
    place: str
    final_ms: int


class Signer:
    """Signs what browsers keep for us, and reads it back.

    Args:
        secret: The key.
        age: Of a session at most.
    """

    def __init__(self, secret: str, age: timedelta) -> None:
        self._secret = secret
        self._age = age

    def _of(self, salt: str) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self._secret, salt=f"smallfirst.desk.{salt}")

    def _read(self, salt: str, signed: str | None, age: timedelta) -> Any:
        if not signed or len(signed) > 4096:
            return None
        try:
            return self._of(salt).loads(signed, max_age=round(age.total_seconds()))
        except BadData:
            return None

    def session(self, cookie: str | None) -> Session:
        """Read a session; a new one where there is none, or an old one."""
        found = self._read("session", cookie, self._age)
        if not found:
            return Session(token_urlsafe(16))
        session_id, name, key, *way = found
        # Before there were several ways there was none in a cookie.
        return Session(session_id, name, key, Way(way[0]) if way else Way.PASSWORD)

    def write_session(self, session: Session) -> str:
        """Write a session's cookie."""
        return self._of("session").dumps([session.id, session.name, session.key, session.way])

    def begun(self, name: str, user: User, way: Way = Way.PASSWORD) -> Session:
        """Begin the session of somebody who has just signed in: under a new id."""
        return Session(token_urlsafe(16), name, key_of(user), way)

    def write_try(self, tried: Try) -> str:
        """Write a try to sign in at a provider."""
        return self._of("try").dumps([tried.state, tried.nonce, tried.verifier])

    def read_try(self, cookie: str | None) -> Try | None:
        """Read it; None where there is none, or one that is too old."""
        found = self._read("try", cookie, TRY_AGE)
        return Try(*found) if found else None

    def csrf(self, session: Session) -> str:
        """The token that every form of a session holds, and no other site knows."""
        message = f"csrf:{session.id}:{session.name}".encode()
        return hmac.new(self._secret.encode(), message, hashlib.sha256).hexdigest()

    def is_csrf(self, session: Session, token: str) -> bool:
        """Whether a token is this session's."""
        return hmac.compare_digest(self.csrf(session).encode(), token.encode())

    def write_view(self, view: View) -> str:
        """Write the token of one page view."""
        return self._of("view").dumps(
            [view.person, view.task, view.place, view.start, view.shown_ms]
        )

    def view(self, token: str) -> View | None:
        """Read it; None where it is none, or too old."""
        found = self._read("view", token, VIEW_AGE)
        return View(*found) if found else None

    def write_last(self, last: LastDecision) -> str:
        """Write what may be taken back."""
        return self._of("last").dumps([last.task, last.place, last.final_ms])

    def last(self, cookie: str | None) -> LastDecision | None:
        """Read what may be taken back, if there is anything."""
        found = self._read("last", cookie, timedelta(minutes=5))
        return LastDecision(*found) if found else None


def key_of(user: User) -> str:
    """What changes with how a user may sign in, and tells nothing of it."""
    known = f"\n{user.known_as}" if user.known_as else ""
    return hashlib.sha256(f"{user.password or ''}{known}".encode()).hexdigest()[:16]
