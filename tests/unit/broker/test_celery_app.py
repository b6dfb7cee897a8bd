"""Celery's configuration, where a default of kombu's would be a hole."""

import pickle
import ssl
from typing import Any

import pytest
from kombu.exceptions import ContentDisallowed
from kombu.serialization import loads

from smallfirst.broker.celery_app import make_app
from smallfirst.settings import Settings


def connection_of(role: str, url: str) -> Any:
    """What kombu makes of TLS for one component, without connecting."""
    settings = Settings.model_validate({"redis_url": url})
    found: Any = make_app(settings, role=role).connection_for_read().ssl
    return found


@pytest.mark.parametrize("role", ["router", "worker", "flower"])
def test_whoever_says_rediss_is_encrypted_and_verified(role: str) -> None:
    """No component sends its password in clear, or to whoever answers."""
    plain = connection_of(role, "rediss://u:p@127.0.0.1:6379/0")
    own = connection_of(role, "rediss://u:p@127.0.0.1:6379/0?ssl_ca_certs=/ca.crt")
    assert plain == {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    assert own["ssl_ca_certs"] == "/ca.crt"
    # Left out, it is what redis-py verifies by: everybody.
    assert own.get("ssl_cert_reqs", ssl.CERT_REQUIRED) == ssl.CERT_REQUIRED
    assert not connection_of(role, "redis://127.0.0.1:6379/0")


@pytest.mark.parametrize("role", ["router", "worker", "flower"])
def test_a_program_in_a_queue_is_not_unpacked(role: str) -> None:
    """A pickle is refused before anything of it is read, whoever meets it."""
    accepted = make_app(Settings(), role=role).conf.accept_content
    with pytest.raises(ContentDisallowed):
        loads(pickle.dumps([]), "application/x-python-serialize", "binary", accept=accepted)
