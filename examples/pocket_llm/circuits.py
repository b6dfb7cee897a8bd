"""A head start in copying: two layers begin as the circuit that most of the answers need.

A small model that begins at random spends most of a short training on finding out how to copy. So
some heads of the first layer begin by looking one token back, or two, and some of the second by
looking for where the present two tokens stood before, to write what followed them. Source: Olsson
et al., In-context Learning and Induction Heads, 2022. These heads stay as they are, and with them
the dimensions they read; all else is trained: where to begin a copy, and when to leave it.

The residual stream, `(batch, sequence, hidden)`, begins as two halves: the token itself, its last
dimension alike for all; then half of the token before it, and half of the one before that.
"""

from __future__ import annotations

import math

import torch
from transformers import LlamaForCausalLM

#: What every token's embedding holds in the dimension that is alike for all.
CONSTANT = 1.5
#: Spread of the other dimensions: wide, so that the first steps of training cannot wash it out.
SPREAD = 0.3
#: Weight of the last norm, which keeps the first predictions modest in spite of that.
MODEST = 0.12
#: Heads of the first layer, by how many tokens they look back.
BACK = {0: 1, 1: 2}
#: Heads of the second layer that look up what followed.
LOOK_UP = (0, 1)
#: The other heads of the first layer begin with a mean of what was said lately, which a topic
#: needs: pairs of dimensions that turn once in about 230 and 470 tokens, or in 680 and 1400.
LATELY = {2: (10, 12), 3: (13, 15)}
#: How strongly a head looks back, at tokens that stood before, and around.
BACK_SCORE, MATCH_SCORE, LATELY_SCORE = 36.0, 22.0, 4.0
#: Pairs of a head's dimensions that turn fast, for positions, and slowly enough for contents.
NUM_FAST_PAIRS, FIRST_SLOW_PAIR = 4, 15
#: How much of a token is written where the previous ones are kept, into the prediction, and around.
KEEP_GAIN, PREDICT_GAIN, LATELY_GAIN = 0.234, 0.9, 0.055
#: What begins at random writes little at first, so that it does not drown the rest.
QUIET = 0.5


@torch.no_grad()
def start_with_copying(model: LlamaForCausalLM) -> None:
    """Set the embeddings and the first two layers, in place."""
    half = model.config.hidden_size // 2
    embeddings = model.get_input_embeddings().weight
    embeddings *= SPREAD / model.config.initializer_range
    embeddings[:, half:] = 0.0
    embeddings[:, half - 1] = CONSTANT
    model.model.norm.weight *= MODEST
    for layer in model.model.layers:
        layer.mlp.down_proj.weight *= QUIET
        layer.self_attn.o_proj.weight *= QUIET
    first, second = (model.model.layers[index].self_attn for index in (0, 1))
    for head, distance in BACK.items():
        _look_back(model, first, head, distance)
    for head, pairs in LATELY.items():
        _look_around(first, head, pairs)
    for head in LOOK_UP:
        _look_up_what_followed(second, head)


def hold_copying(model: LlamaForCausalLM) -> None:
    """Keep training away from the circuit, by hooks that empty its gradients."""
    half = model.config.hidden_size // 2
    embeddings = model.get_input_embeddings().weight
    _hold(embeddings, (slice(None), slice(half - 1, None)))
    for index, heads in ((0, BACK), (1, LOOK_UP)):
        layer = model.model.layers[index]
        layer.input_layernorm.weight.requires_grad_(requires_grad=False)
        attention = layer.self_attn
        rows = slice(0, len(heads) * attention.head_dim)
        for projection in (attention.q_proj, attention.k_proj, attention.v_proj):
            _hold(projection.weight, (rows, slice(None)))
        _hold(attention.o_proj.weight, (slice(None), rows))


def _hold(weight: torch.nn.Parameter, part: tuple[slice, slice]) -> None:
    is_free = torch.ones_like(weight)
    is_free[part] = 0.0
    weight.register_hook(lambda gradient: gradient * is_free)


