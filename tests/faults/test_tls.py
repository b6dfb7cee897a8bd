"""A fleet that speaks TLS alone, and believes nobody whom its authority has not signed."""

import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from tests.support.authorities import make_authority
from tests.support.invariants import assert_each_ended_once

from smallfirst import Client, Job
from smallfirst.client.transports import RedisTransport
from smallfirst.errors import FleetUnreachable
from smallfirst.local.fleet import LocalFleet
from smallfirst.local.redis_server import find_binary, free_port

pytestmark = pytest.mark.timeout(300)


class EncryptedFleet(LocalFleet):
    """A local fleet whose processes reach Redis by TLS; only the test itself does not."""

    tls_port = 0
    authority = Path()

    @property
    def tls_url(self) -> str:
        """What every component is told."""
        return f"rediss://127.0.0.1:{self.tls_port}/0?ssl_ca_certs={self.authority}"

    def redis_url_of(self, child: str) -> str:  # noqa: ARG002 - the same for each
        """Lead every process to the port that speaks TLS."""
        if not self.tls_port:
            self.authority = make_authority(self.folder, "fleet")
            self.tls_port = free_port()
            with Redis.from_url(self.redis_url) as redis:
                redis.config_set("tls-ca-cert-file", str(self.authority))
                redis.config_set("tls-key-file", str(self.folder / "fleet.key"))
                redis.config_set("tls-cert-file", str(self.folder / "fleet.crt"))
                redis.config_set("tls-auth-clients", "no")
                redis.config_set("tls-port", self.tls_port)
        return self.tls_url


@pytest.fixture(scope="module")
def fleet(
    small_catalogue: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EncryptedFleet]:
    """One worker, one router, Redis with a certificate of the fleet's own authority."""
    if shutil.which("openssl") is None or not speaks_tls():
        pytest.skip("openssl, or a Redis built with TLS, is not installed: apt install both")
    folder = tmp_path_factory.mktemp("fleet")
    with EncryptedFleet(small_catalogue, folder, slm_processes=1, flower=False) as fleet:
        fleet.wait_ready(timedelta(minutes=4))
        yield fleet


def speaks_tls() -> bool:
    """Whether the Redis that a fleet would start was built with TLS."""
    done = subprocess.run(
        [find_binary(), "--tls-port", "x"], check=False, capture_output=True, text=True
    )
    return "argument" in done.stdout + done.stderr


def test_jobs_are_answered_and_nothing_of_them_is_said_in_clear(fleet: EncryptedFleet) -> None:
    """Every connection but this test's own is on the port that speaks TLS."""
    with Client(fleet.tls_url) as client, Redis.from_url(fleet.redis_url) as redis:
        ids = client.submit_many(Job(task="topic", text=f"Where is parcel {n}?") for n in range(30))
        assert_each_ended_once(client.as_completed(ids, timeout=60), ids)
        clients: Any = redis.client_list()
    named = [each for each in clients if each["name"].startswith("smallfirst-")]
    assert {each["name"] for each in named} >= {
        "smallfirst-client",
        "smallfirst-router",
        "smallfirst-worker",
    }
    assert {each["laddr"].rpartition(":")[2] for each in named} == {str(fleet.tls_port)}


def test_who_is_signed_by_another_is_not_believed(fleet: EncryptedFleet, tmp_path: Path) -> None:
    """A producer says nothing to a Redis that another authority vouches for."""
    other = make_authority(tmp_path, "other")
    url = f"rediss://127.0.0.1:{fleet.tls_port}/0?ssl_ca_certs={other}"
    transport = RedisTransport(url, patience=timedelta(seconds=1))
    with (
        Client(transport=transport) as client,
        pytest.raises(FleetUnreachable, match="certificate"),
    ):
        client.submit(Job(task="topic", text="secret"))
