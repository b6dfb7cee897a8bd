"""The dashboard's page: of what is seen, what whoever asks may see."""

from typing import Final

from anyio import CapacityLimiter
from starlette.requests import Request
from starlette.responses import Response

from smallfirst_desk.asking import Asker, Asking
from smallfirst_desk.dashboard import words
from smallfirst_desk.dashboard.looking import Looker
from smallfirst_desk.desk import Desk
from smallfirst_desk.errors import NotAllowed
from smallfirst_desk.users import Role, User

PATH: Final = "/dashboard"


class Dashboard:
    """Shows the dashboard.

    Args:
        asking: What pages begin and end with.
        desk: Whose fleet it is.

    Attributes:
        at_once: How many are drawn side by side: who decides on a job does not wait for them.
    """

    def __init__(self, asking: Asking, desk: Desk) -> None:
        self._asking = asking
        self._desk = desk
        self._looker = Looker(desk)
        self.at_once = CapacityLimiter(2)

    def show(self, request: Request, asker: Asker, user: User) -> Response:
        """The page; of one task, where the address names it."""
        from smallfirst_desk.dashboard.panels import (  # noqa: PLC0415 - it loads matplotlib
            Seen,
            panels_of,
        )

        chosen = request.query_params.get("task", "")
        catalogue, look = self._desk.catalogue, self._looker.look()
        tasks = tuple(user.sees_of(catalogue.tasks))
        sees_all = len(tasks) == len(catalogue.tasks)
        if chosen and chosen not in tasks:
            raise NotAllowed("There is no such task, or it is not one of yours.", 404)
        seen = Seen(
            look=look,
            catalogue=catalogue,
            tasks=(chosen,) if chosen else tasks,
            sees_pools=sees_all and not chosen,
            person=user.pseudonym if user.role is Role.REVIEWER else None,
        )
        return self._asking.render(
            "dashboard.html.j2",
            asker,
            tasks=tasks,
            chosen=chosen,
            at=words.moment(look.now_ms),
            panels=panels_of(seen) if tasks else [],
        )
