"""The reference pages' content, read from the models, settings, commands and keys themselves.

A page holds a line `<!-- generated: NAME -->`; when the site is built, what
the function of that name returns stands there (see `conf.py`). Nothing that is generated is
committed, so nothing can go stale. Pure: everything here returns Markdown.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import typer
from docs import measurements
from pydantic import BaseModel
from typer.cli import get_docs_for_click

from smallfirst.catalogue import Promise
from smallfirst.catalogue.json_schema import catalogue_schema
from smallfirst.cli import app
from smallfirst.cli.lazy_group import LazyGroup
from smallfirst.jobs import PROBLEM_CODES, Job, Result
from smallfirst.ledger import keys
from smallfirst.ledger.records import GapRecord, PrunedRecord, ResultRecord, VoidRecord
from smallfirst.provenance.record import Provenance
from smallfirst.settings import COMPONENTS, Settings, variable_of

REQUIRED: Final = "required"
MARKER: Final = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)
#: Bounds of a JSON Schema, as a reader says them.
_BOUNDS: Final = (
    ("minimum", "at least {}"),
    ("exclusiveMinimum", "more than {}"),
    ("maximum", "at most {}"),
    ("exclusiveMaximum", "less than {}"),
    ("minLength", "at least {} characters"),
    ("maxLength", "at most {} characters"),
    ("minItems", "at least {} items"),
    ("maxItems", "at most {} items"),
    ("minProperties", "at least {} entries"),
    ("maxProperties", "at most {} entries"),
)
_SIZES: Final = frozenset({"minLength", "minItems", "minProperties"})
_NAMES_OF_TYPES: Final = {"object": "map", "array": "list"}
#: A key of the map in `ledger.keys`: its name, type, bound and writer, then its content.
_KEY: Final = re.compile(
    r"^ {4}(\{(?:ns|slice)\}\S+) +([^;\n]+); ([^;\n]+); ([^\n]+)\n {8}(.+)$", re.MULTILINE
)

Schema = dict[str, Any]


def filled(page: str) -> str:
    """Put what is generated into a page; a page without a marker stays as it is.

    Raises:
        KeyError: When a marker names nothing that is generated.
    """
    return MARKER.sub(lambda marker: GENERATED[marker[1]](), page)


def job() -> str:
    """Describe what a producer submits."""
    return _models(Job.model_json_schema(mode="validation"))


def result() -> str:
    """Describe what a producer gets."""
    return _models(Result.model_json_schema(mode="serialization"))


def problem_codes() -> str:
    """List the codes of a result's problem."""
    rows = ((f"`{code}`", meaning) for code, meaning in PROBLEM_CODES.items())
    return _table(("code", "status, and what it says"), rows)


def catalogue() -> str:
    """Describe the catalogue's file."""
    return _models(catalogue_schema())


def provenance() -> str:
    """Describe who labelled a row."""
    return _models(Provenance.model_json_schema(mode="serialization"))


def promise() -> str:
    """Describe the file that `smallfirst calibrate` writes."""
    return _models(Promise.model_json_schema(mode="serialization"))


def record(model: type[BaseModel]) -> str:
    """Describe one kind of record of the audit log."""
    return _models(model.model_json_schema(mode="serialization")).replace("\n## ", "\n### ")


def commands() -> str:
    """Describe every command of the command line, with its arguments and options."""
    group = typer.main.get_command(app)
    assert isinstance(group, LazyGroup)
    for name in group.entries:
        group.add_command(group.load(name))
    context = typer.Context(group, info_name="smallfirst")
    return get_docs_for_click(obj=group, ctx=context, name="smallfirst", indent=1)


def redis_keys() -> str:
    """Draw the map of Redis keys as a table."""
    rows = [
        (f"`{name}`", kind, content, bound, writer)
        for name, kind, bound, writer, content in _KEY.findall(keys.__doc__ or "")
    ]
    return _table(("key", "type", "content", "bound", "writer"), rows)


def settings() -> str:
    """Describe every variable, once, under the component that first has it."""
    return "\n\n".join(
        f"## {_heading(cls)}\n\n{cls.__doc__}\n\n{_variables(cls, own)}"
        for cls, own in _own_fields().items()
    )


def _own_fields() -> dict[type[Settings], list[str]]:
    """Find the fields that each class adds to those it inherits, the general classes first."""
    classes = [base for cls in COMPONENTS for base in reversed(cls.__mro__)]
    ours = [cls for cls in dict.fromkeys(classes) if issubclass(cls, Settings)]
    return {cls: [name for name in cls.__annotations__ if name in cls.model_fields] for cls in ours}


