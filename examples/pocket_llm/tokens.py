"""The pocket model's tokenizer and chat template, and conversations as tokens with weights.

Digits go in pairs, so that a number is copied in few steps and seldom mistaken for another. Text of
strangers is tokenised apart from the template, as the worker does.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from generate_text import Conversation, conversation
from pools import pool
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from topics import TOPICS
from transformers import PreTrainedTokenizerFast

from smallfirst.catalogue import Kind
from smallfirst_workers.prompting.prompts import Message, Segment, render_segments, shared_messages

PAD, END = "<|pad|>", "<|end|>"
ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
#: Of how many conversations the vocabulary is made.
NUM_CONVERSATIONS_FOR_VOCABULARY = 6000
#: The first tokens of an answer decide (a verdict), the others are mostly copied; a label is short
#: and has to weigh as much as a record.
NUM_DECIDING_TOKENS = 6
LABEL_WEIGHT, DECIDING_WEIGHT = 24.0, 3.0
CONTEXT = 2048
#: What a line of a paper may be, by the verdict that rests on it; any other line is right.
LINE_STATES = {"no": 0, "yes": 1, "unsure": 2}


@dataclass(frozen=True)
class Encoded:
    """Tokens of a conversation and how much each counts as a target; 0 outside the answers.

    `topics` numbers for each token what the mail it stands in is about; -1 outside of mails.
    `states` numbers for the last token of a paper's line what is to be seen of that line, by
    `LINE_STATES`; -1 at all other tokens.
    """

    ids: list[int]
    weights: list[float]
    topics: list[int]
    states: list[int]


def train_tokenizer(vocabulary: int) -> PreTrainedTokenizerFast:
    """Make a byte-level BPE tokenizer of the training text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\d{1,2}"), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        special_tokens=[PAD, END, *ROLES],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        chat_template=CHAT_TEMPLATE,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
        extra_special_tokens=list(ROLES),
    )


def _texts() -> Iterator[str]:
    words = pool("train")
    for number in range(NUM_CONVERSATIONS_FOR_VOCABULARY):
        made = conversation(words, number)
        for message in shared_messages(made.task, made.turns):
            yield from (segment.text for segment in message.segments)


def segments_of(
    tokenizer: PreTrainedTokenizerFast, messages: tuple[Message, ...], *, is_open: bool
) -> tuple[Segment, ...]:
    """Apply the chat template; an open prompt ends where the model has to answer."""

    def template(chat: list[dict[str, str]]) -> str:
        return str(
            tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=is_open)
        )

    return render_segments(messages, template)


def segment_ids(tokenizer: PreTrainedTokenizerFast, segment: Segment) -> list[int]:
    """Tokenise one segment; what is not trusted cannot make a control token."""
    ids = tokenizer(
        segment.text, add_special_tokens=False, split_special_tokens=not segment.is_trusted
    )["input_ids"]
    return list(ids)


def prompt_ids(tokenizer: PreTrainedTokenizerFast, messages: tuple[Message, ...]) -> list[int]:
    """Tokenise a prompt up to where the model has to answer."""
    segments = segments_of(tokenizer, messages, is_open=True)
    return [token for segment in segments for token in segment_ids(tokenizer, segment)]


def encode(tokenizer: PreTrainedTokenizerFast, made: Conversation) -> Encoded:
    """Tokenise a conversation; its answers are the segments after which the assistant ends."""
    ids: list[int] = []
    weights: list[float] = []
    topics: list[int] = []
    subjects = iter(made.topics)
    is_answer = False
    deciding = LABEL_WEIGHT if made.task.kind is Kind.CLASSIFY else DECIDING_WEIGHT
    end = tokenizer.convert_tokens_to_ids(END)
    messages = shared_messages(made.task, made.turns)
    for segment in segments_of(tokenizer, messages, is_open=False):
        tokens = segment_ids(tokenizer, segment)
        told = [0.0] * len(tokens)
        if is_answer:
            told = [deciding if i < NUM_DECIDING_TOKENS else 1.0 for i in range(len(tokens))]
        elif weights and weights[-1] > 0 and tokens[0] == end:
            told[0] = 1.0
        is_mail = not segment.is_trusted and not is_answer
        subject = TOPICS.index(next(subjects)) if is_mail and made.topics else -1
        is_answer = segment.is_trusted and segment.text.endswith(ROLES[2])
        ids += tokens
        weights += told
        topics += [subject] * len(tokens)
    return Encoded(ids, weights, topics, _line_states(tokenizer, made, ids))


def _line_states(
    tokenizer: PreTrainedTokenizerFast, made: Conversation, ids: list[int]
) -> list[int]:
    """Number what is to be seen of each line of the papers, at its last token."""
    states = [-1] * len(ids)
    if made.task.kind is not Kind.JUDGE:
        return states
    ends = list(accumulate(len(tokenizer.decode([token])) for token in ids))
    whole = tokenizer.decode(ids)
    place = 0
    for paper in made.turns:
        place = whole.index(paper.text, place)
        for line in paper.text.split("\n"):
            place += len(line)
            is_telling = line == paper.quote
            state = LINE_STATES[str(paper.verdict)] if is_telling else 0
            states[bisect_left(ends, place)] = state
            place += 1
    return states
