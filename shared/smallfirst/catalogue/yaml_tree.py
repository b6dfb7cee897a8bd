"""YAML read as plain data with the line of every key: what a catalogue's error messages point at.

A small and safe part of YAML 1.2: mappings, lists, and the scalars of the core schema, so that a
label `no` is the word and not the boolean. No tags, no repeated keys, one document. Anchors,
aliases and merge keys (`<<`) work, and what they expand to is bounded.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    StreamEndEvent,
)

#: Most values, and characters in them, once aliases are written out; a bomb has billions.
MAX_VALUES, MAX_CHARS = 500_000, 20_000_000
#: Deepest nesting; a catalogue needs nine levels.
MAX_DEPTH = 50

#: Keys and indexes from the outside in.
Place = tuple[str | int, ...]

# libyaml is thirty times faster, and both tell the line of every event.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]{1,18}", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
#: What YAML itself may put before a value without changing its meaning.
_PLAIN_TAGS = frozenset({None, "!", "tag:yaml.org,2002:str"})


class YamlError(Exception):
    """Raised when a text is not the YAML that is read here.

    Attributes:
        line: Counted from 1.
        place: The key concerned, as far as it is known.
        rule: What should be so.
    """

    def __init__(self, line: int, place: Place, rule: str) -> None:
        super().__init__(line, place, rule)
        self.line = line
        self.place = place
        self.rule = rule


@dataclass(frozen=True)
class YamlTree:
    """A document as plain data, and the line of every key and list item, counted from 1."""

    data: Any
    lines: dict[Place, int]

    def line_of(self, place: Place) -> int:
        """Say where a place is; for one that is not in the document, where its parent is."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


@dataclass(frozen=True, slots=True)
class _Scalar:
    line: int
    value: str | int | float | bool | None
    is_plain: bool


