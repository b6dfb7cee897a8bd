"""The team's own patterns, compiled by RE2, and the checks of numbers that python-stdnum has.

Both come with the router's extra, so they are imported when they are asked for: a producer needs
neither.
"""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from smallfirst.catalogue.steps import Pattern

#: What brings RE2 and python-stdnum, by the modules that show it.
_PACKAGES = ("re2", "stdnum")
_HINTS = {
    "(?<": "RE2 has no look-around; mark what is meant with (?P<span>...)",
    "(?=": "RE2 has no look-around; mark what is meant with (?P<span>...)",
    "(?!": "RE2 has no look-around; mark what is meant with (?P<span>...)",
    "escape sequence: \\": "RE2 knows no such escape, nor back-references",
    "repetition size": "RE2 repeats at most 1,000 times",
}


class ExpressionError(ValueError):
    """Raised when a pattern cannot be used; its message is the reason, in RE2's words."""


def can_compile() -> bool:
    """Whether what compiles patterns is installed here."""
    return all(find_spec(name) is not None for name in _PACKAGES)


def compile_expression(pattern: Pattern) -> Any:
    """Compile a pattern's expression.

    Raises:
        ExpressionError: RE2 cannot run it, or it matches every text.
    """
    import re2  # noqa: PLC0415 - the router's

    options = re2.Options()
    # RE2 would print the pattern on stderr.
    options.log_errors = False
    options.case_sensitive = not pattern.ignore_case
    try:
        regex = re2.compile(pattern.pattern, options)
    except re2.error as error:
        raise ExpressionError(_reason(error)) from error
    if regex.search(b"") is not None:
        raise ExpressionError("the pattern matches the empty text, so every text")
    return regex


def number_check(pattern: Pattern) -> Callable[[str], bool] | None:
    """Find the check that a pattern's matches must satisfy too; None where it names none.

    Raises:
        ExpressionError: python-stdnum has no such check.
    """
    if pattern.check is None:
        return None
    try:
        is_valid = getattr(import_module(f"stdnum.{pattern.check}"), "is_valid", None)
    except ImportError as error:
        raise ExpressionError(f"python-stdnum has no module {pattern.check!r}") from error
    if not callable(is_valid):
        raise ExpressionError(f"python-stdnum's {pattern.check!r} checks no number")
    checked: Callable[[str], bool] = is_valid
    return checked


def _reason(error: Exception) -> str:
    said = error.args[0] if error.args else b"not a pattern"
    reason = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    hint = next((hint for sign, hint in _HINTS.items() if sign in reason), None)
    return f"{reason} ({hint})" if hint else reason
