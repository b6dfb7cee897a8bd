"""What went wrong with a request: whose fault it is, and what is to be done. Pure.

What an endpoint says of an error may quote the prompt, so nothing of it is kept but its number, and
which of our own keys it is about.
"""

import ssl
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

import httpx2
from openai import APIConnectionError, APIError, APIStatusError, APITimeoutError

from smallfirst_workers.llm.endpoint.backoff import MAX_TRIES, asked_seconds
from smallfirst_workers.llm.endpoint.dialect import OWN_KEYS


class Fault(StrEnum):
    """Whose it is that there is no answer."""

    JOB = "job"
    ENDPOINT = "endpoint"
    EITHER = "either"


@dataclass(frozen=True)
class RequestFailure:
    """Why a request has no answer.

    Attributes:
        what: In a few words, for logs and for the trail.
        fault: Only a fault of the job's own may end its attempt; where it can be either's, others
            tell whose it is.
        can_pass: Whether the same request may do better a little later.
        opens_at_once: Whether no other request would do better.
        remedy: What the operator can do.
        asked_seconds: How long the endpoint asked to be left alone.
        refused_key: The key of the request, one of our own, that the endpoint refuses, where it
            named one.
        max_tries: How often the same request is sent before that counts as one failure.
        max_blames: How often a request may fail so, each time after somebody else was answered,
            before the fault is taken to be its own. One that nobody else can be compared with waits
            for its deadline: alone, it looks like an outage.
    """

    what: str
    fault: Fault
    can_pass: bool = True
    opens_at_once: bool = False
    remedy: str = "see that the endpoint runs and is not overloaded"
    asked_seconds: float | None = None
    refused_key: str | None = None
    max_tries: int = MAX_TRIES
    max_blames: int = 3


#: It answered, with something that is no chat completion: a proxy's page, say. It was not too busy,
#: so what it says to the same request three times it will say again; and each may have been paid.
GIBBERISH = RequestFailure(
    "an answer that is no chat completion",
    Fault.EITHER,
    remedy="see that `endpoint` is the address of an OpenAI-compatible API, and not of a page",
    max_tries=3,
    max_blames=1,
)

_DISTRUSTED = RequestFailure(
    "a certificate that cannot be verified",
    Fault.ENDPOINT,
    can_pass=False,
    opens_at_once=True,
    remedy="see that it is the endpoint's, and name its authority's in the model's `ca_file`, or in"
    " the worker's SSL_CERT_FILE",
)

_BY_STATUS = {
    401: "see that the key in the model's `api_key_variable` is the endpoint's",
    402: "see that the endpoint's bill is paid",
    403: "see that the key in the model's `api_key_variable` may use the model",
    404: "see that `endpoint` ends as the server wants it (/v1) and serves the model `source`",
}
_REDIRECTED: Final = (
    "name in `endpoint` the address that it redirects to, if texts may go there: it is not followed"
)
#: It is too busy for anybody, whatever was asked.
_BUSY = frozenset({429, 503})
#: It may do better later, though the number says that the request was wrong.
_PASSING = frozenset({408, 409, 425, 429})


def failure_of(error: APIError, now: datetime) -> RequestFailure:
    """Read what the client raised."""
    if isinstance(error, APIStatusError):
        asked = asked_seconds(error.response.headers, now)
        return _of_status(error.status_code, asked, refused_key(error.body))
    if _is_distrusted(error):
        return _DISTRUSTED
    if isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout):
        remedy = "see that the endpoint runs and that its address can be reached from here"
        return RequestFailure("no connection", Fault.ENDPOINT, opens_at_once=True, remedy=remedy)
    if isinstance(error, APITimeoutError):
        return RequestFailure("no answer in time", Fault.EITHER)
    if isinstance(error, APIConnectionError):
        return RequestFailure("the connection broke", Fault.EITHER)
    return GIBBERISH


def misconfigured(failure: RequestFailure) -> RequestFailure:
    """What it is that an endpoint refuses a key which every request has."""
    key = failure.refused_key
    return RequestFailure(
        f"{failure.what} about `{key}`",
        Fault.ENDPOINT,
        can_pass=False,
        opens_at_once=True,
        remedy=f"see that the endpoint takes the `{key}` that it is sent, or name another model",
    )


def refused_key(body: object) -> str | None:
    """Tell which of our own keys an error is about; None where it names none.

    Only the fields that are made for it are read: its message may quote a text that names a key.
    OpenAI names the key as `param`, pydantic's servers as the second word of a `loc`.
    """
    fields = body if isinstance(body, dict) else {}
    details = fields.get("detail")
    first = details[0] if isinstance(details, list) and details else {}
    place = first.get("loc") if isinstance(first, dict) else None
    named = place[1] if isinstance(place, list) and len(place) > 1 else fields.get("param")
    key = named.partition(".")[0].partition("[")[0] if isinstance(named, str) else None
    return key if key in OWN_KEYS else None


def _is_distrusted(error: BaseException | None) -> bool:
    """Whether it came of a certificate: libraries wrap what TLS says several times over."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _of_status(status: int, asked: float | None, key: str | None) -> RequestFailure:
    what = f"HTTP {status}"
    remedy = _REDIRECTED if 300 <= status < 400 else _BY_STATUS.get(status)
    if remedy is not None:
        return RequestFailure(
            what, Fault.ENDPOINT, can_pass=False, opens_at_once=True, remedy=remedy
        )
    if status in _BUSY:
        return RequestFailure(what, Fault.ENDPOINT, asked_seconds=asked)
    if status in _PASSING or status >= 500:
        return RequestFailure(what, Fault.EITHER, asked_seconds=asked)
    return RequestFailure(what, Fault.JOB, can_pass=False, refused_key=key)
