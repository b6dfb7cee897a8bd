"""Texts in, pooled states out: a large model as the encoder of heads.

It knows tokens and the running engine. It does not know tasks.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from smallfirst_workers.encoding.model_folder import ModelFolder
from smallfirst_workers.encoding.states import TextStates
from smallfirst_workers.encoding.tokenising import Reader
from smallfirst_workers.llm.vllm.async_engine import AsyncEngine


@dataclass(frozen=True)
class Tokens:
    """A text as the model will read it: bare, in the tokenizer's own frame and no prompt.

    So the same vector serves every task that asks about the text.

    Attributes:
        text: The text.
        ids: With the frame's tokens; those of the first window where `is_too_long`.
        is_too_long: Whether the text does not fit the model's context.
    """

    text: str
    ids: tuple[int, ...]
    is_too_long: bool

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing in the text that the model could read."""
        return not self.ids


@dataclass(frozen=True)
class PoolingEncoder:
    """A large model's tokenizer and its running engine.

    Attributes:
        reader: Turns texts into tokens.
        vllm: The engine, its runner `pooling`.
    """

    reader: Reader
    vllm: AsyncEngine

    @classmethod
    def load(cls, name: str, folder: Path, vllm: AsyncEngine, *, cache: Path) -> "PoolingEncoder":
        """Read the tokenizer of a model that runs already.

        Raises:
            ModelError: When it has none that can be used.
        """
        reader = Reader.load(ModelFolder.open(name, folder), cache=cache, max_tokens=None)
        # What vLLM has room for counts, and it has looked at the model's own limit already.
        return cls(replace(reader, max_tokens=vllm.max_tokens), vllm)

    def tokens(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokenise texts; what looks like a control token in one is text too."""
        return [
            Tokens(
                reading.text,
                tuple(self.reader.row(reading, reading.windows[0]).tolist())
                if reading.windows
                else (),
                is_too_long=len(reading.windows) > 1,
            )
            for reading in self.reader.read(texts)
        ]

    async def states(self, tokens: Tokens) -> TextStates:
        """Read a text that is neither empty nor too long.

        Raises:
            EngineDead: When the engine has died.
        """
        vector = await self.vllm.pool(tokens.ids)  # (hidden,)
        return TextStates(tokens.text, vector, 1, None, len(tokens.ids))

    def read(
        self,
        texts: Sequence[str],
        *,
        wants_words: Sequence[bool],  # noqa: ARG002 - there are none
    ) -> tuple[list[TextStates], int]:
        """Read texts to train a head on; see `ReadsTexts`. A vector each, and no words' states.

        Raises:
            EngineDead: When the engine has died.
        """
        tokens = self.tokens(texts)
        states = self.vllm.loop.call(self._states_of_all(tokens))
        return states, sum(state.num_tokens for state in states)

    async def _states_of_all(self, tokens: Sequence[Tokens]) -> list[TextStates]:
        return await asyncio.gather(*map(self._states_or_none, tokens))

    async def _states_or_none(self, tokens: Tokens) -> TextStates:
        if tokens.is_empty:
            return TextStates(tokens.text, np.zeros(1, np.float32), 0, None, 0)
        return await self.states(tokens)
