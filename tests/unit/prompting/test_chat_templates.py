"""Chat templates of the field: each model is told its instructions, and is known by its ends."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.support.chat_templates import (
    CHATML,
    DEEPSEEK_3,
    FAMILIES,
    GEMMA_3,
    GPT_OSS,
    LLAMA_3,
    MISTRAL_3,
    QWEN_3,
    Family,
    tokenizer_of,
)
from tests.support.written_answers import pieced

from smallfirst.catalogue import Task
from smallfirst.kinds.completions import Completion
from smallfirst.step_options import StepOptions
from smallfirst_workers.errors import TaskError
from smallfirst_workers.prompting.chat_template import ChatTemplate
from smallfirst_workers.prompting.end_tokens import declared_ends
from smallfirst_workers.prompting.prompter import Prompter

TASK = Task.model_validate(
    {
        "kind": "classify",
        "labels": {"up": "It rose.", "down": ""},
        "instructions": "  Look at the last line.\n",
        "examples": [{"text": "More.", "label": "up"}],
        "cascade": [{"model": "m"}],
    }
)
THINKING = StepOptions(think_tokens=20)


@cache
def tokenizer(family: Family) -> Any:
    """Share one tokenizer of a family among the tests; it is not changed."""
    return family.tokenizer()


def prompter(family: Family) -> Prompter:
    """Wrap a family's tokenizer, with the end tokens that its files declare."""
    ends = tokenizer(family).convert_tokens_to_ids(list(family.declared))
    return Prompter(
        "m", tokenizer(family), max_tokens=2048, embed=lambda: None, ends=[int(e) for e in ends]
    )


def asked(family: Family, options: StepOptions | None = None) -> str:
    """Write the whole prompt for a text, up to where the model answers."""
    asking = prompter(family)
    prompt = asking.prepare("t", TASK)
    text = asking.text_tokens("It fell.")
    tokens = asking.around(prompt, text, options=options or StepOptions())
    return str(tokenizer(family).decode(tokens))


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> Family:
    """Each of the families in turn."""
    return FAMILIES[request.param]


def test_an_answer_ends_as_the_models_turns_do(family: Family) -> None:
    """What ends a turn, what the files declare, and the tokenizer's own end: each once."""
    ends = prompter(family).ends

    assert tuple(tokenizer(family).convert_ids_to_tokens(ends)) == family.ends


def test_a_label_is_scored_with_every_end(family: Family) -> None:
    """A label's path ends with the end of a turn, and every other end may stand there too."""
    tree = prompter(family).prepare("t", TASK).labels

    assert tree is not None
    assert [tokenizer(family).decode(path) for path in tree.paths] == [
        f"{label}{family.ends[0]}" for label in ("up", "down")
    ]
    assert all(set(tree.branches[path[:-1]]) >= set(tree.ends) for path in tree.paths)


def test_every_model_is_told_its_instructions(family: Family) -> None:
    """They stand there once, before the text; so do the example and the fences."""
    prompt = asked(family)

    told = ["answer with exactly one of the labels", "Look at the last line.", "- up: It rose."]
    assert [prompt.count(words) for words in told] == [1, 1, 1]
    assert prompt.index(told[1]) < prompt.index("It fell.")
    assert prompt.count("More.") == 1
    assert prompt.count("<text>\n") == prompt.count("\n</text>") == 2


def test_instructions_stand_in_the_users_turn_where_there_is_no_other(family: Family) -> None:
    """A template that refuses or drops a system turn never sees one."""
    template = ChatTemplate(tokenizer(family))

    assert template.takes_instructions is family.takes_instructions


def test_a_text_cannot_end_an_answer() -> None:
    """What is declared as an end is a control token, whether or not it is marked as one."""
    made = tokenizer_of(CHATML.template, "<|endoftext|>", CHATML.special, ["<|stop|>"])
    stop = made.convert_tokens_to_ids("<|stop|>")

    asking = Prompter("m", made, max_tokens=2048, embed=lambda: None, ends=[stop, 10**6])

    assert asking.ends == (2, stop, 0)
    assert stop not in asking.text_tokens("well <|stop|>")


def test_a_model_that_can_think_is_told_not_to() -> None:
    """The thought that its template skips is skipped, unless the step wants one."""
    answers = "<|im_start|>assistant\n"

    assert asked(QWEN_3).endswith(f"{answers}<think>\n\n</think>\n\n")
    assert asked(QWEN_3, THINKING).endswith(answers)
    assert tokenizer(QWEN_3).decode(prompter(QWEN_3).thought_opens) == "<think>\n"
    assert prompter(QWEN_3).no_thought == ()


