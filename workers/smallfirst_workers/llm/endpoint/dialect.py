"""Which keys of a request an endpoint takes: what it has refused is not sent to it again. Pure.

Servers that speak one API differ in its edges: a model that reasons refuses a temperature, an older
server has other names. A key that we chose to send is never the job's fault, so the request is put
without it, or by its older name, for as long as the worker asks this endpoint.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

#: The bound of an answer, by its name and by its older one.
BOUND, OLDER_BOUND = "max_completion_tokens", "max_tokens"

#: What can be done without, and what that means for the model's answers.
CONSEQUENCES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "temperature": "its answers are drawn at the temperature that the endpoint has",
        "n": "each vote is a request, and its prompt is paid for each time",
        "response_format": "nothing holds its answers to the task's form, and more are discarded",
        "logprobs": "its answers have confidence 0, which no threshold above 0 accepts",
        "top_logprobs": "labels that it did not say have guessed probabilities",
        BOUND: f"`{OLDER_BOUND}` is sent in its place",
    }
)
#: Keys that are ours to send, whatever the job says.
OWN_KEYS: Final = frozenset({*CONSEQUENCES, OLDER_BOUND, "model"})


@dataclass(frozen=True)
class Dialect:
    """What an endpoint has refused so far.

    Attributes:
        refused: Keys of a request.
    """

    refused: frozenset[str] = frozenset()

    def can_do_without(self, key: str) -> bool:
        """Whether a request can be put without the key, and was not put so yet."""
        return key in CONSEQUENCES and key not in self.refused

    def without(self, key: str) -> "Dialect":
        """The same, but for one key more."""
        return Dialect(self.refused | {key})

    def put(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Put a request as the endpoint takes it."""
        dropped = self.refused | ({"top_logprobs"} if "logprobs" in self.refused else set())
        kept = {key: value for key, value in request.items() if key not in dropped}
        return kept | ({OLDER_BOUND: request[BOUND]} if BOUND in self.refused else {})
