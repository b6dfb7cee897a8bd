"""Two people at their browsers answer one job, by keys; what they agree on can be read by all."""

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from tests.browser.conftest import OpenScreen
from tests.support.desks import RunningDesk, folder_for, running_desk
from tests.support.reviews import KEYS, OWN, topic, wait_for_people
from tests.support.waiting import WaitUntil

from smallfirst.answers import LabelAnswer
from smallfirst.jobs import Result
from smallfirst.local.redis_server import RedisServer
from smallfirst_desk.users import Role

pytestmark = pytest.mark.timeout(300)
CATALOGUE = """
version: 1
tasks:
  topic:
    kind: classify
    labels: {a: One., b: Two., c: Three.}
    cascade: [{person: {wait: 1h, reviewers: 2}}]
"""


@pytest.fixture(scope="module")
def desk(
    redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningDesk]:
    """A desk of two leads, whose decisions are final at once."""
    folder = folder_for(
        tmp_path_factory.mktemp("desk"),
        {"ann": ("topic",), "ben": ("topic",)},
        catalogue=CATALOGUE,
        role=Role.LEAD,
    )
    with running_desk(redis_server.url, folder, desk_undo_seconds=0) as desk:
        yield desk


def test_a_job_leaves_the_list_of_who_has_answered_it_and_no_other(
    redis: Any, screen: OpenScreen, wait_until: WaitUntil
) -> None:
    """The second person answers the very same, and their agreement can be read on any screen."""
    wait_for_people(redis, topic("a1"), reviewers=2)
    ann, ben = screen("ann"), screen("ben")
    ann.begin("topic")
    ann.press_and_go("2")
    wait_until(lambda: not redis.exists(KEYS.decided), description="the first answer is kept")
    ann.open("/tasks/topic")
    assert not ann.says("a1")
    ben.open("/tasks/topic")
    assert ben.says("a1")
    ben.begin("topic")
    ben.press_and_go("2")
    wait_until(lambda: redis.exists(OWN.result("a1")), description="the result is there")
    answer = Result.model_validate_json(redis.get(OWN.result("a1"))).answer
    assert isinstance(answer, LabelAnswer)
    assert answer.label == "b"
    ann.open("/tasks/topic/agreement")
    for width in (1280, 390):
        ann.page.set_viewport_size({"width": width, "height": 900})
        found = Axe().run(ann.page).response["violations"]
        assert not [each["id"] for each in found if each["impact"] in {"serious", "critical"}]
        wide = "() => document.documentElement.scrollWidth > document.documentElement.clientWidth"
        assert not ann.page.evaluate(wide)
    assert ann.says("100.0 %")
    assert ann.complaints == []
