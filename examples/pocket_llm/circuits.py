"""A head start in copying: two layers begin as the circuit that most of the answers need.

A small model that begins at random spends most of a short training on finding out how to copy. So
the first layer starts with heads that look one token back, and the second with heads that look for
where the present token stood before and write what followed it, beside others that take a mean of
what was said lately. Source: Olsson et al., In-context
Learning and Induction Heads, 2022. It is only a start: every weight is trained as any other.
"""

from __future__ import annotations

import math

import torch
from transformers import LlamaForCausalLM

#: Heads of each layer that start so; the others start at random.
NUM_HEADS = 2
#: What every token's embedding holds in the dimension that is alike for all.
CONSTANT = 1.5
#: Spread of the other dimensions: wide, so that the first steps of training cannot wash it out.
SPREAD = 0.3
#: Weight of the last norm, which keeps the first predictions modest in spite of that.
MODEST = 0.12
#: How strongly a head looks one token back, and at a token that stood before.
PREVIOUS_SCORE, MATCH_SCORE = 24.0, 12.0
#: Pairs of a head's dimensions that turn fast, for positions, and slowly enough for contents.
NUM_FAST_PAIRS, FIRST_SLOW_PAIR = 4, 15
#: How much of a token is written where the previous one is kept, and into the prediction.
KEEP_GAIN, PREDICT_GAIN = 0.234, 0.9
#: The other heads of the first layer take the mean of what was said lately, as a topic needs it:
#: pairs of dimensions that turn once in about 230 and 470 tokens, or in 680 and 1400.
LATELY, LATELY_SCORE, LATELY_GAIN = ((10, 12), (13, 15)), 4.0, 0.055
#: What begins at random writes little at first, so that it does not drown the rest.
QUIET = 0.5


@torch.no_grad()
def start_with_copying(model: LlamaForCausalLM) -> None:
    """Set the embeddings and the first two layers, in place.

    The first half of the residual stream, `(batch, sequence, hidden)`, holds the token itself, with
    one constant dimension; the second half holds the token before it.
    """
    half = model.config.hidden_size // 2
    embeddings = model.get_input_embeddings().weight
    embeddings *= SPREAD / model.config.initializer_range
    embeddings[:, half:] = 0.0
    embeddings[:, half - 1] = CONSTANT
    model.model.norm.weight *= MODEST
    for layer in model.model.layers:
        layer.mlp.down_proj.weight *= QUIET
        layer.self_attn.o_proj.weight *= QUIET
    look_back, look_up = (model.model.layers[index].self_attn for index in (0, 1))
    for head in range(NUM_HEADS):
        _look_one_back(model, look_back, head, half)
        _look_up_what_followed(look_up, head, half)
    for head, pairs in enumerate(LATELY, start=NUM_HEADS):
        _look_around(look_back, head, pairs, half)


def _look_one_back(
    model: LlamaForCausalLM, attention: torch.nn.Module, head: int, half: int
) -> None:
    """Score by distance alone, highest at one; move a slice of the token to the second half."""
    rows, wide = _silenced(attention, head), attention.head_dim
    size = _size(PREVIOUS_SCORE / NUM_FAST_PAIRS, wide, half)
    turns = model.model.rotary_emb.inv_freq
    for pair in range(NUM_FAST_PAIRS):
        angle = float(turns[pair])
        attention.q_proj.weight[rows.start + pair, half - 1] = size
        attention.k_proj.weight[rows.start + pair, half - 1] = size * math.cos(angle)
        attention.k_proj.weight[rows.start + pair + wide // 2, half - 1] = size * math.sin(angle)
    _move(attention, head, half, KEEP_GAIN)


def _look_around(attention: torch.nn.Module, head: int, pairs: tuple[int, ...], half: int) -> None:
    """Score by distance alone, falling slowly; mix what is there into all dimensions."""
    rows, wide = _silenced(attention, head), attention.head_dim
    for pair in pairs:
        size = _size(LATELY_SCORE, wide, half)
        attention.q_proj.weight[rows.start + pair, half - 1] = size
        attention.k_proj.weight[rows.start + pair, half - 1] = size
    attention.v_proj.weight[rows] = torch.randn_like(attention.v_proj.weight[rows]) * LATELY_GAIN
    attention.v_proj.weight[rows, half - 1] = 0.0
    mixed = torch.randn_like(attention.o_proj.weight[:, rows]) * LATELY_GAIN
    attention.o_proj.weight[:, rows] = mixed


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


def _look_up_what_followed(attention: torch.nn.Module, head: int, half: int) -> None:
    """Score by likeness of the token here with the token before there; copy the token there."""
    rows, wide = _silenced(attention, head), attention.head_dim
    slow = list(range(FIRST_SLOW_PAIR, wide // 2))
    places = [*slow, *(pair + wide // 2 for pair in slow)]
    size = math.sqrt(MATCH_SCORE * math.sqrt(wide) / len(places))
    contents = range(head * wide, head * wide + len(places))
    for place, content in zip(places, contents, strict=True):
        attention.q_proj.weight[rows.start + place, content] = size
        attention.k_proj.weight[rows.start + place, half + content] = size
    _move(attention, head, 0, PREDICT_GAIN)


def _move(attention: torch.nn.Module, head: int, offset: int, gain: float) -> None:
    """Read a head's slice of the first half, and write it from the offset on."""
    rows, wide, even = _rows(attention, head), attention.head_dim, math.sqrt(gain)
    attention.v_proj.weight[rows] = 0.0
    attention.o_proj.weight[:, rows] = 0.0
    for place in range(wide):
        attention.v_proj.weight[rows.start + place, head * wide + place] = even
        attention.o_proj.weight[offset + head * wide + place, rows.start + place] = even


def _rows(attention: torch.nn.Module, head: int) -> slice:
    return slice(head * attention.head_dim, (head + 1) * attention.head_dim)
