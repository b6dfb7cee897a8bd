"""The network that is trained: an encoder and a linear head, the same function that is served.

The head judges means of token states at length 1 (`slm.heads.LinearHead`), so what is trained here
is answered there to the last digit of float32, and its answers can be explained word by word.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from smallfirst.catalogue import Kind
from smallfirst.kinds import KINDS, HeadForm
from smallfirst.linear.probabilities import Floats
from smallfirst_workers.heads.heads import LinearHead
from smallfirst_workers.training.training_data import NOTHING

#: Weight decay of matrices; biases and norms have none. Source: BERT (Devlin et al. 2019).
_WEIGHT_DECAY = 0.01


class Network(torch.nn.Module):
    """An encoder with a head.

    Attributes:
        encoder: A transformers model whose first output is `(rows, tokens, hidden)`.
        head: `(hidden,)` to `(outputs,)`.
    """

    def __init__(
        self,
        encoder: torch.nn.Module,
        head: LinearHead,
        *,
        smoothing: float = 0.0,
        consistency: float = 0.0,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        # Its own states, tuned, tell an encoder what the surroundings told a head of a frozen one.
        own = head.own_weights
        self.head = torch.nn.Linear(own.shape[1], own.shape[0])
        self.head.weight.data = torch.from_numpy(own.copy())
        self.head.bias.data = torch.from_numpy(head.bias.copy())
        self._is_multilabel = head.form is HeadForm.EACH
        self._smoothing = smoothing
        self._consistency = consistency

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        shares: torch.Tensor,
        truth: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """Judge units; see `Collator` for the shapes.

        Returns:
            `loss`, a mean over units, and `logits (rows, units, outputs)`.
        """
        logits = self._logits(input_ids, attention_mask, shares)
        loss = self._loss(logits, truth)
        if self.training and self._consistency:
            again = self._logits(input_ids, attention_mask, shares)
            apart = self._divergence(logits, again, truth)
            loss = (loss + self._loss(again, truth)) / 2 + self._consistency * apart
        return {"loss": loss, "logits": logits}

    @property
    def width(self) -> int:
        """Of the encoder's states."""
        return int(self.head.in_features)

    @torch.inference_mode()
    def vectors(self, batch: Mapping[str, torch.Tensor]) -> Floats:
        """What the encoder makes of whole texts: `(rows, hidden)`, float32, of any length."""
        means = self._means(batch["input_ids"], batch["attention_mask"], batch["shares"])
        return np.asarray(means[:, 0].float().numpy(), np.float32)

    def _logits(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, shares: torch.Tensor
    ) -> torch.Tensor:
        vectors = functional.normalize(self._means(input_ids, attention_mask, shares), dim=-1)
        logits: torch.Tensor = self.head(vectors)  # (rows, units, outputs)
        return logits

    def _means(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, shares: torch.Tensor
    ) -> torch.Tensor:
        """Each unit's mean of states, over all windows of its row: `(rows, units, hidden)`.

        As many windows are read at once as there are rows, and states are computed again where a
        gradient needs them: long texts take more time, and hold no more at once than short ones.
        An allocator that keeps what was freed may still grow.
        Source: Chen et al. 2016, arXiv:1604.06174.
        """
        is_window = attention_mask.any(dim=-1)  # (rows, windows)
        passes = [
            torch.split(each[is_window], len(input_ids))
            for each in (input_ids, attention_mask, shares)
        ]
        read = self._part_means if len(passes[0]) == 1 else self._frugal_part_means
        parts = torch.cat([read(*each) for each in zip(*passes, strict=True)])
        by_row = parts.new_zeros(*is_window.shape, *parts.shape[1:])
        by_row[is_window] = parts  # (rows, windows, units, hidden)
        return by_row.sum(dim=1)

    def _part_means(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, shares: torch.Tensor
    ) -> torch.Tensor:
        """What each of several windows brings to the means: `(windows, units, hidden)`."""
        states: torch.Tensor = self.encoder(input_ids=input_ids, attention_mask=attention_mask)[0]
        return shares.to(states.dtype) @ states

    def _frugal_part_means(self, *tensors: torch.Tensor) -> torch.Tensor:
        """The same, keeping no states: dropout is drawn alike when they are computed again."""
        means: torch.Tensor = checkpoint(self._part_means, *tensors, use_reentrant=False)
        return means

    def _divergence(
        self, one: torch.Tensor, other: torch.Tensor, truth: torch.Tensor
    ) -> torch.Tensor:
        """How far two dropouts of one network are apart: a mean over units, in nats.

        Source: R-Drop (Liang et al. 2021, arXiv:2106.14448), half the sum of both directions.
        """
        if self._is_multilabel:  # each label is a choice between yes and no
            one, other = (torch.stack([each, torch.zeros_like(each)], -1) for each in (one, other))
        else:
            one, other = one[truth != NOTHING], other[truth != NOTHING]
        logs = one.float().log_softmax(-1), other.float().log_softmax(-1)
        apart = (logs[0].exp() - logs[1].exp()) * (logs[0] - logs[1])
        return apart.sum(-1).mean() / 2

    def _loss(self, logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        if self._is_multilabel:
            return functional.binary_cross_entropy_with_logits(logits[:, 0].float(), truth)
        return functional.cross_entropy(
            logits.flatten(0, 1).float(),
            truth.flatten(),
            ignore_index=NOTHING,
            label_smoothing=self._smoothing,
        )

    def linear_head(self, like: LinearHead) -> LinearHead:
        """The head as it is served, with the kind, labels and chain of another."""
        weights = self.head.weight.detach().float().numpy().copy()
        bias = self.head.bias.detach().float().numpy().copy()
        return LinearHead(like.key, like.kind, like.labels, weights, bias, like.chain)


def blank_head(kind: Kind, labels: tuple[str, ...], hidden: int, *, seed: int) -> LinearHead:
    """A head that knows nothing yet: small random weights, float32."""
    outputs = len(labels) + (KINDS[kind].head is HeadForm.WORDS)
    random = np.random.default_rng(seed)
    weights = random.normal(0, 0.1, (outputs, hidden)).astype(np.float32)
    return LinearHead("", kind, labels, weights, np.zeros(outputs, np.float32))


def parameter_groups(
    network: Network, *, rate: float, decay: float, head_rate: float
) -> list[dict[str, Any]]:
    """Group parameters by learning rate: each layer learns `decay` times as fast as the one above.

    What is lowest in a pretrained model is the most general (Howard & Ruder 2018, ULMFiT).
    """
    depth = 1 + max(_layer(name) for name, _ in network.encoder.named_parameters())
    groups = [{"params": list(network.head.parameters()), "lr": head_rate, "weight_decay": 0.0}]
    by_rate: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for name, parameter in _trained(network):
        own_rate = rate * decay ** (depth - 1 - _layer(name))
        weight_decay = _WEIGHT_DECAY if parameter.ndim > 1 else 0.0
        by_rate.setdefault((own_rate, weight_decay), []).append(parameter)
    return groups + [
        {"params": parameters, "lr": own_rate, "weight_decay": weight_decay}
        for (own_rate, weight_decay), parameters in by_rate.items()
    ]


def _trained(network: Network) -> Iterator[tuple[str, torch.nn.Parameter]]:
    """The encoder's parameters that its states depend on: a pooler's they do not."""
    for name, parameter in network.encoder.named_parameters():
        if not name.startswith("pooler."):
            yield name, parameter


def _layer(name: str) -> int:
    """The layer of a parameter, from 1: `encoder.layer.3.output…` is 4; embeddings are 0."""
    numbers = [part for part in name.split(".") if part.isdigit()]
    return int(numbers[0]) + 1 if numbers else 0