@dataclass(frozen=True, slots=True)
class _List:
    line: int
    items: list["_Node"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Map:
    line: int
    pairs: list[tuple[_Scalar, "_Node"]] = field(default_factory=list)


_Node = _Scalar | _List | _Map


def read_yaml(text: str) -> YamlTree:
    """Read one document.

    Raises:
        YamlError: When it is not YAML, or not the part of YAML that is read here.
    """
    try:
        root = _Composer(text).document()
    except yaml.MarkedYAMLError as err:
        mark = err.problem_mark or err.context_mark
        line = mark.line + 1 if mark else 1
        raise YamlError(line, (), f"is not YAML: {err.problem or err.context}") from err
    except yaml.reader.ReaderError as err:
        line = text.count("\n", 0, err.position) + 1
        raise YamlError(line, (), f"is not YAML: {err.reason}") from err
    builder = _Builder()
    return YamlTree(builder.build(root, ()), builder.lines)


class _Composer:
    """Turns the parser's events into nodes; an alias is the node that its anchor names."""

    def __init__(self, text: str) -> None:
        self._events: Iterator[Event] = yaml.parse(text, Loader=_Loader)
        self._anchors: dict[str, _Node] = {}

    def document(self) -> _Node:
        root: _Node | None = None
        for event in self._events:
            if isinstance(event, DocumentStartEvent):
                if root is not None:
                    raise YamlError(_line(event), (), "must be one document; a second begins")
                root = self._node(next(self._events), 0)
            elif isinstance(event, StreamEndEvent):
                break
        if root is None:
            raise YamlError(1, (), "is empty")
        return root

    def _node(self, event: Event, depth: int) -> _Node:
        if depth > MAX_DEPTH:
            raise YamlError(_line(event), (), f"is nested more than {MAX_DEPTH} levels deep")
        if isinstance(event, AliasEvent):
            # An anchor is known once its value is complete, so nothing can contain itself.
            if event.anchor not in self._anchors:
                raise YamlError(_line(event), (), f"no complete value is named &{event.anchor}")
            return self._anchors[event.anchor]
        node = self._fresh_node(event, depth)
        if isinstance(event, NodeEvent) and event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _fresh_node(self, event: Event, depth: int) -> _Node:
        if isinstance(event, ScalarEvent):
            return _scalar(event)
        assert isinstance(event, CollectionStartEvent)
        if event.tag not in {None, "!"}:
            raise YamlError(_line(event), (), f"the tag {event.tag} is not read here")
        if isinstance(event, MappingStartEvent):
            return self._map(event, depth)
        items = _List(_line(event))
        while not isinstance(event := next(self._events), CollectionEndEvent):
            items.items.append(self._node(event, depth + 1))
        return items

    def _map(self, start: Event, depth: int) -> _Map:
        node = _Map(_line(start))
        while not isinstance(event := next(self._events), MappingEndEvent):
            key = self._node(event, depth + 1)
            if not isinstance(key, _Scalar):
                raise YamlError(_line(event), (), "a key must be a plain word or number")
            # Of an aliased key, the line that counts is the one it stands on.
            key = _Scalar(_line(event), key.value, key.is_plain)
            node.pairs.append((key, self._node(next(self._events), depth + 1)))
        return node


def _line(event: Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _scalar(event: ScalarEvent) -> _Scalar:
    line = _line(event)
    if event.tag not in _PLAIN_TAGS:
        raise YamlError(line, (), f"the tag {event.tag} is not read here")
    text: str = event.value
    if not text.isascii() and not _is_unicode(text):
        raise YamlError(line, (), "must be valid Unicode, without lone surrogates")
    is_plain = event.tag is None and bool(event.implicit[0])
    value = _plain_value(text) if is_plain else text
    if isinstance(value, float) and not math.isfinite(value):
        raise YamlError(line, (), "the number is too large")
    return _Scalar(line, value, is_plain)


def _plain_value(text: str) -> str | int | float | bool | None:
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)


class _Builder:
    """Turns nodes into data, aliases written out, and notes the line of every place."""

    def __init__(self) -> None:
        self.lines: dict[Place, int] = {}
        self._num_values = 0
        self._num_chars = 0

    def build(self, node: _Node, place: Place, depth: int = 0) -> Any:
        self._count(node, depth)
        if isinstance(node, _Scalar):
            return node.value
        if isinstance(node, _Map):
            return self._mapping(node, place, depth)
        return [self._item(item, (*place, n), depth + 1) for n, item in enumerate(node.items)]

    def _count(self, node: _Node, depth: int) -> None:
        self._num_values += 1
        if isinstance(node, _Scalar) and isinstance(node.value, str):
            self._num_chars += len(node.value)
        is_large = self._num_values > MAX_VALUES or self._num_chars > MAX_CHARS
        if is_large or depth > MAX_DEPTH:
            raise YamlError(node.line, (), "is too large once its aliases are written out")

    def _item(self, node: _Node, place: Place, depth: int) -> Any:
        self.lines[place] = node.line
        return self.build(node, place, depth)

    def _mapping(self, node: _Map, place: Place, depth: int) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key, value in node.pairs:
            if key.value == "<<" and key.is_plain:
                self._merge(value, place, depth + 1, merged)
                continue
            self._count(key, depth)
            name = _key_text(key, place)
            if name in own:
                first = self.lines[(*place, name)]
                raise YamlError(key.line, (*place, name), f"repeats the key of line {first}")
            self.lines[(*place, name)] = key.line
            own[name] = self.build(value, (*place, name), depth + 1)
        return {**merged, **own}

    def _merge(self, node: _Node, place: Place, depth: int, merged: dict[str, Any]) -> None:
        """Fill in what `<<` offers; of several mappings the first wins, as YAML has it."""
        for offered in node.items if isinstance(node, _List) else [node]:
            self._count(offered, depth)
            if not isinstance(offered, _Map):
                raise YamlError(offered.line, place, "`<<` takes a mapping or a list of them")
            known, self.lines = self.lines, {}
            pairs = self._mapping(offered, place, depth)
            known, self.lines = self.lines, known
            for at, line in known.items():
                self.lines.setdefault(at, line)
            for name, value in pairs.items():
                merged.setdefault(name, value)


def _key_text(key: _Scalar, place: Place) -> str:
    if isinstance(key.value, str):
        return key.value
    shown = "null" if key.value is None else str(key.value).lower()
    raise YamlError(key.line, place, f"the key {shown} must be a word; put it in quotes")
