"""`smallfirst submit`, `result`, `status` and `cancel`: one job at a time."""

import sys
from typing import Annotated, Any, NoReturn

import typer
from pydantic import ValidationError

from smallfirst.cli.fleet_connection import client_of
from smallfirst.cli.options import (
    DeadlineOption,
    ExplainOption,
    PriorityOption,
    ProducerOption,
    WholeDistributionOption,
)
from smallfirst.cli.output import SOME_FAILED, USAGE, JsonOption, fail, print_json, say
from smallfirst.cli.shading import print_explanation
from smallfirst.client import Client
from smallfirst.client.transports import JobLocation, State
from smallfirst.errors import ResultTimeout
from smallfirst.jobs import Job, Priority, Result, Status, Tier
from smallfirst.kinds import in_words
from smallfirst.wording import faults_of

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The job's id.")]
#: What a job that nobody failed ends as.
FINE = frozenset({Status.ANSWERED, Status.ABSTAINED})

#: Why there may be nothing of a job.
_WHY_UNKNOWN = (
    "it was never submitted by this producer, or so long ago that its result is gone"
    " (SMALLFIRST_RESULT_TTL_SECONDS, a day unless set)"
)


def submit(  # noqa: PLR0913 - a command's signature is its options
    context: typer.Context,
    text: Annotated[
        str | None, typer.Argument(help="The text; if not given or `-`, it is read from stdin.")
    ] = None,
    *,
    task: Annotated[str, typer.Option(help="The name of a task in the catalogue.")],
    job_id: Annotated[
        str | None, typer.Option("--id", help="The job's id; if not given, one is made.")
    ] = None,
    priority: PriorityOption = Priority.INTERACTIVE,
    deadline: DeadlineOption = None,
    first_tier: Annotated[
        Tier | None,
        typer.Option(help="The cheapest tier to ask; steps of cheaper ones are skipped."),
    ] = None,
    last_tier: Annotated[
        Tier | None,
        typer.Option(help="The dearest tier to ask; no answer of a dearer one is sought."),
    ] = None,
    explain: ExplainOption = False,
    whole_distribution: WholeDistributionOption = False,
    producer: ProducerOption = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option(help="A pair KEY=VALUE that the result carries too; may be repeated."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the result and print it.")] = False,
    timeout: Annotated[float, typer.Option(help="The most seconds to wait.", min=0)] = 60.0,
    as_json: JsonOption = False,
) -> None:
    """Submit one text and print the id of its job."""
    options = {
        "id": job_id,
        "explain": explain,
        "whole_distribution": whole_distribution,
        "deadline": deadline,
        "first_tier": first_tier,
        "last_tier": last_tier,
        "metadata": _pairs(metadata or []),
    }
    fields: dict[str, Any] = {"task": task, "priority": priority, **options}
    job = _job_of({"text": text_of(text), **fields})
    with client_of(context, producer) as (client, _):
        client.submit(job)
        found = client.result(job.id, timeout=timeout) if wait else None
    if found is not None:
        _show(found, as_json=as_json, text=job.text if explain else None)
    elif as_json:
        print_json({"id": job.id})
    else:
        say(job.id)


def result(
    context: typer.Context,
    job_id: IdArgument,
    *,
    timeout: Annotated[
        float, typer.Option(help="The most seconds to wait for the result.", min=0)
    ] = 0.0,
    producer: ProducerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a job's result; exit 1 where there is none (yet), or it holds no answer."""
    with client_of(context, producer) as (client, _):
        found = result_within(client, job_id, timeout, as_json=as_json)
    _show(found, as_json=as_json)


def status(
    context: typer.Context,
    job_id: IdArgument,
    *,
    producer: ProducerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say where a job is now; exit 1 where nothing is known of it."""
    with client_of(context, producer) as (client, _):
        found = client.status(job_id)
    if as_json:
        print_json(found.model_dump(mode="json", exclude_none=True))
    else:
        say(str(found.status) if found.status else _place(found.state, found.where))
    if found.state == "unknown":
        raise typer.Exit(SOME_FAILED)


def cancel(
    context: typer.Context,
    job_id: IdArgument,
    *,
    producer: ProducerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask that a job be dropped; a result that stands already stays.

    Exit 1 where nothing is known of the job; it is asked all the same, for a job that comes yet.
    """
    with client_of(context, producer) as (client, _):
        found = client.status(job_id)
        client.cancel(job_id)
    is_known = found.state is not State.UNKNOWN
    if as_json:
        print_json({"id": job_id, "cancel": "asked", "state": found.state})
    elif found.status is not None:
        say(f"{job_id} has its result already: {found.status}")
    else:
        say(f"asked to cancel {job_id}{'' if is_known else ', of which nothing is known'}")
    if not is_known:
        raise typer.Exit(SOME_FAILED)


def result_within(client: Client, job_id: str, timeout: float, *, as_json: bool) -> Result:
    """Get a result; where there is none in so many seconds, the command says where the job is."""
    try:
        return client.result(job_id, timeout=timeout)
    except ResultTimeout:
        _without_result(client.status(job_id), as_json=as_json)


def _without_result(found: JobLocation, *, as_json: bool) -> NoReturn:
    """Say where a job is that has no result; exit 1."""
    if as_json:
        print_json(found.model_dump(mode="json", exclude_none=True))
        raise typer.Exit(SOME_FAILED)
    if found.state is State.UNKNOWN:
        fail(f"nothing is known of {found.id}: {_WHY_UNKNOWN}")
    fail(f"no result of {found.id} yet: it is {_place(found.state, found.where)}")


def _place(state: str, where: str | None) -> str:
    return f"{state} at {where}" if where else str(state)


def text_of(given: str | None) -> str:
    """The text that a command is given, or else what is piped into it."""
    if given not in {None, "-"}:
        return str(given)
    if given is None and sys.stdin.isatty():
        fail("give a text, or pipe one in", exit_code=USAGE)
    try:
        return sys.stdin.buffer.read().decode("utf-8").removesuffix("\n")
    except UnicodeDecodeError:
        fail("the text on stdin is not UTF-8", exit_code=USAGE)


def _pairs(given: list[str]) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in given]
    if any(not equals for _, equals, _ in pairs):
        fail("--metadata takes KEY=VALUE", exit_code=USAGE)
    return {key: value for key, _, value in pairs}


def _job_of(fields: dict[str, Any]) -> Job:
    try:
        return Job.model_validate({k: v for k, v in fields.items() if v is not None})
    except ValidationError as error:
        fail(faults_of(error, Job.model_fields), exit_code=USAGE)


def _show(found: Result, *, as_json: bool, text: str | None = None) -> None:
    """Print a result; exit 1 where a job that should have been answered was not.

    The words of the text that drove the answer are shaded, where a text is given.
    """
    if as_json:
        print_json(found.model_dump(mode="json", exclude_none=True))
    else:
        for line in lines_of(found):
            say(line)
        if text is not None and found.answer is not None:
            print_explanation(found.answer, text)
    if found.status not in FINE:
        raise typer.Exit(SOME_FAILED)


def lines_of(found: Result) -> list[str]:
    """A result for people, but for why."""
    lines = [f"{found.id}: {found.status}{f' by {found.tier}' if found.tier else ''}"]
    if found.answer is not None:
        lines.append(f"  {in_words(found.answer)}")
    if found.problem is not None:
        lines.append(f"  {found.problem.code}: {found.problem.message}")
    for attempt in found.trail:
        sure = "" if attempt.confidence is None else f", {attempt.confidence:.2f} sure"
        lines.append(f"  step {attempt.step}: {attempt.model} {attempt.outcome}{sure}")
    return lines
