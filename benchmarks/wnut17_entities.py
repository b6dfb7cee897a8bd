"""Entity F1 of WNUT17 as its shared task counts it, and what keeps a model from more."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rows import entities, token_places

from smallfirst.answers import Span, SpansAnswer
from smallfirst_workers.encoding.words import Tag, find_words, join_words, label_words

#: An entity: first token, last token, label.
Entity = tuple[int, int, str]


def entity_tables(data: Path, rows: Any, answers: Sequence[Any]) -> str:
    """Score answers to the test rows: first token, last token and label must all be right."""
    path = data / "wnut17" / "test.jsonl"
    raw = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    gold = [set(entities(row["tags"])) for row in raw]
    said = [
        _entities_of(row["tokens"], answer.spans if isinstance(answer, SpansAnswer) else ())
        for row, answer in zip(raw, answers, strict=True)
    ]
    best = [_best(row, source) for row, source in zip(rows, raw, strict=True)]
    lines = ["| label | F1 | precision | recall | entities |", "|---|---|---|---|---|"]
    for label in (None, *sorted({entity[2] for one in gold for entity in one})):
        f1, precision, recall, count = _scores(gold, said, label)
        name = label or "**all**"
        lines.append(f"| {name} | {f1:.2%} | {precision:.2%} | {recall:.2%} | {count} |")
    limits = _limits(data, raw, gold, said, _scores(gold, best, None)[0])
    return "\n".join([*lines, "", *limits])


def _limits(data: Path, raw: Any, gold: Any, said: Any, best: float) -> Iterator[str]:
    """Say what stands in the way."""
    path = data / "wnut17" / "train.jsonl"
    train = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    known = {_surface(row, entity) for row in train for entity in entities(row["tags"])}
    pairs = [(row, entity) for row, one in zip(raw, gold, strict=True) for entity in one]
    seen = sum(_surface(row, entity) in known for row, entity in pairs) / len(pairs)
    fates = Counter(
        _fate(entity, found) for one, found in zip(gold, said, strict=True) for entity in one
    )
    shares = ", ".join(f"{fate} {count / len(pairs):.0%}" for fate, count in fates.most_common())
    yield "The shared task's best system had 41.86 (Derczynski et al. 2017)."
    yield ""
    yield "What limits it:"
    yield ""
    yield f"- of the entities to be found: {shares};"
    yield f"- {seen:.1%} of them stand in the training part: these are names nobody has met;"
    yield "- the encoder was pretrained without capital letters; `--keep-case` teaches it them from"
    yield "  these few rows alone;"
    yield f"- one label a word costs little: with every word's label right, F1 is {best:.1%}."


def _fate(entity: Entity, found: set[Entity]) -> str:
    """What became of an entity that was to be found."""
    first, last, label = entity
    said = {one[:2]: one[2] for one in found}.get((first, last))
    if said is not None:
        return "found" if said == label else "wrong label"
    touched = any(start <= last and first <= end for start, end, _ in found)
    return "wrong borders" if touched else "missed"


def _surface(row: Any, entity: Entity) -> str:
    return " ".join(row["tokens"][entity[0] : entity[1] + 1]).lower()


def _entities_of(tokens: Sequence[str], spans: Sequence[Span]) -> set[Entity]:
    """Turn spans of characters into spans of the data set's own tokens."""
    found = set()
    places = token_places(tokens)
    for span in spans:
        inside = [
            number
            for number, (start, end) in enumerate(places)
            if 2 * (min(end, span.end) - max(start, span.start)) >= end - start
        ]
        if inside:
            found.add((inside[0], inside[-1], span.label))
    return found


def _best(row: Any, source: Any) -> set[Entity]:
    """What the engine would say if it were right about every word."""
    words = find_words(row["text"])
    labels = label_words(words, [Span(**span) for span in row["spans"]])
    tags = [Tag(label, 1.0) for label in labels]
    return _entities_of(source["tokens"], join_words(row["text"], words, tags))


def _scores(
    gold: Sequence[set[Entity]], said: Sequence[set[Entity]], label: str | None
) -> tuple[float, float, float, int]:
    """F1, precision, recall and number of entities, of one label or of all."""
    hits = found = wanted = 0
    for right, given in zip(gold, said, strict=True):
        own = [{e for e in one if label in {None, e[2]}} for one in (right, given)]
        hits += len(own[0] & own[1])
        wanted, found = wanted + len(own[0]), found + len(own[1])
    precision, recall = hits / max(1, found), hits / max(1, wanted)
    return 2 * hits / max(1, found + wanted), precision, recall, wanted
