"""Choices among a few words: what is none of them is refused in one sentence that lists them."""

from enum import StrEnum

from pydantic import BeforeValidator


def one_of(words: type[StrEnum], meaning: str) -> BeforeValidator:
    """See that a value is one of some words, before pydantic does in words of its own.

    Args:
        words: To choose from.
        meaning: What they mean, as the end of the sentence.
    """
    listed = " or ".join(f"`{word}`" for word in words)

    def is_one(value: object) -> object:
        if isinstance(value, str) and value in set(words):
            return value
        raise ValueError(f"must be {listed}: {meaning}")

    return BeforeValidator(is_one)
