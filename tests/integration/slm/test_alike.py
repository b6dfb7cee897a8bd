"""Laws of the rows that a head's answer says a text is like."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from smallfirst.answers import MOST_ALIKE, LabelAnswer, LabelsAnswer, LikeExample
from smallfirst.catalogue import Task
from smallfirst.catalogue.likeness import text_key
from smallfirst.provenance.row_vectors import ROW_VECTORS, forget_rows
from smallfirst.step_options import StepOptions
from smallfirst_workers.engines import EngineRequest
from smallfirst_workers.heads.fitting import folder_of
from smallfirst_workers.slm.engine import SlmEngine

EXACTLY = StepOptions(models=("minilm",))
TEXT = "Hello there, my card has still not arrived, can you help?"


def alike_of(engine: SlmEngine, task: str, text: str) -> tuple[LikeExample, ...]:
    """The rows that an explained answer names."""
    [answer] = engine.run([EngineRequest(text, task, explain=True)]).answers
    assert isinstance(answer, LabelAnswer | LabelsAnswer)
    assert answer.explanation is not None
    return answer.explanation.alike


@pytest.fixture
def fresh(load: Callable[..., SlmEngine], tasks: Mapping[str, Task], tmp_path: Path) -> SlmEngine:
    """An engine with a head of its own, whose examples bear ids."""
    engine, topic = load(), tasks["topic"]
    own = topic.examples[0].model_copy(update={"text": f"my card is in {tmp_path.name}"})
    named = [
        each.model_copy(update={"id": f"mail-{number}"})
        for number, each in enumerate((*topic.examples, own), start=1)
    ]
    engine.prepare({"topic": topic.model_copy(update={"examples": tuple(named)})})
    return engine


def file_of(engine: SlmEngine, cache: Path) -> Path:
    """Where the rows of the topic's head are kept."""
    head = engine.head_of("topic", EXACTLY)
    assert head is not None
    return folder_of(head.key, cache) / ROW_VECTORS


def test_the_rows_nearest_to_a_text_are_named(engine: SlmEngine, tasks: Mapping[str, Task]) -> None:
    """Those with the largest cosine of what the encoder makes of both, each read by itself."""
    examples = tasks["topic"].examples
    states, _ = engine.encoder.read(
        [TEXT, *(each.text for each in examples)], wants_words=[False] * (1 + len(examples))
    )
    vectors = np.stack([each.vector / np.linalg.norm(each.vector) for each in states])
    cosines = vectors[1:] @ vectors[0]
    found = alike_of(engine, "topic", TEXT)
    best = np.argsort(-cosines)[:MOST_ALIKE].tolist()
    assert [each.number for each in found] == [place + 1 for place in best]
    assert [each.likeness for each in found] == pytest.approx(cosines[best].tolist(), abs=0.01)
    assert [each.labels for each in found] == [(examples[place].label,) for place in best]
    assert [each.key for each in found] == [text_key(examples[place].text) for place in best]


@pytest.mark.parametrize("options", [StepOptions(), EXACTLY], ids=["chosen", "head"])
def test_a_row_is_most_like_itself(
    engine: SlmEngine, tasks: Mapping[str, Task], options: StepOptions
) -> None:
    """Whatever answers of what the examples made, and where several labels hold too."""
    for name in ("topic", "about") if options == StepOptions() else ("topic",):
        for number, example in enumerate(tasks[name].examples, start=1):
            asked = EngineRequest(example.text, name, options, explain=True)
            [answer] = engine.run([asked]).answers
            assert isinstance(answer, LabelAnswer | LabelsAnswer)
            assert answer.explanation is not None
            assert answer.explanation.alike[0].number == number
            assert answer.explanation.alike[0].likeness == pytest.approx(1.0, abs=0.01)


def test_only_who_asks_is_told(engine: SlmEngine) -> None:
    """The answer beside it in the batch names none, and reads no file."""
    told, plain = engine.run(
        [EngineRequest(TEXT, "topic", explain=True), EngineRequest(TEXT, "topic")]
    ).answers
    assert isinstance(told, LabelAnswer)
    assert isinstance(plain, LabelAnswer)
    assert told.explanation is not None
    assert told.explanation.alike
    assert plain.explanation is None


def test_what_is_explained_by_leaving_out_names_rows_too(
    load: Callable[..., SlmEngine], tasks: Mapping[str, Task]
) -> None:
    """A head on a first token's state has rows of its own, as that encoder sees them."""
    engine = load(pooling="cls")
    engine.prepare({"topic": tasks["topic"]})
    first, *_ = alike_of(engine, "topic", tasks["topic"].examples[3].text)
    assert (first.number, first.labels) == (4, (tasks["topic"].examples[3].label,))


def test_a_row_that_is_forgotten_is_named_no_more(fresh: SlmEngine, cache: Path) -> None:
    """At once, in a worker that runs on; the answer and its revision are as they were."""
    revision, path = fresh.revision_of("topic"), file_of(fresh, cache)
    first, *_ = alike_of(fresh, "topic", TEXT)
    assert "mail-" not in path.read_text()
    assert forget_rows(path, {f"mail-{first.number}"}) == 1
    assert first.number not in {each.number for each in alike_of(fresh, "topic", TEXT)}
    assert fresh.revision_of("topic") == revision
    assert forget_rows(path, {f"mail-{first.number}"}) == 0


@pytest.mark.parametrize("content", [None, "", "{}\n", "[1\n", '{"number": 0}\n'])
def test_nothing_is_made_up(fresh: SlmEngine, cache: Path, content: str | None) -> None:
    """A head of an earlier version, or with a broken file, answers and names no rows."""
    path = file_of(fresh, cache)
    path.unlink()
    if content is not None:
        path.write_text(content)
    with capture_logs() as logs:
        assert alike_of(fresh, "topic", TEXT) == ()
        assert alike_of(fresh, "topic", TEXT) == ()
    told = [each for each in logs if each["event"] == "taught_rows.unreadable"]
    assert len(told) == bool(content)


def test_rows_of_another_width_are_not_compared(fresh: SlmEngine, cache: Path) -> None:
    """They were made by another encoder."""
    path = file_of(fresh, cache)
    line = path.read_text().splitlines()[0]
    head, _, rest = line.partition('"vector": "')
    path.write_text(f'{head}"vector": "{rest[:8]}"}}\n')
    assert alike_of(fresh, "topic", TEXT) == ()
