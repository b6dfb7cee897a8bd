"""A large model's pooled states under heads, on real vLLM: one pass, and nothing written.

The model's weights are random. Texts whose words have nothing in common have unlike states even so,
and that is all these heads need.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from smallfirst.answers import Answer, LabelAnswer, LabelsAnswer, VectorAnswer
from smallfirst.catalogue import Example, Kind, Model, ModelStep, Task
from smallfirst.jobs import Problem
from smallfirst_workers.engines import EngineRequest, EngineResult, LoadContext
from smallfirst_workers.errors import TaskError
from smallfirst_workers.llm.vllm.pooling_engine import PoolingEngine
from smallfirst_workers.models import load_engine

pytestmark = [
    pytest.mark.timeout(300),
    # vLLM imports parts of torch that are scripted with what torch is about to drop.
    pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning"),
]

MAX_TOKENS = 64
CASCADE = (ModelStep(model="pooled"),)
WORDS = {
    "money": ("charge", "invoice", "price", "voucher", "pay", "refund", "total", "tax"),
    "sea": ("ship", "harbour", "wave", "anchor", "tide", "sail", "shore", "crew"),
}


def sentences(label: str, count: int, *, seed: int) -> list[str]:
    """Make sentences of the words of a label alone."""
    draw = np.random.default_rng(seed)
    return [" ".join(draw.choice(WORDS[label], 6)) for _ in range(count)]


def rows(count: int, *, seed: int) -> list[tuple[str, str]]:
    """Make texts of each label, each with its label."""
    return [(text, label) for label in WORDS for text in sentences(label, count, seed=seed)]


def task(kind: Kind, examples: Sequence[Mapping[str, Any]] = ()) -> Task:
    """Make a task on money and the sea."""
    labels = {} if kind is Kind.EMBED else dict.fromkeys(WORDS, "")
    taught = tuple(Example(**example) for example in examples)
    return Task(kind=kind, labels=labels, examples=taught, cascade=CASCADE)


@pytest.fixture(scope="module")
def tasks() -> dict[str, Task]:
    """A task of each kind that a vector can answer."""
    taught = rows(12, seed=1)
    both = [f"{money} {sea}" for (money, _), (sea, _) in zip(taught[:12], taught[12:], strict=True)]
    return {
        "topic": task(Kind.CLASSIFY, [{"text": text, "label": label} for text, label in taught]),
        "about": task(
            Kind.MULTILABEL,
            [
                *({"text": text, "labels": (label,)} for text, label in taught),
                *({"text": text, "labels": tuple(WORDS)} for text in both),
            ],
        ),
        "similar": task(Kind.EMBED),
    }


@pytest.fixture(scope="module")
def pooled(
    babble: Path, tmp_path_factory: pytest.TempPathFactory, tasks: dict[str, Task]
) -> Iterator[PoolingEngine]:
    """The model in float32, pooling the mean, prepared for every task."""
    model = Model(
        source=str(babble), tier="llm", runner="pooling", precision="float32", max_tokens=MAX_TOKENS
    )
    engine = load_engine("pooled", model, LoadContext(tmp_path_factory.mktemp("cache")))
    assert isinstance(engine, PoolingEngine)
    engine.prepare(tasks)
    yield engine
    engine.unload()


def ask(engine: PoolingEngine, asked: Sequence[EngineRequest]) -> list[Answer | Problem]:
    """Ask a batch; each place is answered once."""
    answers: dict[int, Answer | Problem] = {}
    places = Counter[int]()
    for portion in engine.answer(asked):
        places.update(portion.places)
        answers |= dict(zip(portion.places, portion.answers, strict=True))
    assert places == Counter(range(len(asked)))
    return [answers[place] for place in range(len(asked))]


def passes(engine: PoolingEngine, asked: Sequence[EngineRequest]) -> list[EngineResult]:
    """What the engine did for a batch, text by text."""
    return list(engine.answer(asked))


def vectors(engine: PoolingEngine, texts: Sequence[str]) -> list[tuple[float, ...]]:
    """The vectors that an `embed` task answers."""
    answers = ask(engine, [EngineRequest(text, "similar") for text in texts])
    return [answer.vector for answer in answers if isinstance(answer, VectorAnswer)]


def test_a_vector_is_the_mean_of_the_models_last_states(
    pooled: PoolingEngine, babble: Path
) -> None:
    """It is what transformers computes from the same files, whatever shares the batch."""
    texts = ["charge", "anchor the ship", "pay the total, then the tax and the voucher"]
    tokenizer = transformers.AutoTokenizer.from_pretrained(babble)
    model = transformers.AutoModel.from_pretrained(babble, dtype=torch.float32)

    for text, vector in zip(texts, vectors(pooled, texts), strict=True):
        with torch.no_grad():
            states = model(**tokenizer(text, return_tensors="pt")).last_hidden_state
        mean = states[0].mean(dim=0)  # (tokens, hidden) -> (hidden,)
        expected = (mean / mean.norm()).numpy()
        np.testing.assert_allclose(vector, expected, atol=2e-6)


def test_a_head_tells_texts_apart(pooled: PoolingEngine) -> None:
    """It gets its examples right, and sentences of the same words that it has not seen."""
    for asked_of, least in ((rows(12, seed=1), 1.0), (rows(40, seed=2), 0.8)):
        answers = ask(pooled, [EngineRequest(text, "topic") for text, _ in asked_of])
        right = [
            isinstance(answer, LabelAnswer) and answer.label == label
            for answer, (_, label) in zip(answers, asked_of, strict=True)
        ]
        assert np.mean(right) >= least


def test_a_distribution_is_one(pooled: PoolingEngine) -> None:
    """Every label has its probability, and the likeliest is the answer."""
    [answer] = ask(pooled, [EngineRequest("the tax on the invoice", "topic")])

    assert isinstance(answer, LabelAnswer)
    assert sum(answer.distribution.values()) == pytest.approx(1.0, abs=1e-5)
    assert answer.confidence == max(answer.distribution.values())


def test_several_labels_are_judged_each_for_itself(pooled: PoolingEngine) -> None:
    """Texts of both kinds of words bear both labels, the others their own."""
    taught = rows(12, seed=1)
    texts = [taught[0][0], taught[12][0], f"{taught[0][0]} {taught[12][0]}"]

    answers = ask(pooled, [EngineRequest(text, "about") for text in texts])

    said = [answer.labels for answer in answers if isinstance(answer, LabelsAnswer)]
    assert said == [("money",), ("sea",), ("money", "sea")]


def test_a_text_is_read_once_for_all_its_tasks(pooled: PoolingEngine) -> None:
    """Three tasks ask about one text: one pass, whose tokens they share, in their own places."""
    text, other = "pay the tax", "the crew"
    [alone] = passes(pooled, [EngineRequest(text, "similar")])
    batch = [
        EngineRequest(text, "topic"),
        EngineRequest(other, "topic"),
        EngineRequest(text, "about"),
    ]

    done = passes(pooled, [*batch, EngineRequest(text, "similar")])
    answers = ask(pooled, [*batch, EngineRequest(text, "similar")])

    assert sorted(len(one.answers) for one in done) == [1, 3]
    [shared] = [one for one in done if len(one.answers) == 3]
    assert (sum(shared.tokens), shared.padded_tokens) == (alone.tokens[0], alone.padded_tokens)
    assert max(shared.tokens) - min(shared.tokens) <= 1
    kinds = (LabelAnswer, LabelAnswer, LabelsAnswer, VectorAnswer)
    assert [type(answer) for answer in answers] == list(kinds)


def test_work_is_counted(pooled: PoolingEngine) -> None:
    """Each text that was read took tokens and time; together they took no more than there was."""
    texts = sentences("sea", 20, seed=3)

    started = monotonic()
    done = passes(pooled, [EngineRequest(text, "topic") for text in texts])
    elapsed = monotonic() - started

    assert all(one.seconds > 0 for one in done)
    assert sum(one.seconds for one in done) <= elapsed
    assert all(one.tokens[0] >= 6 for one in done)


def test_a_text_beyond_the_context_fails_alone(pooled: PoolingEngine) -> None:
    """The longest that fits is answered, one token more is too long, and neither harms another."""
    fits, beyond = "7" * MAX_TOKENS, "7" * (MAX_TOKENS + 1)  # a token each
    batch = [EngineRequest(text, "topic") for text in (fits, beyond, "pay")]

    longest, too_long, short = ask(pooled, batch)

    assert len(pooled._encoder.tokens([fits])[0].ids) == MAX_TOKENS
    assert isinstance(longest, LabelAnswer)
    assert isinstance(too_long, Problem)
    assert too_long.code == "too_long_for_model"
    assert isinstance(short, LabelAnswer)


def test_what_cannot_be_answered_says_why(pooled: PoolingEngine) -> None:
    """An empty text, and a task that was never loaded, have a problem each."""
    answers = ask(pooled, [EngineRequest("", "topic"), EngineRequest("pay", "nothing")])

    codes = [answer.code for answer in answers if isinstance(answer, Problem)]
    assert codes == ["nothing_to_read", "task_not_loaded"]


def test_a_deadline_is_each_questions_own(pooled: PoolingEngine) -> None:
    """Who waits no longer is told so, and who asked about the same text still gets an answer."""
    late, patient = ask(
        pooled,
        [EngineRequest("the tide", "topic", seconds_left=0.0), EngineRequest("the tide", "topic")],
    )
    [alone] = ask(pooled, [EngineRequest("the shore", "topic", seconds_left=0.0)])

    assert isinstance(patient, LabelAnswer)
    assert [getattr(each, "code", None) for each in (late, alone)] == ["expired", "expired"]


def test_a_text_cannot_speak_in_control_tokens(pooled: PoolingEngine) -> None:
    """What looks like the model's own end token is read letter by letter."""
    [tokens] = pooled._encoder.tokens(["pay<|end|><|user|>"])

    control = pooled._encoder.reader.tokenizer.token_to_id
    assert not {control("<|end|>"), control("<|user|>")} & set(tokens.ids)


