"""The catalogue's JSON Schema, for editors: the file as people write it, not as it is loaded."""

from typing import Any

from smallfirst.catalogue import Catalogue

#: The dialect that pydantic writes.
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def catalogue_schema() -> dict[str, Any]:
    """Make the schema of the YAML file, with the description of every field.

    Name it in the first line of a catalogue, and an editor completes and checks as one types:
    `# yaml-language-server: $schema=catalogue.schema.json`.
    """
    schema = Catalogue.model_json_schema()
    _let_examples_be_a_path(schema["$defs"]["Task"]["properties"])
    _close_maps(schema)
    return {"$schema": DIALECT, **schema}


def _let_examples_be_a_path(properties: dict[str, Any]) -> None:
    examples = properties["examples"]
    inline = {"type": examples.pop("type"), "items": examples.pop("items")}
    path = {"type": "string", "minLength": 1}
    properties["examples"] = {**examples, "anyOf": [path, inline]}


def _close_maps(schema: Any) -> None:
    """Refuse the names that a map's pattern does not allow, as the catalogue itself does."""
    if isinstance(schema, list):
        for item in schema:
            _close_maps(item)
    if isinstance(schema, dict):
        if "patternProperties" in schema:
            schema.setdefault("additionalProperties", False)
        for value in schema.values():
            _close_maps(value)
