"""Addresses of Redis: what is read, what is shown, what each driver is told."""

import pytest
from redis.connection import SSLConnection

from smallfirst.errors import SettingsError
from smallfirst.redis_access.address import RedisAddress
from smallfirst.settings import Settings, load_settings

PASSWORD = "s3cret/@,"  # noqa: S105
GROUP = "redis+sentinel://user:s3cret%2F%40%2C@a:1,b,[::1]:3/my.master/2"


def test_sentinels_are_told_apart_and_the_master_has_a_name() -> None:
    """Each host has a port of its own, 26379 where none is given."""
    address = RedisAddress.parse(GROUP)
    assert address.hosts == (("a", 1), ("b", 26379), ("::1", 3))
    assert address.master == "my.master"
    assert address.shown == "redis+sentinel://a:1,b,[::1]:3/my.master/2"
    assert not address.is_encrypted


@pytest.mark.parametrize(
    ("url", "is_local"),
    [
        ("redis://127.0.0.1:6379/0", True),
        ("rediss://a:b@localhost", True),
        ("redis://[::1]:1", True),
        ("redis://redis:6379", False),
        ("redis://10.0.0.1", False),
        ("redis+sentinel://127.0.0.1:1/master", False),
        ("redis+cluster://127.0.0.1:1", False),
    ],
)
def test_one_server_on_this_machine_is_local(url: str, *, is_local: bool) -> None:
    """A server behind loopback is here; Sentinels and nodes may name others."""
    assert RedisAddress.parse(url).is_local is is_local


def test_a_socket_is_refused_with_what_to_name_instead() -> None:
    """Celery's lists have no time limits over one, so a fleet would freeze with it."""
    with pytest.raises(ValueError, match="must have a host and a port") as refused:
        RedisAddress.parse("unix://:secret@/run/redis.sock")
    assert "secret" not in str(refused.value)


def test_nothing_that_is_shown_holds_a_secret() -> None:
    """Neither what a log gets nor what a traceback would print."""
    address = RedisAddress.parse(f"{GROUP}?sentinel_password=other-s3cret")
    assert "s3cret" not in address.shown
    assert "s3cret" not in repr(address)


def test_kombu_gets_an_address_for_each_sentinel() -> None:
    """User and password of the master stand in each, still quoted."""
    places = RedisAddress.parse(GROUP).broker_url.split(";")
    assert places[0] == "sentinel://user:s3cret%2F%40%2C@a:1/2"
    assert places[2].endswith("@[::1]:3/2")


def test_redis_py_gets_user_password_database_and_options() -> None:
    """As its own rules read them from an address of one server."""
    pool = RedisAddress.parse(f"{GROUP}?health_check_interval=7").connect().connection_pool
    told = pool.connection_kwargs
    assert told["username"] == "user"
    assert told["password"] == PASSWORD
    assert told["db"] == 2
    assert told["health_check_interval"] == 7


def test_tls_is_spoken_with_the_sentinels_too() -> None:
    """A fleet that encrypts does not ask in clear where its Redis is."""
    url = "rediss+sentinel://u:p@a/m?ssl_ca_certs=/ca.crt&sentinel_username=s&sentinel_password=t"
    address = RedisAddress.parse(url)
    assert address.sentinel_options(socket_timeout=1) == {
        "socket_timeout": 1,
        "username": "s",
        "password": "t",
        "ssl": True,
        "ssl_ca_certs": "/ca.crt",
    }
    assert "sentinel_password" not in address.options
    connection = address.connect().connection_pool.connection_class
    assert "SSL" in connection.__name__


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://a",
        "redis+sentinel://a/",
        "redis+sentinel://a,/m",
        "redis+sentinel://a:99999/m",
        "redis+sentinel://a:0/m",
        "redis+sentinel://a/m/x",
        "redis+sentinel:///m",
    ],
)
def test_what_names_no_group_is_refused_without_being_quoted(url: str) -> None:
    """The message shows a form that works."""
    with pytest.raises(ValueError, match=r"redis\+sentinel://host1:26379,host2:26379/mymaster$"):
        RedisAddress.parse(url)


def test_every_component_can_be_told_of_sentinels() -> None:
    """By the same setting as of one server."""
    settings = Settings.model_validate({"redis_url": GROUP})
    assert settings.redis_address == RedisAddress.parse(GROUP).shown


def test_the_nodes_of_a_cluster_share_user_and_options() -> None:
    """Each has the port of a server where none is given; a cluster has one database."""
    url = "rediss+cluster://user:s3cret%2F%40%2C@a:1,b,[::1]:3?ssl_ca_certs=/ca.crt"
    address = RedisAddress.parse(url)
    assert address.hosts == (("a", 1), ("b", 6379), ("::1", 3))
    assert address.is_cluster
    assert address.shown == "rediss+cluster://a:1,b,[::1]:3"
    pool = address.connect().connection_pool
    assert issubclass(pool.connection_class, SSLConnection)
    assert (pool.connection_kwargs["username"], pool.connection_kwargs["password"]) == (
        "user",
        PASSWORD,
    )
    with pytest.raises(ValueError, match=r"redis\+cluster://host1:6379,host2:6379$"):
        RedisAddress.parse("redis+cluster://a/1")


def test_celery_needs_a_redis_of_its_own_beside_a_cluster() -> None:
    """Whoever is told of a cluster alone is told of the setting that is missing."""
    with pytest.raises(SettingsError, match="SMALLFIRST_BROKER_URL"):
        load_settings(Settings, redis_url="redis+cluster://a")
    with pytest.raises(SettingsError, match="SMALLFIRST_BROKER_URL"):
        load_settings(Settings, broker_url="redis+cluster://a")
    told = load_settings(Settings, redis_url="redis+cluster://a", broker_url="redis://b/1")
    assert (told.redis.is_cluster, told.broker.shown) == (True, "redis://b/1")


@pytest.mark.parametrize(
    ("url", "other"),
    [
        ("redis://[::1]:6379", "redis://me:p%40@[::1]:6379"),
        ("rediss://you:x@a:1/0?ssl_ca_certs=/x", "rediss://me:p%40@a:1/0?ssl_ca_certs=/x"),
        ("redis+sentinel://a,b:3/master/0", "redis+sentinel://me:p%40@a,b:3/master/0"),
        ("rediss+cluster://a:1,b:2", "rediss+cluster://me:p%40@a:1,b:2"),
    ],
)
def test_another_user_is_as_safe(url: str, other: str) -> None:
    """The address for another user is the same one: its kind, its encryption, its options."""
    assert RedisAddress.parse(url).as_user("me", "p@") == other
    RedisAddress.parse(other)
