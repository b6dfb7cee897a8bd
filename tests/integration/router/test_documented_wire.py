"""What the reference tells a producer without our client to write, on a real Redis."""

import hashlib
import json
import re
import shlex
from pathlib import Path
from typing import Any

from tests.support.notices import listening
from tests.support.routers import OWN, result_of, router_of, topic

from smallfirst.jobs import Status

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "job.md"


def commands() -> list[list[str]]:
    """The page's commands to Redis, in their order, each as its words."""
    lines = re.findall(r"^redis-cli (.*)$", PAGE.read_text(), re.MULTILINE)
    return [shlex.split(line) for line in lines]


def test_the_page_s_commands_submit_cancel_and_tell(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """The job is cancelled, its channel is told of its id, and the result stands where it says."""
    subscribe, submit, cancel, read = commands()
    router = router_of(redis, redis_url, catalogue)
    assert subscribe == ["SUBSCRIBE", OWN.results("shop-7")]
    with listening(redis) as notices:
        redis.execute_command(*submit)
        router.step()
        redis.execute_command(*cancel)
        router.step()
        assert notices.of("shop-7") == ["m-20"]
    assert json.loads(redis.execute_command(*read))["status"] == "cancelled"


def test_who_waits_on_a_channel_hears_of_a_bad_id(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """The refusal stands under the name that the page says, and the channel tells it."""
    fields = {**json.loads(topic("a1").model_dump_json()), "id": "<m1@host>", "reply_to": "me"}
    raw = json.dumps(fields).encode()
    redis.xadd(OWN.jobs, {"job": raw})
    redis.xadd(OWN.jobs, {"job": json.dumps({**fields, "id": 17})})
    name = f"refused-{hashlib.sha256(raw).hexdigest()[:32]}"
    with listening(redis) as notices:
        router_of(redis, redis_url, catalogue).step()
        assert sorted(notices.of("me")) == ["17", name]
    for job_id in ("17", name):
        refused = result_of(redis, job_id)
        assert refused.problem is not None
        assert (refused.status, refused.problem.code) == (Status.REFUSED, "invalid")
