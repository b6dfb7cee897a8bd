"""How a large model is asked: what it is told to write, and in which form."""

import json

import pytest
from tests.support.asked_tasks import EXAMPLE, WRITTEN, task

from smallfirst.catalogue import Kind
from smallfirst.kinds import prompting_of


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        (Kind.CLASSIFY, "up"),
        (Kind.MULTILABEL, '["up"]'),
        (Kind.TAG, '[{"text":"up","label":"up"}]'),
        (Kind.EXTRACT, '{"total":3.5,"due":"2026-01-02"}'),
        (Kind.JUDGE, '{"verdict":"no","quote":"went"}'),
        (Kind.GENERATE, "Well."),
    ],
)
def test_the_form_of_an_answer(kind: Kind, answer: str) -> None:
    """An example's answer is written as the model's will be read: fields in the task's order."""
    assert prompting_of(kind).write(task(kind), EXAMPLE) == answer


@pytest.mark.parametrize("kind", WRITTEN)
def test_the_schema_closes_every_object(kind: Kind) -> None:
    """An answer has a schema that leaves no room for more; free text has none."""
    write_schema = prompting_of(kind).schema
    schema = write_schema(task(kind)) if write_schema else None

    assert (schema is None) == (kind is Kind.GENERATE)
    assert json.dumps(schema).count('"object"') == json.dumps(schema).count("additionalProperties")
