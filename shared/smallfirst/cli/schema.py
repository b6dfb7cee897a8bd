"""`smallfirst schema`: the JSON Schema of what crosses the wire, of the catalogue, of a promise."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Annotated, Any

import typer

from smallfirst.catalogue import Promise
from smallfirst.catalogue.json_schema import catalogue_schema
from smallfirst.cli.output import JsonOption, print_json
from smallfirst.jobs import Job, Result


class Subject(StrEnum):
    """What there is a schema of."""

    JOB = "job"
    RESULT = "result"
    CATALOGUE = "catalogue"
    PROMISE = "promise"


_SCHEMAS: Mapping[Subject, Callable[[], dict[str, Any]]] = {
    Subject.JOB: lambda: Job.model_json_schema(mode="validation"),
    Subject.RESULT: lambda: Result.model_json_schema(mode="serialization"),
    Subject.CATALOGUE: catalogue_schema,
    Subject.PROMISE: lambda: Promise.model_json_schema(mode="serialization"),
}


def schema(
    subject: Annotated[
        Subject | None,
        typer.Argument(help="What the schema is of; if not given, of both job and result."),
    ] = None,
    *,
    as_json: JsonOption = False,  # noqa: ARG001 - a schema is JSON either way
) -> None:
    """Print the JSON Schema of a job, a result, the catalogue or a promise."""
    if subject is not None:
        print_json(_SCHEMAS[subject](), indent=2)
        return
    both = (Subject.JOB, Subject.RESULT)
    print_json({str(each): _SCHEMAS[each]() for each in both}, indent=2)
