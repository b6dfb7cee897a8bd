"""Where a model may be asked without TLS."""

from typing import Any

import pytest
from pydantic import ValidationError

from smallfirst.catalogue import Model
from smallfirst.catalogue.endpoint_hosts import needs_tls

PRIVATE = [
    "vllm",
    "vllm:8000",
    "VLLM",
    "localhost",
    "far.localhost",
    "127.0.0.1",
    "127.8.9.1",
    "10.0.0.9",
    "172.16.3.4",
    "192.168.1.2",
    "169.254.7.7",
    "100.64.0.1",
    "[::1]:8000",
    "[fd00::1]",
    "[fe80::1]",
    "[::ffff:10.0.0.1]",
    "vllm.models.svc",
    "vllm.models.svc.cluster.local",
    "vllm.models.svc.cluster.local.",
    "box.local",
    "llm.corp.internal",
]
PUBLIC = [
    "llm.example.com",
    "api.example.com:8000",
    "8.8.8.8",
    "172.32.0.1",
    "[2001:4860:4860::8888]",
    "[::ffff:8.8.8.8]",
    "134744072",
    "0x08080808",
    "8.526344",
    "localhost.example.com",
    "internal.example",
    "evil%2ecom",
    "local.com",
    "[",
]


def model(url: str, **said: Any) -> Model:
    """One at this endpoint."""
    return Model.model_validate({"tier": "llm", "source": "m", "endpoint": url} | said)


@pytest.mark.parametrize("host", PRIVATE)
def test_a_private_host_may_be_asked_without_tls(host: str) -> None:
    """What goes there stays on the machine or in a network of one's own."""
    assert model(f"http://{host}/v1").endpoint is not None


@pytest.mark.parametrize("host", PUBLIC)
def test_a_public_host_wants_tls_or_a_word(host: str) -> None:
    """Texts and keys do not go in clear through networks of strangers unless it is said."""
    with pytest.raises(ValidationError, match="allows_plain_http: true"):
        model(f"http://{host}/v1")
    if host != "[":
        assert not needs_tls(f"https://{host}/v1")
        assert model(f"http://{host}/v1", allows_plain_http=True).allows_plain_http


def test_only_a_model_that_runs_elsewhere_has_the_word() -> None:
    """Elsewhere it would be read by nobody."""
    with pytest.raises(ValidationError, match="allows_plain_http"):
        Model.model_validate({"source": "bundled:minilm", "allows_plain_http": True})
