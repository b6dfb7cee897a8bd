"""JSON Schemas of what a large model may answer. Pure."""

from pydantic import JsonValue

JsonSchema = dict[str, JsonValue]


def closed_object(properties: JsonSchema) -> JsonSchema:
    """Write the schema of an object that has exactly these properties."""
    required: list[JsonValue] = list(properties)
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