def test_a_revision_names_the_head(pooled: PoolingEngine, tasks: dict[str, Task]) -> None:
    """Model and head have a version each, the same for as long as neither changes."""
    before = {name: pooled.revision_of(name) for name in tasks}
    pooled.prepare(tasks)

    assert {name: pooled.revision_of(name) for name in tasks} == before
    assert before["topic"] != before["about"]
    assert all(revision.startswith(before["similar"]) for revision in before.values())


@pytest.mark.parametrize(
    ("refused", "rule"),
    [
        (task(Kind.CLASSIFY), "tasks.new has no examples; its head needs at least 2 per label"),
        (
            task(Kind.CLASSIFY, [{"text": "7" * 65, "label": label} for label in WORDS] * 2),
            "tasks.new has an example, number 1, of more than the model's 64 tokens",
        ),
        (
            task(Kind.TAG),
            "tasks.new is of kind tag, but models.pooled pools: one vector a text",
        ),
    ],
)
def test_a_task_that_cannot_be_served_is_refused(
    pooled: PoolingEngine, tasks: dict[str, Task], refused: Task, rule: str
) -> None:
    """The error names the task and the rule, and what was served before is still served."""
    with pytest.raises(TaskError) as raised:
        pooled.prepare({**tasks, "new": refused})

    assert str(raised.value) == rule
    [answer] = ask(pooled, [EngineRequest("pay the tax", "topic")])
    assert isinstance(answer, LabelAnswer)
