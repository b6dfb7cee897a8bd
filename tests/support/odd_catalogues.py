"""Real catalogues with a few things changed: dropped, retyped, renamed, moved, blown up.

Changes know the structure, so that most of what comes out is read far before it is refused.
"""

import copy
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
SOURCES = tuple(sorted((ROOT / "examples").glob("*/catalogue.yaml")))
SMALL = """
version: 1
pools:
  cpu: {tier: slm, max_parameters: 50M}
  gpu: {tier: llm, max_parameters: 8B}
  away: {tier: llm, remote: true}
models:
  minilm: {source: "bundled:minilm"}
  own: {source: ./own, parameters: 1M, max_tokens: 64, pooling: cls, precision: float32}
  large: {tier: llm, source: ./large, parameters: 1B, adapters: {law: ./law}}
  far: {tier: llm, source: gpt, endpoint: "http://127.0.0.1:8000/v1", max_concurrency: 4}
tasks:
  course:
    kind: classify
    labels: {soup: Soups., salad: Salads.}
    examples:
      - {text: a broth, label: soup}
      - {text: a cream, label: soup}
      - {text: leaves, label: salad}
      - {text: herbs, label: salad}
    cascade:
      - {rule: {patterns: [{label: soup, pattern: bro+th, check: luhn}]}, accept: match}
      - {model: minilm, accept: 0.9}
      - {model: large, vote: 3, think: {tokens: 64}, adapter: law}
  who:
    kind: tag
    labels: {person: A name., email: An address.}
    examples: [{text: Ann went, spans: [{start: 0, end: 3, label: person}]}]
    cascade: [{rule: {find: [email]}, accept: never}, {model: own}]
  facts:
    kind: extract
    fields: {total: {type: number, description: The sum.}, day: {type: date}}
    cascade: [{model: far, accept: 0.5}]
  fair: {kind: judge, question: "Is it fair?", cascade: [{model: far}]}
  near: {kind: embed, cascade: [{model: minilm}]}
  reply: {kind: generate, instructions: Be kind., max_answer_tokens: 50, cascade: [{model: far}]}
"""
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**63, 10**30, 0.5, 1e308, -0.0, 60),
    *("", " ", "\0", "\u200b", "é", "e\u0301", "👩‍👩‍👧", "\u202ex", "a" * 5000, "(" * 300, "*"),
    *("never", "always", "calibrated", "bundled:minilm", "bundled:", "owner/name", "./", "~", "~x"),
    *("50M", "NaN", "1_000", "2026-02-30", "yes", "no", "<<", "&a", "!!python/name:os.system"),
    *([], {}, [[]], [None], {"": ""}, {"a": {"a": {}}}, [{}], {"rule": {}, "model": "minilm"}),
)


def read_sources() -> tuple[Any, ...]:
    """The trees that changes begin from, all of which are served."""
    trees = [_with_files(yaml.safe_load(path.read_text("utf-8")), path) for path in SOURCES]
    return (yaml.safe_load(SMALL), *filter(None, trees))


def _with_files(tree: Any, path: Path) -> Any:
    """A tree whose files are found from elsewhere; None where its examples are not here."""
    for model in tree["models"].values():
        if model["source"].startswith(("./", "../")):
            model["source"] = str(path.parent / model["source"])
    for task in tree["tasks"].values():
        if isinstance(task.get("examples"), str):
            task["examples"] = str(path.parent / task["examples"])
            if not Path(task["examples"]).is_file():
                return None
    return tree


def odd_catalogue(chance: random.Random, sources: tuple[Any, ...]) -> Any:
    """One tree with up to four changes."""
    tree = copy.deepcopy(chance.choice(sources))
    for _ in range(chance.randint(1, 4)):
        holder = chance.choice(_holders(tree))
        if holder:
            chance.choice(_CHANGES)(chance, holder, tree)
    return tree


def as_bytes(chance: random.Random, tree: Any) -> bytes:
    """The tree as its author might have written it: YAML, or JSON, which is YAML too."""
    if chance.random() < 0.5:
        return json.dumps(tree).encode()
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True).encode("utf-8", "replace")


def _holders(tree: Any) -> list[Any]:
    """Every mapping and list of a tree."""
    found, ahead = [], [tree]
    while ahead:
        here = ahead.pop()
        if isinstance(here, dict | list):
            found.append(here)
            ahead += here.values() if isinstance(here, dict) else here
    return found


def _place(chance: random.Random, holder: Any) -> Any:
    return chance.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))


def _drop(chance: random.Random, holder: Any, _tree: Any) -> None:
    del holder[_place(chance, holder)]


def _retype(chance: random.Random, holder: Any, _tree: Any) -> None:
    holder[_place(chance, holder)] = copy.deepcopy(chance.choice(ODD))


def _rename(chance: random.Random, holder: Any, tree: Any) -> None:
    """Give a key another name: of the tree, nearly its own, or an odd one."""
    if not isinstance(holder, dict):
        return
    key = _place(chance, holder)
    known = [name for each in _holders(tree) if isinstance(each, dict) for name in each]
    odd = [str(each) for each in ODD if isinstance(each, str)]
    holder[chance.choice([*known, str(key)[:-1], str(key).upper(), *odd])] = holder.pop(key)


def _move(chance: random.Random, holder: Any, tree: Any) -> None:
    """Put another part of the tree where one stands."""
    part = copy.deepcopy(chance.choice(_holders(tree)))
    holder[_place(chance, holder)] = part


def _double(chance: random.Random, holder: Any, _tree: Any) -> None:
    """Say something again, under a name beside it, or many times."""
    place = _place(chance, holder)
    if isinstance(holder, dict):
        holder[f"{place}2"] = copy.deepcopy(holder[place])
    else:
        holder += [copy.deepcopy(holder[place]) for _ in range(chance.choice((1, 70)))]


def _nest(chance: random.Random, holder: Any, _tree: Any) -> None:
    place = _place(chance, holder)
    value = holder[place]
    for _ in range(chance.choice((1, 5, 60))):
        value = [value] if chance.random() < 0.5 else {"x": value}
    holder[place] = value


_CHANGES: tuple[Callable[[random.Random, Any, Any], None], ...] = (
    _drop,
    _retype,
    _retype,
    _rename,
    _move,
    _double,
    _nest,
)
