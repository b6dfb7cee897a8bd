"""Chat templates in the forms that are met in the field, and tokenizers that read them.

Each has the structure that matters of the models it is named after, written anew and shortened.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

WORDS = "Read the text and answer with exactly one of the labels: up, down. Total Verdict Label?"


def tokenizer_of(
    template: str | None, end: str | None, special: Sequence[str], unmarked: Sequence[str] = ()
) -> Any:
    """Make a byte-level BPE tokenizer.

    Args:
        template: Its chat template.
        end: Its own end token, one of the special ones.
        special: Control tokens that are marked special.
        unmarked: Control tokens that are not.
    """
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator([WORDS] * 3, trainer)
    made = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=backend,
        eos_token=end,
        chat_template=template,
        clean_up_tokenization_spaces=False,
        extra_special_tokens=[token for token in special if token != end],
    )
    made.add_tokens([AddedToken(token, special=False, normalized=False) for token in unmarked])
    return made


@dataclass(frozen=True)
class Family:
    """Models whose chat templates are alike.

    Attributes:
        template: In jinja.
        special: Its control tokens.
        end: The tokenizer's end token.
        declared: What `generation_config.json` says beside it.
        ends: What ends an answer, the end of a turn first.
        takes_instructions: Whether it has a system turn, of whatever form.
    """

    template: str
    special: tuple[str, ...]
    end: str
    declared: tuple[str, ...]
    ends: tuple[str, ...]
    takes_instructions: bool = True

    def tokenizer(self) -> Any:
        """Make a tokenizer that has its control tokens."""
        return tokenizer_of(self.template, self.end, self.special)


_GEMMA = ("<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>")
_LLAMA = ("<|end_of_text|>", "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>")
_CHATML = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_TURNS = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
_OPENS = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"

GEMMA_2 = Family(
    template=(
        "<bos>{% if messages[0].role == 'system' %}"
        "{{ raise_exception('System role not supported') }}{% endif %}"
        "{% for m in messages %}"
        "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('Conversation roles must alternate user/assistant/...') }}{% endif %}"
        "<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n"
        "{{ m.content | trim }}<end_of_turn>\n{% endfor %}"
        "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
    ),
    special=_GEMMA,
    end="<eos>",
    declared=("<eos>",),
    ends=("<end_of_turn>", "<eos>"),
    takes_instructions=False,
)
GEMMA_3 = Family(
    template=(
        "<bos>{% if messages[0].role == 'system' %}{% set first = messages[0].content ~ '\n\n' %}"
        "{% set turns = messages[1:] %}{% else %}{% set first = '' %}{% set turns = messages %}"
        "{% endif %}{% for m in turns %}"
        "<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n"
        "{{ first if loop.first else '' }}{{ m.content | trim }}<end_of_turn>\n{% endfor %}"
        "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
    ),
    special=_GEMMA,
    end="<eos>",
    declared=("<eos>", "<end_of_turn>"),
    ends=("<end_of_turn>", "<eos>"),
)
LLAMA_3 = Family(
    template=(
        "<|begin_of_text|>{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>"
        "\n\n{{ m.content | trim }}<|eot_id|>{% endfor %}{% if add_generation_prompt %}"
        "<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
    ),
    special=(*_LLAMA, "<|eot_id|>"),
    end="<|end_of_text|>",
    declared=(),
    ends=("<|eot_id|>", "<|end_of_text|>"),
)
QWEN_3 = Family(
    template=(
        "{% for m in messages %}<|im_start|>{{ m.role }}\n"
        "{% if m.role == 'assistant' and loop.last %}<think>\n\n</think>\n\n{% endif %}"
        "{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n"
        "{% if enable_thinking is defined and enable_thinking is false %}"
        "<think>\n\n</think>\n\n{% endif %}{% endif %}"
    ),
    special=_CHATML,
    end="<|im_end|>",
    declared=("<|im_end|>", "<|endoftext|>"),
    ends=("<|im_end|>", "<|endoftext|>"),
)
DEEPSEEK_3 = Family(
    template=(
        "{% if not thinking is defined %}{% set thinking = false %}{% endif %}"
        "{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}"
        "{% elif m.role == 'user' %}<|User|>{{ m.content }}"
        "{% else %}<|Assistant|></think>{% generation %}{{ m.content }}<|end|>{% endgeneration %}"
        "{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<|Assistant|>{{ '<think>' if thinking else '</think>' }}"
        "{% endif %}"
    ),
    special=("<|end|>", "<|User|>", "<|Assistant|>"),
    end="<|end|>",
    declared=("<|end|>",),
    ends=("<|end|>",),
)
MISTRAL_1 = Family(
    template=(
        "<s>{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('Conversation roles must alternate user/assistant/...') }}{% endif %}"
        "{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
        "{% else %}{{ m.content }}</s>{% endif %}{% endfor %}"
    ),
    special=("</s>", "<s>"),
    end="</s>",
    declared=("</s>",),
    ends=("</s>",),
    takes_instructions=False,
)
MISTRAL_3 = Family(
    template=(
        "<s>{% if messages[0].role == 'system' %}{% set order = messages[0].content %}"
        "{% set turns = messages[1:] %}{% else %}{% set turns = messages %}{% endif %}"
        "{% for m in turns %}{% if m.role == 'user' %}[INST] "
        "{% if loop.last and order is defined %}{{ order }}\n\n{% endif %}{{ m.content }}[/INST]"
        "{% else %} {{ m.content }}</s>{% endif %}{% endfor %}"
    ),
    special=("</s>", "<s>", "[INST]", "[/INST]"),
    end="</s>",
    declared=("</s>",),
    ends=("</s>",),
)
CHATML = Family(
    template=_TURNS + _OPENS,
    special=_CHATML,
    end="<|endoftext|>",
    declared=(),
    ends=("<|im_end|>", "<|endoftext|>"),
)
SMOLLM_2 = Family(
    template=(
        "{% if messages[0].role != 'system' %}<|im_start|>system\nYou are a helpful AI assistant."
        "<|im_end|>\n{% endif %}" + _TURNS + _OPENS
    ),
    special=_CHATML,
    end="<|im_end|>",
    declared=("<|im_end|>",),
    ends=("<|im_end|>",),
)
GPT_OSS = Family(
    template=(
        "{% for m in messages %}{% if m.role == 'assistant' %}"
        "<|start|>assistant<|channel|>final<|message|>{{ m.content }}"
        "{{ '<|return|>' if loop.last and not add_generation_prompt else '<|end|>' }}{% else %}"
        "<|start|>{{ 'developer' if m.role == 'system' else m.role }}<|message|>{{ m.content }}"
        "<|end|>{% endif %}{% endfor %}{% if add_generation_prompt %}<|start|>assistant{% endif %}"
    ),
    special=("<|return|>", "<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|call|>"),
    end="<|return|>",
    declared=("<|return|>", "<|call|>"),
    ends=("<|return|>", "<|call|>"),
)
#: Its template passes over what is neither a user's nor the model's.
DEAF = Family(
    template=(
        "{% for m in messages %}{% if m.role == 'user' %}<|im_start|>user\n{{ m.content }}"
        "<|im_end|>\n{% elif m.role == 'assistant' %}<|im_start|>assistant\n{{ m.content }}"
        "<|im_end|>\n{% endif %}{% endfor %}" + _OPENS
    ),
    special=_CHATML,
    end="<|im_end|>",
    declared=("<|im_end|>",),
    ends=("<|im_end|>",),
    takes_instructions=False,
)
FAMILIES = {
    "gemma-2": GEMMA_2,
    "gemma-3": GEMMA_3,
    "llama-3": LLAMA_3,
    "qwen-3": QWEN_3,
    "deepseek-3": DEEPSEEK_3,
    "mistral-1": MISTRAL_1,
    "mistral-3": MISTRAL_3,
    "chatml": CHATML,
    "smollm-2": SMOLLM_2,
    "gpt-oss": GPT_OSS,
    "deaf": DEAF,
}
