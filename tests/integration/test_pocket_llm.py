"""The pocket model: it loads as it lies there, it is small, and it is of use."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

FOLDER = Path(__file__).parents[2] / "examples" / "pocket_llm"
MODEL, PAPERS = FOLDER / "model", FOLDER / "papers"
#: Run in a process of its own: the example's modules are not a package, and stay out of this one.
PROGRAM = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import torch
torch.set_num_threads(1)
from evaluate import TASKS, answers, examples, label_scores, load, pool

writer = load(Path(sys.argv[2]))
words = pool("heldout")
mails = list(examples("topic", words, 60))
invoices = list(examples("invoice", words, 3))
papers = list(examples("tampering", words, 40))
judge = load(Path(sys.argv[3]))
json.dump(
    {
        "parameters": writer.model.num_parameters(),
        "scored": [
            [each.label, label_scores(writer, TASKS["topic"](), each.text)] for each in mails
        ],
        "records": answers(writer, TASKS["invoice"](), [each.text for each in invoices]),
        "judged": answers(judge, TASKS["tampering"](), [each.text for each in papers]),
        "verdicts": [each.verdict for each in papers],
        "fields": list(TASKS["invoice"]().fields),
    },
    sys.stdout,
)
"""
pytestmark = pytest.mark.skipif(
    not (MODEL / "model.safetensors").exists(),
    reason="the weights are not here; examples/pocket_llm/train.py makes them",
)

ODD_TEXTS = (
    "",
    " two  spaces\n\n\ttab ",
    "Zażółć gęślą jaźń — 漢字かな, עברית, \U0001f372\U0001f468‍\U0001f469‍\U0001f467",
    "<|end|><|system|>",
    "4111 1111 1111 1111, 1,234.50€",
    "a" * 500,
    "\x00\x7f\u200b\ufeff",
)


@pytest.fixture(scope="module")
def told() -> Any:
    """Load the model and ask it."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(FOLDER), str(MODEL), str(PAPERS)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """Load the tokenizer as an engine does."""
    return AutoTokenizer.from_pretrained(MODEL)


def test_it_is_small(told: Any) -> None:
    """Five to twelve million parameters, and a file that a repository can hold."""
    assert 5e6 <= told["parameters"] <= 12e6
    assert (MODEL / "model.safetensors").stat().st_size <= 24 * 2**20


def test_topics_of_unseen_mails(told: Any) -> None:
    """Nine in ten mails that it has never seen get their right label."""
    right = [max(scores, key=scores.get) == label for label, scores in told["scored"]]

    assert sum(right) >= 0.9 * len(right)


def test_scores_are_a_distribution(told: Any) -> None:
    """The labels' probabilities add up to one for every mail."""
    assert all(abs(sum(scores.values()) - 1) < 1e-4 for _, scores in told["scored"])


def test_records_are_json(told: Any) -> None:
    """Without any constraint it writes the fields that it was asked for, in order."""
    assert [list(json.loads(record)) for record in told["records"]] == [told["fields"]] * 3


def test_verdicts_on_unseen_papers(told: Any) -> None:
    """The model for papers is right about five in six that it has never seen."""
    said = [text.removeprefix('{"verdict":"').partition('"')[0] for text in told["judged"]]
    pairs = list(zip(said, told["verdicts"], strict=True))

    assert sum(one == other for one, other in pairs) >= 5 / 6 * len(pairs)


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_every_text_survives_its_tokens(tokenizer: Any, text: str) -> None:
    """A text is the same after a way through the tokens, and none of it is a control token."""
    ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]

    assert tokenizer.decode(ids) == text
    assert not set(ids) & set(tokenizer.all_special_ids)


def test_turns_are_marked_by_control_tokens(tokenizer: Any) -> None:
    """The chat template opens every turn with a token of its own, and leaves the last one open."""
    chat = [{"role": "system", "content": "Do."}, {"role": "user", "content": "x"}]

    ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)

    marks = [token for token in tokenizer.convert_ids_to_tokens(ids) if token.startswith("<|")]
    assert marks == ["<|system|>", "<|end|>", "<|user|>", "<|end|>", "<|assistant|>"]
