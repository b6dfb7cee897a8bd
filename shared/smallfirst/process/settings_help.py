"""What a component says to arguments: it has none but `--help`, which lists its settings."""

import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from smallfirst.settings import SECRETS_DIR, Settings, variable_of

#: Of a command that was used wrongly, as of every command of `smallfirst`.
_USAGE = 2
_WIDTH = 88


def answer_arguments(
    cls: type[Settings], *, module: str, does: str, arguments: Sequence[str] | None = None
) -> None:
    """Return where there are none; else end the process, with help or with what is wrong.

    Args:
        cls: The component's settings.
        module: What `python -m` is told.
        does: What the component does, as a sentence.
        arguments: Of the process, where nothing else is said.

    Raises:
        SystemExit: With 0 after `--help`, else with 2.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    if not given:
        return
    if set(given) & {"-h", "--help"}:
        sys.stdout.write(settings_help(cls, module=module, does=does))
        raise SystemExit(0)
    reason = f"unknown argument {given[0]!r}: settings are variables, which --help lists"
    sys.stderr.write(f"python -m {module}: {reason}\n")
    raise SystemExit(_USAGE)


def settings_help(cls: type[Settings], *, module: str, does: str) -> str:
    """Write a component's help: each variable, its default, its meaning; its own ones first."""
    fields = dict(sorted(cls.model_fields.items(), key=lambda each: each[0] not in _own(cls)))
    lines = [f"Usage: python -m {module}", "", does, "", *_wrapped(_HOW, ""), ""]
    for name, field in fields.items():
        lines += [f"  {variable_of(name)}  ({_default(field)})"]
        lines += _wrapped(field.description or "", "      ")
    return "\n".join(lines) + "\n"


_HOW = (
    "It takes no arguments. Every setting is an environment variable, or a file of the same name in"
    f" lower case in {SECRETS_DIR}:"
)


def _own(cls: type[Settings]) -> frozenset[str]:
    """The fields that the component has beyond those of every component."""
    return frozenset(cls.model_fields) - frozenset(Settings.model_fields)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value: Any = field.default
    if value is None:
        return "not set"
    shown = value.get_secret_value() if isinstance(value, SecretStr) else value
    return f"default {str(shown).lower() if isinstance(shown, bool) else shown}"


def _wrapped(text: str, indent: str) -> Iterator[str]:
    yield from textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
