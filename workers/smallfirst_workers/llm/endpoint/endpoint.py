"""An endpoint: requests to one model that runs elsewhere, tried again, bounded, never too many.

It owns the client and the way of one request. What is asked, and what an answer means, is decided
elsewhere. Nothing that is logged or raised here holds the key, the prompt or what was answered.
"""

import asyncio
import logging
import os
import random
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import httpx2
import structlog
from openai import APIError, AsyncOpenAI, DefaultAsyncHttpxClient, Timeout

from smallfirst.catalogue import Model
from smallfirst_workers.errors import ModelError
from smallfirst_workers.llm.endpoint.backoff import MAX_TRIES, pause_seconds
from smallfirst_workers.llm.endpoint.breaker_gate import BreakerGate, Permit
from smallfirst_workers.llm.endpoint.dialect import BOUND, CONSEQUENCES, OLDER_BOUND, Dialect
from smallfirst_workers.llm.endpoint.failures import (
    GIBBERISH,
    Fault,
    RequestFailure,
    failure_of,
    misconfigured,
)
from smallfirst_workers.llm.endpoint.replies import Reply, read_reply

log = structlog.get_logger()

#: How long a connection may take, and how long an answer may keep its first token waiting, seconds.
CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 120.0
#: The slowest an endpoint may write, in tokens a second, and not be taken for dead.
SLOWEST: Final = 10.0
#: What is sent where no key is needed: the client insists on one.
_NO_KEY: Final = "none"


class Endpoint:
    """Where one model is asked. All of it but `open` runs on one event loop."""

    def __init__(
        self, name: str, client: AsyncOpenAI, gate: BreakerGate, max_concurrency: int
    ) -> None:
        self._name = name
        self._client = client
        self._dialect = Dialect()
        self._has_answered = False
        self._slots = asyncio.Semaphore(max_concurrency)
        self.gate = gate

    @classmethod
    def open(cls, name: str, model: Model) -> "Endpoint":
        """Make ready to ask; nothing is sent yet.

        Raises:
            ModelError: When its key is missing, or the certificates that it is to be judged by.
        """
        # Its own log would show whole requests to whoever sets OPENAI_LOG.
        logging.getLogger("openai").setLevel(logging.WARNING)
        at_once, address = model.max_concurrency, model.endpoint or ""
        client = AsyncOpenAI(
            base_url=address,
            api_key=key_of(name, model, os.environ),
            max_retries=0,
            http_client=_http_client(name, model),
        )
        return cls(name, client, BreakerGate(name, address), at_once)

    async def ask(self, request: Mapping[str, Any]) -> Reply | RequestFailure:
        """Send a request until it is answered, or until it is plain that the fault is its own.

        An endpoint that answers nobody costs no job anything: it is waited for.

        Args:
            request: A chat completion's, with every key that an endpoint may take.

        Raises:
            EndpointDown: When it does not answer and is not to be waited for.
        """
        num_blames, num_known = 0, self.gate.num_successes
        while True:
            async with self._slots:
                passage = await self.gate.enter()
                found = await self._pass(passage, request)
            if isinstance(found, Reply) or found.fault is Fault.JOB:
                return found
            if found.fault is Fault.EITHER and self.gate.num_successes > num_known:
                num_blames, num_known = num_blames + 1, self.gate.num_successes
            if num_blames >= found.max_blames:
                return found

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _pass(self, passage: Permit, request: Mapping[str, Any]) -> Reply | RequestFailure:
        """Try a request as often as it may be, and tell the gate what came of it."""
        found = None
        try:
            found = await self._try(request, 1 if passage.is_probe else MAX_TRIES)
        finally:
            if found is None:
                self.gate.abandon(passage)
        if isinstance(found, Reply) or found.fault is Fault.JOB:
            self.gate.succeed()
        else:
            self.gate.fail(passage, found)
        return found

    async def _try(self, request: Mapping[str, Any], most: int) -> Reply | RequestFailure:
        for num_failures in range(1, most + 1):
            found = await self._send(request)
            if isinstance(found, Reply) or not found.can_pass:
                return found
            if num_failures >= min(most, found.max_tries) or self.gate.is_open:
                return found
            lot = random.random()  # noqa: S311 - spreads requests, guards nothing
            await asyncio.sleep(pause_seconds(num_failures, lot=lot, asked=found.asked_seconds))
        raise AssertionError("a request is tried once at least")

    async def _send(self, request: Mapping[str, Any]) -> Reply | RequestFailure:
        """Put a request as the endpoint takes it, and learn which keys it does not take.

        Only what made for an answer is learnt: what is refused in whichever way it is put may have
        been refused for what it says.
        """
        dialect = self._dialect
        while True:
            found = await self._post(dialect.put(request), request[BOUND])
            if isinstance(found, Reply):
                self._has_answered = True
                self._learn(dialect.refused)
                return found
            if found.refused_key is None:
                return found
            if not dialect.can_do_without(found.refused_key):
                return self._judged(found)
            dialect = dialect.without(found.refused_key)

    def _judged(self, failure: RequestFailure) -> RequestFailure:
        """Tell whose fault it is that a key is refused which cannot be done without."""
        # What has been taken of other jobs is refused for what this one adds to it: its length.
        is_the_jobs = failure.refused_key in {BOUND, OLDER_BOUND} and self._has_answered
        return failure if is_the_jobs else misconfigured(failure)

    def leave_out(self, key: str) -> None:
        """Send a key no more: one of those that can be done without."""
        self._learn(frozenset({key}))

    def _learn(self, refused: frozenset[str]) -> None:
        for key in sorted(refused - self._dialect.refused):
            log.warning(
                "endpoint.key_refused",
                model=self._name,
                key=key,
                consequence=CONSEQUENCES[key],
                remedy="name another model if that does harm; where nothing is sure, let steps"
                " `vote`",
            )
        self._dialect = Dialect(self._dialect.refused | refused)

    async def _post(self, request: Mapping[str, Any], max_tokens: int) -> Reply | RequestFailure:
        create: Any = self._client.chat.completions.with_raw_response.create
        try:
            found = await create(**request, timeout=_timeout(max_tokens))
        except APIError as error:
            return failure_of(error, datetime.now(UTC))
        except (ValueError, RecursionError):
            return GIBBERISH  # an error that the client cannot read; its own would quote it
        return read_reply(found.content) or GIBBERISH


