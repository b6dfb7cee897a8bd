"""`smallfirst explain`: which words drove an answer, in the text where the text is at hand."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Annotated

import typer

from smallfirst.answers import AnyAnswer, Explanation
from smallfirst.catalogue.likeness import text_key
from smallfirst.catalogue.row_files import (
    ForeignFile,
    RowError,
    delimiter_of,
    parse_row,
    read_lines,
)
from smallfirst.cli.fleet_connection import client_of
from smallfirst.cli.jobs import IdArgument, lines_of, result_within, text_of
from smallfirst.cli.options import ProducerOption
from smallfirst.cli.output import USAGE, JsonOption, fail, print_json, say
from smallfirst.cli.shading import print_explanation
from smallfirst.jobs import Result, Tier, fingerprint_of


def explain(
    context: typer.Context,
    job_id: IdArgument,
    *,
    text: Annotated[
        str | None,
        typer.Option(
            help="The job's text, which no result repeats; `-` is stdin. If not given, places in"
            " the text are told by number."
        ),
    ] = None,
    rows: Annotated[
        list[Path] | None,
        typer.Option(
            help="A file of the rows that a model learned from, whose texts are shown where the"
            " job's text is like them; may be given several times."
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option(help="The most seconds to wait for the result.", min=0)
    ] = 0.0,
    producer: ProducerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show which words drove a job's answer; exit 1 where nothing tells.

    A job is explained where it was submitted with `explain`.
    """
    with client_of(context, producer) as (client, _):
        found = result_within(client, job_id, timeout, as_json=as_json)
    given = None if text is None else text_of(text)
    if given is not None and not is_text_of(found, given):
        fail(f"the text is not the one that {job_id} was asked about", exit_code=USAGE)
    answer = explained_answer(found)
    texts = None if rows is None else _texts_of(rows, answer)
    if as_json:
        shown = {"evidence", "explanation", "spans", "record"}
        told = answer.model_dump(mode="json", exclude_none=True)
        print_json({"id": job_id, **{k: v for k, v in told.items() if k in shown}})
        return
    for line in lines_of(found):
        say(line)
    print_explanation(answer, given, texts)


def explained_answer(found: Result) -> AnyAnswer:
    """The answer of a result, which says why; else the command ends with exit 1."""
    answer = found.answer
    if answer is None:
        fail(f"{found.id} has no answer that could be explained: it is {found.status}")
    fields = ("evidence", "explanation", "spans")
    is_told = any(getattr(answer, field, None) for field in fields)
    if not is_told and "quote" not in _record_of(answer):
        fail(
            f"nothing tells why {found.id} was answered so: submit it with --explain, under another"
            " id; persons and most large models name no words"
        )
    return answer


def _texts_of(files: Iterable[Path], answer: AnyAnswer) -> dict[str, str]:
    """Find the texts of the rows that an answer names, by their keys."""
    explanation: Explanation | None = getattr(answer, "explanation", None)
    wanted = {each.key for each in explanation.alike} if explanation else set()
    texts = (text for path in files for text in _texts_in(path))
    return {key: text for text in texts if (key := text_key(text)) in wanted}


def _texts_in(path: Path) -> Iterator[str]:
    try:
        with path.open("rb") as file:
            for line in read_lines(file, delimiter=delimiter_of(path)):
                with suppress(RowError):
                    if isinstance(text := parse_row(line.content or b"").get("text"), str):
                        yield text
    except (OSError, ForeignFile) as error:
        reason = error.remedy if isinstance(error, ForeignFile) else error.strerror
        fail(f"{path}: {reason}; see --rows", exit_code=USAGE)


def is_text_of(found: Result, text: str) -> bool:
    """Whether a text is a job's, by the fingerprint of its result; it may have had any options."""
    if found.fingerprint is None or found.task is None:
        return True
    tiers = [None, *Tier]
    options = product(tiers, tiers, (True, False), (False, True))
    return any(
        fingerprint_of(found.task, text, (first, last), explain=told, whole_distribution=whole)
        == found.fingerprint
        for first, last, told, whole in options
    )


def _record_of(answer: AnyAnswer) -> dict[str, object]:
    return dict(getattr(answer, "record", {}))
