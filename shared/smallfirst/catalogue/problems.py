"""Pydantic's complaints about a catalogue, said to its author: line, dotted key, rule, nearest key.

A value of the catalogue may be quoted, as it is configuration; a text of an example never is.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError
from pydantic_core import ErrorDetails

from smallfirst.catalogue import PROBLEMS, Place, place_text
from smallfirst.catalogue.yaml_tree import YamlTree
from smallfirst.errors import CatalogueProblem
from smallfirst.jobs import Name
from smallfirst.wording import did_you_mean, nearest, plain_rule

_NAME_PATTERN = get_args(Name)[1].pattern
_NAME_RULE = "lower-case letters, digits, _ and -, the first a letter, at most 64"


def problems_of(
    err: ValidationError,
    model: type[BaseModel],
    tree: YamlTree | None = None,
    path: Path | None = None,
) -> list[CatalogueProblem]:
    """Turn one failed validation into problems, in the order of the file.

    Args:
        err: Of validating the tree's data as JSON.
        model: What it was validated against.
        tree: The data, with the line of every key.
        path: The file it came from.
    """
    details = err.errors(include_url=False)
    problems = [
        CatalogueProblem(path, tree.line_of(place) if tree else None, place_text(place), rule)
        for place, rule in _complaints(details, model, tree)
    ]
    return sorted(problems, key=lambda problem: problem.line or 0)


def _complaints(
    details: list[ErrorDetails], model: type[BaseModel], tree: YamlTree | None
) -> Iterator[tuple[Place, str]]:
    meant = _meant_keys(details, model)
    places = [detail["loc"] for detail in details]
    for detail in details:
        kind, place = detail["type"], detail["loc"]
        plain = without_tags(model, place)
        if kind == PROBLEMS:
            yield from ((plain + inner, rule) for inner, rule in detail["ctx"]["problems"])
        elif kind == "extra_forbidden":
            near = did_you_mean(str(place[-1]), known_keys(model, place[:-1]))
            yield plain, f"unknown key {place[-1]!r}{near}"
        # A key that was meant and misspelt is told of once; a list whose items are wrong counts
        # as empty, and only its items are to blame.
        elif place not in meant and not (kind == "too_short" and _holds(place, places)):
            yield _in_tree(plain, tree, is_missing=kind == "missing"), _rule(detail)


def _meant_keys(details: list[ErrorDetails], model: type[BaseModel]) -> set[Place]:
    """Find the keys that unknown keys were most likely meant for."""
    unknown = [detail["loc"] for detail in details if detail["type"] == "extra_forbidden"]
    near = {place: nearest(str(place[-1]), known_keys(model, place[:-1])) for place in unknown}
    missing = {detail["loc"] for detail in details if detail["type"] == "missing"}
    return missing & {(*place[:-1], key) for place, key in near.items() if key}


def _holds(place: Place, places: list[Place]) -> bool:
    return any(len(other) > len(place) and other[: len(place)] == place for other in places)


def _in_tree(place: Place, tree: YamlTree | None, *, is_missing: bool) -> Place:
    """Cut off what pydantic adds behind a key: `[key]`, and the branch of a union."""
    if tree is None or is_missing:
        return place
    while place and place not in tree.lines:
        place = place[:-1]
    return place


def _rule(detail: ErrorDetails) -> str:
    context: Mapping[str, Any] = detail.get("ctx", {})
    if context.get("pattern") == _NAME_PATTERN:
        return f"the name {str(detail['input'])[:80]!r} must be {_NAME_RULE}"
    if detail["loc"][-1:] == ("labels",) and detail["type"] == "dict_type":
        return _rule_of_labels(detail["input"])
    return plain_rule(detail)


def _rule_of_labels(written: object) -> str:
    """Show how labels are written, by the ones that stand there."""
    words = [each for each in written if isinstance(each, str)] if isinstance(written, list) else []
    pairs = ", ".join(f"{word[:40]}: what {word[:40]} means" for word in words[:2] or ["soup"])
    more = ", …" if len(words) > 2 else ""
    return f"must be a mapping, each label with a description: {{{pairs}{more}}}"


def known_keys(model: type[BaseModel], place: Place) -> tuple[str, ...]:
    """List the keys that may stand at a place of the model's data; none where any may, or none."""
    found: Any = model
    for part in place:
        found = _below(_bare(found), part)
    found = _bare(found)
    return tuple(found.model_fields) if _is_model(found) else ()


def without_tags(model: type[BaseModel], place: Place) -> Place:
    """Leave out the tags of unions: pydantic names them in a place, and the file does not."""
    found: Any = model
    kept: list[str | int] = []
    for part in place:
        bare = _bare(found)
        if part not in _members(bare):
            kept.append(part)
        found = _below(bare, part)
    return tuple(kept)


def _below(annotation: Any, part: str | int) -> Any:
    if _is_model(annotation):
        field = annotation.model_fields.get(part)
        return field.annotation if field else None
    if members := _members(annotation):
        return members.get(part)
    if get_origin(annotation) is dict:
        return get_args(annotation)[1]
    return get_args(annotation)[0] if get_origin(annotation) is tuple else None


def _members(annotation: Any) -> Mapping[str | int, Any]:
    """The members of a union by their tags; none where it is no such union."""
    if get_origin(annotation) not in {Union, UnionType}:
        return {}
    tagged = [(tag, each) for each in get_args(annotation) for tag in get_args(each)[1:]]
    return {tag.tag: each for tag, each in tagged if isinstance(tag, Tag)}


def _bare(annotation: Any) -> Any:
    """Unwrap `X | None` and `Annotated[X, …]`, as far as a union by tags."""
    while get_args(annotation) and get_origin(annotation) not in {dict, tuple}:
        if _members(annotation):
            return annotation
        annotation = get_args(annotation)[0]
    return annotation


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
