"""An endpoint of one's own authority: believed where the worker's environment names it."""

import shutil
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.support.authorities import make_authority
from tests.support.odd_endpoints import OddEndpoint, chat, said

from smallfirst.answers import Answer, LabelAnswer
from smallfirst.catalogue import Model, Task
from smallfirst.jobs import Problem
from smallfirst_workers.engines import EngineRequest, LoadContext
from smallfirst_workers.errors import ModelError
from smallfirst_workers.llm.endpoint.engine import EndpointEngine
from smallfirst_workers.problems import EXPIRED

TASK = Task.model_validate(
    {"kind": "classify", "labels": {"a": "", "b": ""}, "cascade": [{"model": "far"}]}
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where an authority lies, and the certificate of its server."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    make_authority(folder, "ours")
    return folder


@pytest.fixture
def endpoint(folder: Path) -> Iterator[OddEndpoint]:
    """A server that speaks TLS alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ours.crt", folder / "ours.key")
    with OddEndpoint(lambda _: said(chat('{"label": "a"}')), tls=context) as endpoint:
        yield endpoint


def answer_of(
    endpoint: OddEndpoint, seconds_left: float, ca_file: str | None = None
) -> Answer | Problem:
    """What it says to one question."""
    url = f"https://127.0.0.1:{endpoint.port}/v1"
    model = Model.model_validate(
        {"tier": "llm", "source": "m", "endpoint": url, "ca_file": ca_file}
    )
    engine = EndpointEngine.load("far", model, LoadContext(Path("/nowhere")))
    engine.prepare({"topic": TASK})
    try:
        [part] = engine.answer([EngineRequest("x", "topic", seconds_left=seconds_left)])
    finally:
        engine.unload()
    return part.answers[0]


def test_an_authority_in_the_environment_is_believed(
    endpoint: OddEndpoint, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE names it, as for many another program."""
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "ours-ca.crt"))
    assert isinstance(answer_of(endpoint, 60.0), LabelAnswer)


def test_an_authority_that_the_model_names_is_believed(
    endpoint: OddEndpoint, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked for this endpoint alone, whatever the environment names for others."""
    monkeypatch.setenv("SSL_CERT_FILE", str(make_authority(folder, "another")))
    assert isinstance(answer_of(endpoint, 60.0, str(folder / "ours-ca.crt")), LabelAnswer)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_ca_file_that_holds_no_certificate_is_named(
    endpoint: OddEndpoint, tmp_path: Path, content: str | None
) -> None:
    """The model is not loaded, and the operator is told which key is wrong."""
    named = tmp_path / "ca.crt"
    if content:
        named.write_text(content)
    with pytest.raises(ModelError, match="`ca_file`"):
        answer_of(endpoint, 0.5, str(named))


def test_nobody_else_is_believed(endpoint: OddEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """No text is sent, and the operator is told what to name."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with capture_logs() as logs:
        assert answer_of(endpoint, 0.5) == EXPIRED
    assert endpoint.asked == []
    [down] = [entry for entry in logs if entry["event"] == "endpoint.down"]
    assert "`ca_file`" in down["remedy"]
    assert "SSL_CERT_FILE" in down["remedy"]


def test_an_authority_that_is_not_there_is_named(
    endpoint: OddEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model is not loaded, and the operator is told which variable is wrong."""
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.crt")
    with pytest.raises(ModelError, match="SSL_CERT_FILE"):
        answer_of(endpoint, 0.5)