def key_of(name: str, model: Model, environment: Mapping[str, str]) -> str:
    """Read the key of a model's endpoint.

    Raises:
        ModelError: When the variable that should hold it does not, or holds what cannot be sent.
    """
    variable = model.api_key_variable
    if variable is None:
        return _NO_KEY
    # A secret that was read from a file often ends with a new line.
    key = environment.get(variable, "").strip()
    if not key:
        raise ModelError(name, f"needs its endpoint's key in the worker's variable {variable}")
    if not (key.isascii() and key.isprintable()):
        raise ModelError(name, f"cannot send what stands in {variable}: a key is printable ASCII")
    return key


def _http_client(name: str, model: Model) -> httpx2.AsyncClient:
    """Make the client; which authorities it believes, the model says, or else SSL_CERT_FILE."""
    kept = min(model.max_concurrency, 100)
    limits = httpx2.Limits(max_connections=model.max_concurrency, max_keepalive_connections=kept)
    try:
        verify = ssl.create_default_context(cafile=model.ca_file) if model.ca_file else True
        # A redirect would take the texts, and the key, to where nobody sent them.
        return DefaultAsyncHttpxClient(limits=limits, follow_redirects=False, verify=verify)
    except OSError as err:
        named = f"`ca_file` ({model.ca_file})" if model.ca_file else "SSL_CERT_FILE or SSL_CERT_DIR"
        raise ModelError(name, f"cannot read the certificates that {named} names") from err


def _timeout(max_tokens: int) -> Timeout:
    """How long a request may take: it is answered whole, so the longer it may be, the longer."""
    return Timeout(ANSWER_SECONDS + max_tokens / SLOWEST, connect=CONNECT_SECONDS)
