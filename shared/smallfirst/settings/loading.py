"""Loading: reads a component's settings once, and refuses a variable that nothing knows."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeVar

from pydantic import ValidationError

from smallfirst.errors import SettingsError, SettingsProblem
from smallfirst.settings.audit_log import AuditLogSettings
from smallfirst.settings.components import (
    ExporterSettings,
    FlowerSettings,
    ProducerSettings,
    RouterSettings,
    Settings,
    WorkerSettings,
)
from smallfirst.settings.desk import DeskSettings
from smallfirst.settings.fields import PREFIX
from smallfirst.wording import nearest, plain_rule

#: Where Docker and Kubernetes put secrets as files.
SECRETS_DIR: Final = Path("/run/secrets")
#: Variables with our prefix that are no component's setting: where tests find public data.
OTHER_VARIABLES: Final = frozenset({"SMALLFIRST_DATA"})

#: What Kubernetes adds to every container for a Service whose name begins with `smallfirst`.
#: Source: https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_SERVICE_LINK = re.compile(r"SMALLFIRST_(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?)")
_SERVICE_PORT = re.compile(r"SMALLFIRST_(?:\w+_)?PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_\w+)?)?")


#: Every component's class; a variable is known if one of them has it.
COMPONENTS: Final[tuple[type[Settings], ...]] = (
    Settings,
    ProducerSettings,
    RouterSettings,
    WorkerSettings,
    ExporterSettings,
    FlowerSettings,
    DeskSettings,
    AuditLogSettings,
)

S = TypeVar("S", bound=Settings)


def load_settings(cls: type[S], secrets_dir: Path = SECRETS_DIR, /, **overrides: object) -> S:
    """Read one component's settings, once, at its entry point.

    Args:
        cls: The class of the component's settings.
        secrets_dir: The folder in which secrets lie as files; it need not exist.
        overrides: Values by field from the command line; None stands for not given.

    Raises:
        SettingsError: When a variable is unknown, missing or wrong; it never holds a value.
    """
    folder = secrets_dir if secrets_dir.is_dir() else None
    problems = list(_unknown_variables(folder))
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        settings = cls(_secrets_dir=folder, **given)  # type: ignore[arg-type]
    except ValidationError as err:
        details = err.errors(include_url=False)
        problems += [
            SettingsProblem(variable_of(str(detail["loc"][0])), plain_rule(detail))
            for detail in details
        ]
    if problems:
        raise SettingsError(*problems)
    return settings


def variable_of(field: str) -> str:
    """Name the environment variable of a field."""
    return PREFIX + field.upper()


def known_variables() -> frozenset[str]:
    """List every variable that some component reads."""
    return frozenset(variable_of(field) for cls in COMPONENTS for field in cls.model_fields)


def _unknown_variables(secrets_dir: Path | None) -> Iterator[SettingsProblem]:
    known = known_variables()
    for variable in sorted(set(_given_variables(secrets_dir)) - known - OTHER_VARIABLES):
        # The prefix, which all names share, would make all of them look alike.
        near = nearest(variable.removeprefix(PREFIX), [name.removeprefix(PREFIX) for name in known])
        meant = f", did you mean {PREFIX + near!r}?" if near else ""
        yield SettingsProblem(variable, f"no such setting{meant}")


def _given_variables(secrets_dir: Path | None) -> Iterator[str]:
    """List what is set, names in upper case, without what Kubernetes adds for its Services."""
    for name, value in os.environ.items():
        if not _is_service_link(name, value):
            yield from (name.upper(),) if name.upper().startswith(PREFIX) else ()
    for file in secrets_dir.iterdir() if secrets_dir else ():
        if file.name.upper().startswith(PREFIX):
            yield file.name.upper()


def _is_service_link(name: str, value: str) -> bool:
    if _SERVICE_LINK.fullmatch(name):
        return True
    is_address = value.startswith(("tcp://", "udp://", "sctp://")) or bool(
        re.search(r"_\d+_(TCP|UDP|SCTP)_(PROTO|PORT|ADDR)$", name)
    )
    return is_address and bool(_SERVICE_PORT.fullmatch(name))