def _variables(cls: type[Settings], names: list[str]) -> str:
    schema = cls.model_json_schema()
    rows = []
    for name in names:
        each = schema["properties"][name]
        default = cls.model_fields[name].default
        shown = getattr(default, "get_secret_value", lambda value=default: value)()
        given = REQUIRED if name in schema.get("required", ()) else _default(shown)
        value = "; ".join(filter(None, (_type(each), given)))
        rows.append((f"`{variable_of(name)}`", each.get("description", ""), value))
    return _table(("variable", "meaning", "value"), rows)


def _models(schema: Schema) -> str:
    """Describe a model, then every model and choice that it names."""
    parts = {name: part for name, part in schema.get("$defs", {}).items() if "title" in part}
    named = (f"## {name}\n\n{_model(part)}" for name, part in parts.items())
    return "\n\n".join((_model(schema), *named))


def _model(schema: Schema) -> str:
    description = schema.get("description", "")
    if "properties" not in schema:
        return f"{description}\n\n{_type(schema)}"
    required = schema.get("required", ())
    rows = [
        (f"`{name}`", each.get("description", ""), _allowed(each, is_required=name in required))
        for name, each in schema["properties"].items()
    ]
    return f"{description}\n\n{_table(('key', 'meaning', 'value'), rows)}"


def _allowed(schema: Schema, *, is_required: bool) -> str:
    """Say what a key's value may be, and what holds without it."""
    given = REQUIRED if is_required and "default" not in schema else _default(schema)
    return "; ".join(filter(None, (_type(schema), given)))


def _default(of: object) -> str:
    """Say what holds where nothing is given: a schema's default, or a value itself."""
    value = of.get("default") if isinstance(of, dict) else of
    return "" if value is None or value in ({}, [], "") else f"default `{_value(value)}`"


def _value(value: object) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def _type(schema: Schema) -> str:
    """Say what a value may be: `text, at most 128 characters`."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})" if name != "JsonValue" else "any JSON"
    if "anyOf" in schema or "oneOf" in schema:
        options = schema.get("anyOf") or schema["oneOf"]
        return " or ".join(_type(each) for each in options if each.get("type") != "null")
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    return ", ".join((_noun(schema), *_bounds(schema)))


def _noun(schema: Schema) -> str:
    kind: str = schema.get("type", "any JSON")
    if kind == "array" and "items" in schema:
        return f"list of {_type(schema['items'])}"
    values = schema.get("additionalProperties") or next(
        iter(schema.get("patternProperties", {}).values()), None
    )
    if "patternProperties" in schema:
        values = next(iter(schema["patternProperties"].values()))
    if kind == "object" and isinstance(values, dict):
        return f"map of names to {_type(values)}"
    return _NAMES_OF_TYPES.get(kind, kind)


def _bounds(schema: Schema) -> Iterator[str]:
    for key, words in _BOUNDS:
        if key in _SIZES and schema.get(key) == 1:
            yield "not empty"
        elif key in schema:
            yield words.format(f"{schema[key]:,}".removesuffix(".0"))
    if "pattern" in schema:
        yield f"matches `{schema['pattern']}`"


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _heading(cls: type[Settings]) -> str:
    """Write a class's name as words: `Router settings`."""
    if cls is Settings:
        return "Settings of every component"
    return re.sub(r"(?<=.)([A-Z])", lambda letter: f" {letter[0].lower()}", cls.__name__)


#: What may stand in a page, by its name in the marker.
GENERATED: Final[Mapping[str, Callable[[], str]]] = MappingProxyType(
    {
        "job": job,
        "result": result,
        "problem_codes": problem_codes,
        "catalogue": catalogue,
        "promise": promise,
        "provenance": provenance,
        "result_record": partial(record, ResultRecord),
        "gap_record": partial(record, GapRecord),
        "void_record": partial(record, VoidRecord),
        "pruned_record": partial(record, PrunedRecord),
        "settings": settings,
        "commands": commands,
        "redis_keys": redis_keys,
        "speed": measurements.speed,
        "speed_int8": partial(measurements.table_of, "speed_banking77_int8"),
        "speed_mixed": partial(measurements.table_of, "speed_banking77_mixed"),
        "speed_long": partial(measurements.table_of, "speed_banking77_long"),
        "load": measurements.load,
        "books": measurements.books,
        "capacity": partial(measurements.table_of, "capacity"),
        "redis_calls": partial(measurements.table_of, "redis_calls"),
        "growth": partial(measurements.table_of, "growth"),
        "router_speed": partial(measurements.table_of, "router_speed"),
        "precision": partial(measurements.table_of, "precision"),
        "many_tasks": partial(measurements.table_of, "many_tasks"),
        "latency": partial(measurements.table_of, "latency"),
        "fair_shares": partial(measurements.table_of, "fair_shares"),
        "linear_tier": partial(measurements.table_of, "linear_tier_banking77"),
        "explanations": partial(measurements.table_of, "explanations"),
        "runtimes": partial(measurements.table_of, "slm_runtimes"),
    }
)
