"""What stands in `--help`, in an editor's hover and in the JSON Schemas is a sentence by itself."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from smallfirst.catalogue import Promise
from smallfirst.catalogue.json_schema import catalogue_schema
from smallfirst.cli.main import COMMANDS, app
from smallfirst.jobs import Job, Result
from smallfirst.ledger.routing_slips import BatchMessage, DeadLetter, RoutingSlip
from smallfirst.process.training_plan import TrainingPlan
from smallfirst.settings import COMPONENTS

#: How a fragment begins that only its field's name makes a sentence: "Of the job.", "Who waits."
FRAGMENT = re.compile(
    r"(After|Before|Beyond|Between|By|From|In|Of|Over|To|Under|Where|Which|With|Without) "
)
MODELS = (Job, Result, Promise, RoutingSlip, BatchMessage, DeadLetter, TrainingPlan, *COMPONENTS)


def described(schema: Any) -> Iterator[str]:
    """Every description of a JSON Schema's properties."""
    if isinstance(schema, dict):
        for field in schema.get("properties", {}).values():
            yield from [field["description"]] if "description" in field else []
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            yield from described(part)


def commands() -> Iterator[Any]:
    """Every command, with those of its own."""
    group: Any = typer.main.get_command(app)
    yield group
    for name in COMMANDS:
        command = group.load(name)
        yield from (command, *getattr(command, "commands", {}).values())


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_field_is_described_by_a_sentence(model: Any) -> None:
    """A description has a subject of its own, and an end."""
    for text in described(model.model_json_schema()):
        assert not FRAGMENT.match(text), text
        assert text.endswith("."), text


def test_the_catalogue_is_described_by_sentences() -> None:
    """The same holds of what an author of a catalogue reads."""
    texts = list(described(catalogue_schema()))
    assert len(texts) > 50
    assert [text for text in texts if FRAGMENT.match(text) or not text.endswith(".")] == []


def test_every_option_is_described_by_a_sentence() -> None:
    """No option and no argument of a command is without help, or has half a sentence of it."""
    for command in commands():
        for parameter in command.params:
            text = parameter.help or ""
            assert text.endswith("."), f"{command.name} {parameter.name}: {text!r}"
            assert not FRAGMENT.match(text), text