def _look_back(
    model: LlamaForCausalLM, attention: torch.nn.Module, head: int, distance: int
) -> None:
    """Score by distance alone, highest at one; keep half of the token there in the second half."""
    rows, wide, half = (
        _silenced(attention, head),
        attention.head_dim,
        attention.config.hidden_size // 2,
    )
    size = _size(BACK_SCORE / NUM_FAST_PAIRS, wide, half)
    turns = model.model.rotary_emb.inv_freq
    for pair in range(NUM_FAST_PAIRS):
        angle = float(turns[pair]) * distance
        attention.q_proj.weight[rows.start + pair, half - 1] = size
        attention.k_proj.weight[rows.start + pair, half - 1] = size * math.cos(angle)
        attention.k_proj.weight[rows.start + pair + wide // 2, half - 1] = size * math.sin(angle)
    _move(attention, head, range(wide), half + head * wide, KEEP_GAIN)


def _look_around(attention: torch.nn.Module, head: int, pairs: tuple[int, ...]) -> None:
    """Score by distance alone, falling slowly; mix what is there into all dimensions."""
    rows, wide, half = (
        _silenced(attention, head),
        attention.head_dim,
        attention.config.hidden_size // 2,
    )
    for pair in pairs:
        size = _size(LATELY_SCORE, wide, half)
        attention.q_proj.weight[rows.start + pair, half - 1] = size
        attention.k_proj.weight[rows.start + pair, half - 1] = size
    attention.v_proj.weight[rows] = torch.randn_like(attention.v_proj.weight[rows]) * LATELY_GAIN
    attention.v_proj.weight[rows, half - 1] = 0.0
    mixed = torch.randn_like(attention.o_proj.weight[:, rows]) * LATELY_GAIN
    attention.o_proj.weight[:, rows] = mixed


def _look_up_what_followed(attention: torch.nn.Module, head: int) -> None:
    """Score by likeness of the last two tokens here with the two before there; copy the one there.

    The first head compares one half of what is kept of a token, the second head the other.
    """
    rows, wide, half = (
        _silenced(attention, head),
        attention.head_dim,
        attention.config.hidden_size // 2,
    )
    slow = list(range(FIRST_SLOW_PAIR, wide // 2))
    size = math.sqrt(MATCH_SCORE * math.sqrt(wide) / (2 * len(slow)))
    for number, pair in enumerate(slow):
        content = head * (wide // 2) + number
        # This token with the one before there, and the one before this with the one before that.
        for place, mine, theirs in (
            (pair, content, half + content),
            (pair + wide // 2, half + content, half + wide + content),
        ):
            attention.q_proj.weight[rows.start + place, mine] = size
            attention.k_proj.weight[rows.start + place, theirs] = size
    _move(attention, head, range(head * wide, (head + 1) * wide), head * wide, PREDICT_GAIN)


def _move(attention: torch.nn.Module, head: int, sources: range, offset: int, gain: float) -> None:
    """Read some dimensions, and write them from the offset on."""
    rows, even = _rows(attention, head), math.sqrt(gain)
    attention.v_proj.weight[rows] = 0.0
    attention.o_proj.weight[:, rows] = 0.0
    for place, source in enumerate(sources):
        attention.v_proj.weight[rows.start + place, source] = even
        attention.o_proj.weight[offset + place, rows.start + place] = even


def _size(score: float, wide: int, half: int) -> float:
    """Find the weight with which one pair of dimensions makes a score out of the constant."""
    loud = CONSTANT / math.sqrt((half * SPREAD**2 + CONSTANT**2) / (2 * half))
    return math.sqrt(score * math.sqrt(wide)) / loud


def _silenced(attention: torch.nn.Module, head: int) -> slice:
    """Empty a head's queries and keys, and name its rows."""
    rows = _rows(attention, head)
    for projection in (attention.q_proj, attention.k_proj):
        projection.weight[rows] = 0.0
    return rows


def _rows(attention: torch.nn.Module, head: int) -> slice:
    return slice(head * attention.head_dim, (head + 1) * attention.head_dim)
