"""`smallfirst producer`: users of a Redis that runs, and who is registered."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError
from tests.support.guarded import server_with
from tests.support.waiting import WaitUntil

from smallfirst import Client, Job
from smallfirst.ledger.keys import Keys
from smallfirst.ledger.producers import Producer, ProducerRegistry
from smallfirst.local.redis_server import find_binary, version_of
from smallfirst.redis_access.acl import acl_file, hash_of
from smallfirst.redis_access.users import Role

Smallfirst = Callable[..., Any]
KEYS = Keys()
SHOP, POST = KEYS.of_producer("shop"), KEYS.of_producer("post")
ADMIN = f"user admin on #{hash_of('secret')} ~* &* +@all\n"
#: As a managed Redis has it: whoever administers the fleet's keys makes no users.
OPERATOR = f"user operator on #{hash_of('secret')} ~* &* +@all -acl\n"
JOB = Job(id="a1", task="topic", text="x")

needs_redis_7 = pytest.mark.skipif(
    version_of(find_binary()) < (7, 0), reason="selectors in access rules need Redis 7 on PATH"
)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory, wait_until: WaitUntil) -> Iterator[int]:
    """A Redis with a file of users: an administrator, an operator, a worker."""
    users = acl_file("sf", {Role.WORKER: "secret"}) + ADMIN + OPERATOR
    with server_with(users, tmp_path_factory.mktemp("redis"), wait_until) as port:
        yield port


@pytest.fixture
def admin(port: int) -> Iterator[Redis]:
    """The administrator; afterwards no producer is left, with or without a user."""
    with Redis.from_url(url_of("admin", "secret", port)) as redis:
        yield redis
        redis.flushall()
        for user in redis.acl_users():
            if user.startswith("producer"):
                redis.acl_deluser(user)


@pytest.fixture
def producer(smallfirst: Smallfirst, port: int) -> Smallfirst:
    """Run `smallfirst producer ...` as the administrator, or as another user."""

    def run(*arguments: str, user: str = "admin") -> Any:
        url = url_of(user, "secret", port)
        return smallfirst("producer", *arguments, SMALLFIRST_REDIS_URL=url)

    return run


def url_of(user: str, password: str, port: int) -> str:
    """Where a user connects."""
    return f"redis://{user}:{password}@127.0.0.1:{port}/0"


def asked(redis: Any) -> Callable[..., object]:
    """Whatever command of it."""
    run: Callable[..., object] = redis.execute_command
    return run


def may_submit(url: str) -> bool:
    """Whether a producer comes in at this address."""
    with Redis.from_url(url) as redis:
        try:
            redis.xadd(SHOP.jobs, {"job": JOB.to_json()})
        except AuthenticationError:
            return False
    return True


@needs_redis_7
def test_a_producer_submits_by_what_it_is_given(producer: Smallfirst, admin: Redis) -> None:
    """The address that is shown is good for its own stream, and for no other."""
    given = producer("add", "shop", "--weight", "2", "--json").json
    assert (given["user"], ProducerRegistry(admin, KEYS).read()["shop"].weight) == (
        "producer-shop",
        2,
    )
    with Client(given["url"], producer="shop") as client:
        client.submit(JOB)
    assert admin.xlen(SHOP.jobs) == 1
    with Redis.from_url(given["url"]) as redis, pytest.raises(NoPermissionError):
        redis.xadd(POST.jobs, {"job": "{}"})


@needs_redis_7
def test_users_are_written_down(producer: Smallfirst, admin: Redis) -> None:
    """After a restart of Redis, which reads its file, the producer still comes in."""
    given = producer("add", "shop", "--json").json
    admin.acl_load()
    assert may_submit(given["url"])


@needs_redis_7
def test_a_password_is_changed_without_an_outage(producer: Smallfirst, admin: Redis) -> None:
    """Both are good until the change is finished, and then the newer one alone."""
    old = producer("add", "shop", "--json").json["url"]
    new = producer("rotate", "shop", "--json").json["url"]
    assert (may_submit(old), may_submit(new)) == (True, True)
    assert "2 passwords" in producer("rotate", "shop").err
    assert producer("list", "--json").json[1]["passwords"] == 2
    assert producer("rotate", "shop", "--finish").code == 0
    assert (may_submit(old), may_submit(new)) == (False, True)
    assert producer("rotate", "shop", "--finish").code == 1
    assert admin.acl_getuser("producer-shop") is not None


@needs_redis_7
def test_a_second_add_changes_the_weight_alone(producer: Smallfirst, admin: Redis) -> None:
    """The password stands; rights are written anew, as after an update."""
    url = producer("add", "shop", "--json").json["url"]
    asked(admin)("ACL SETUSER", "producer-shop", "(+xadd %W~x)")
    done = producer("add", "shop", "--weight", "3")
    assert (done.code, done.out) == (0, "shop has weight 3\n")
    assert may_submit(url)
    assert producer("add", "shop", "--json").json["weight"] == 3
    assert "~x" not in str(admin.acl_getuser("producer-shop"))


@needs_redis_7
def test_a_removed_producer_submits_nothing_and_loses_nothing(
    producer: Smallfirst, admin: Redis
) -> None:
    """It is forgotten when what it had submitted has been read."""
    url = producer("add", "shop", "--json").json["url"]
    assert may_submit(url)
    assert producer("remove", "shop", "--json").json == {"producer": "shop", "waiting": 1}
    assert not may_submit(url)
    assert ProducerRegistry(admin, KEYS).read()["shop"] == Producer(is_leaving=True)
    assert [each["state"] for each in producer("list", "--json").json] == ["registered", "leaving"]
    admin.xtrim(SHOP.jobs, 0)
    assert [each["producer"] for each in producer("list", "--json").json] == ["default"]
    assert not admin.exists(SHOP.jobs)


@needs_redis_7
def test_where_users_are_administered_elsewhere_it_says_what_to_enter(
    producer: Smallfirst, admin: Redis
) -> None:
    """The producer is registered; its user, password and rules are for somebody else to enter."""
    done = producer("add", "shop", "--json", user="operator")
    given = done.json
    assert done.code == 1
    assert "shop" in ProducerRegistry(admin, KEYS).read()
    entered = given["rules"].split(" (")
    words = [*entered[0].split(), *(f"({rule}" for rule in entered[1:])]
    asked(admin)("ACL SETUSER", given["user"], f">{given['password']}", *words)
    assert may_submit(given["url"])
    gone = producer("remove", "shop", user="operator")
    assert (gone.code, "delete the user producer-shop" in gone.err) == (1, True)


@needs_redis_7
def test_a_part_of_the_fleet_registers_nobody(producer: Smallfirst, admin: Redis) -> None:
    """Whoever has a component's password is told to ask an administrator."""
    done = producer("add", "shop", user="worker")
    assert (done.code, "name an administrator" in done.err) == (1, True)
    assert not admin.exists(KEYS.producers)