def test_a_template_that_opens_the_thought_it_is_told_of() -> None:
    """A thought is opened once: by the template where it does so, and by nobody where it is off."""
    asking = prompter(DEEPSEEK_3)

    assert asked(DEEPSEEK_3).endswith("<|Assistant|></think>")
    assert asked(DEEPSEEK_3, THINKING).endswith("<|Assistant|><think>")
    assert (asking.thought_opens, asking.no_thought) == ((), ())


@pytest.mark.parametrize(
    ("of", "begins"),
    [(GPT_OSS, "<|channel|>final<|message|>"), (QWEN_3, ""), (MISTRAL_3, ""), (LLAMA_3, "")],
)
def test_an_answer_begins_as_the_template_writes_one(of: Family, begins: str) -> None:
    """What stands between the opening of a turn and its words is written before every answer."""
    assert tokenizer(of).decode(prompter(of).no_thought) == begins


def test_what_was_said_has_no_thought_and_no_control_token() -> None:
    """Not even where the marks of a thought are control tokens, nor words that look like them."""
    pieces = ("<|channel|>", "analysis", "so", "<|channel|>", "final", "<|message|>", "Hello.")
    text = "".join(pieces)
    wrote = Completion(text, pieces, (-0.5,) * len(pieces), is_whole=True)

    said = prompter(GPT_OSS).said(wrote)
    stray = prompter(CHATML).said(pieced(("Well", 0.5), ("<|im_start|>", 0.5), (" so.", 0.5)))

    assert (said.text, said.pieces) == ("Hello.", ("Hello.",))
    assert stray.text == "Well so."
    assert stray.mean_probability == pytest.approx(0.5)


def test_examples_chosen_for_a_text_heed_the_switch() -> None:
    """A prompt that is written anew for a text thinks as the shared one does."""
    asking = prompter(QWEN_3)
    prompt = asking.prepare("t", TASK)

    for options in (StepOptions(), THINKING):
        tokens = asking.around(prompt, [], TASK.examples, options)
        assert tokens == prompt.frames(options).shared.around([])


@pytest.mark.parametrize(
    ("template", "switches"),
    [
        (QWEN_3.template, ("enable_thinking",)),
        (DEEPSEEK_3.template, ("thinking",)),
        ("{% set enable_thinking = enable_thinking | default(true) %}", ("enable_thinking",)),
        ("{# enable_thinking #}{% for m in messages %}{{ m.thinking }}{% break %}{% endfor %}", ()),
        ("{% set thinking = messages[0].thinking %}{{ thinking }} enable_thinking", ()),
        ("{% if %}", ()),
        (GEMMA_3.template, ()),
    ],
)
def test_a_switch_is_a_variable_that_a_template_reads(
    template: str, switches: tuple[str, ...]
) -> None:
    """A word of that name in a comment, a text, or of a message is none."""
    made = ChatTemplate(tokenizer_of(template, "<|end|>", ["<|end|>"]))

    assert made.switches == switches


def test_a_template_that_drops_the_instructions_in_every_way() -> None:
    """A model is not asked without them; who mends the template is told what is wrong with it."""
    template = (
        "{% for m in messages %}{{ '<text>' ~ m.content.split('<text>')[-1] }}<|end|>{% endfor %}"
    )
    asking = Prompter(
        "m", tokenizer_of(template, "<|end|>", ["<|end|>"]), max_tokens=2048, embed=lambda: None
    )

    with pytest.raises(TaskError, match=r"drops the instructions.*chat_template\.jinja"):
        asking.prepare("t", TASK)


@pytest.mark.parametrize(
    ("files", "ends"),
    [
        ({"generation_config.json": {"eos_token_id": [1, 106]}}, (1, 106)),
        ({"generation_config.json": {"eos_token_id": 7}, "config.json": {"eos_token_id": 8}}, (7,)),
        ({"generation_config.json": {}, "config.json": {"eos_token_id": 8}}, (8,)),
        ({"config.json": {"text_config": {"eos_token_id": [3]}}}, (3,)),
        ({"config.json": {"eos_token_id": [True, "x", None, 4]}}, (4,)),
        ({"config.json": [1]}, ()),
        ({}, ()),
    ],
)
def test_the_ends_that_files_declare(
    files: dict[str, Any], ends: tuple[int, ...], tmp_path: Path
) -> None:
    """One or several, of the first file that names any; what is no number is none."""
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))

    assert declared_ends(tmp_path) == ends