@needs_redis_7
def test_a_user_of_another_fleet_is_left_alone(
    smallfirst: Smallfirst, port: int, producer: Smallfirst, admin: Redis
) -> None:
    """Two fleets in one Redis cannot both have a user of one name."""
    url = producer("add", "shop", "--json").json["url"]
    done = smallfirst(
        "--namespace", "b", "producer", "add", "shop",
        SMALLFIRST_REDIS_URL=url_of("admin", "secret", port),
    )  # fmt: skip
    assert (done.code, "not of this fleet" in done.err) == (1, True)
    assert may_submit(url)
    assert admin.acl_getuser("producer-shop") is not None


def test_without_passwords_a_producer_is_registered_alone(
    smallfirst: Smallfirst, redis: Redis
) -> None:
    """A local fleet keeps producers apart by name and nothing else, and says so."""
    done = smallfirst("producer", "add", "shop", "--weight", "2")
    assert (done.code, "nothing keeps producers apart" in done.err) == (0, True)
    assert ProducerRegistry(redis, KEYS).read()["shop"].weight == 2
    removed = smallfirst("producer", "remove", "shop")
    assert (removed.code, "not refused" in removed.err) == (1, True)
    assert list(ProducerRegistry(redis, KEYS).read()) == ["default"]


@pytest.mark.parametrize("arguments", [("add", "Shop"), ("remove", "default"), ("add", "a:b")])
def test_who_can_be_no_producer_is_refused(
    smallfirst: Smallfirst, arguments: tuple[str, ...]
) -> None:
    """A name is such that a key can hold it, and `default` is always there."""
    assert smallfirst("producer", *arguments).code == 2


def test_the_doctor_finds_jobs_that_nobody_reads(smallfirst: Smallfirst, redis: Redis) -> None:
    """Where a producer's name is not registered, and no password tells it, the doctor does."""
    redis.xadd(SHOP.jobs, {"job": "{}"})
    checks = {check["name"]: check for check in smallfirst("doctor", "--json").json}
    assert checks["producers"]["state"] == "fail"
    assert checks["producers"]["remedy"] == "smallfirst producer add shop"
