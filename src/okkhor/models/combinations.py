"""A layer over whole label combinations (graphemes), whose probabilities are summed to those of each head."""

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from okkhor.augment.batch import MixedLabels
from okkhor.errors import InputError
from okkhor.heads import Heads

LEAST = 1e-12  # a probability: of a class that no known combination has


class CombinationHead(nn.Module):
    """One linear layer over the label combinations of the training rows, (B, C) -> (B, J).

    The probability of a head's class is the sum over the combinations that have it, as the second place of the
    Bengali.AI competition did. What was learned of a whole grapheme helps where its parts are hard to tell apart; one
    that training lacked is still read, from the known ones that share its parts. The training's combinations and not a
    table of all: no image teaches the others, and other tasks have no table.

    combinations: int64 (J, heads), a buffer, sorted; there are none until `learn_labels` or a checkpoint brings them.
    """

    combinations: Tensor

    def __init__(self, heads: Heads, features: int) -> None:
        super().__init__()
        if math.prod(heads.classes) >= 2**63:
            raise InputError("model.grapheme_head: so many heads have more combinations than can be numbered")
        self.classes = heads.classes
        self.features = features
        self._make(torch.empty(0, len(heads), dtype=torch.int64))

    def _make(self, combinations: Tensor) -> None:
        """Become a layer over these combinations; what was learned of others goes."""
        self.register_buffer("combinations", combinations)
        self.layer = nn.Linear(self.features, max(1, len(combinations)), device=combinations.device)
        for column, classes in enumerate(self.classes):
            members = functional.one_hot(combinations[:, column], classes).float()
            self.register_buffer(f"members_{column}", members, persistent=False)

    def learn_labels(self, labels: Tensor) -> None:
        """Take the combinations from the training labels, int64 (N, heads)."""
        self._make(labels.unique(dim=0))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        saved = state_dict.get(f"{prefix}combinations")
        if not len(self.combinations) and saved is not None:  # a run that is read again, without its data
            like = self.layer.weight
            self._make(saved.to(like.device))
            self.to(like.dtype)
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def forward(self, features: Tensor) -> Tensor:
        """features (B, C) -> logits of the combinations (B, J)."""
        return self.layer(features)

    def of_heads(self, logits: Tensor) -> list[Tensor]:
        """Logits of the combinations (B, J) -> logarithms of the probabilities (B, classes) of each head.

        A class that no combination has gets LEAST. Sums in float32 at least, also under mixed precision.
        """
        with _full_precision(logits):
            precise = logits if logits.dtype == torch.float64 else logits.float()
            p = precise.softmax(1)
            return [(p @ self._members(column, p)).clamp(min=LEAST).log() for column in range(len(self.classes))]

    def share_in(self, column: int, labels: Tensor, logits: Tensor) -> Tensor:
        """How much each combination contributes to a class: (B, J), each row sums to 1.

        column: the head's number; labels: int64 (B,), one class each; logits: (B, J). It is the gradient of the
        logarithm of the class's summed exponentials, by which activation maps are exact.
        """
        members = self._members(column, logits).T[labels]
        inside = logits.masked_fill(members == 0, -torch.inf)
        # of a class that no combination has nothing contributes
        return torch.where(members.any(1, keepdim=True), inside, 0.0).softmax(1) * members

    def index_of(self, labels: Tensor | MixedLabels) -> Tensor | MixedLabels:
        """labels (B, heads), or mixed -> the number of each combination, int64 (B, 1), -1 for an unknown one."""
        if isinstance(labels, MixedLabels):
            a, b = self.index_of(labels.a), self.index_of(labels.b)
            assert isinstance(a, Tensor)
            assert isinstance(b, Tensor)
            return MixedLabels(a, b, labels.lam)
        known, asked = self._number(self.combinations), self._number(labels)
        place = torch.searchsorted(known, asked).clamp(max=len(known) - 1)
        found = (known[place] == asked) & (labels >= 0).all(1)
        return torch.where(found, place, -1).unsqueeze(1)

    def _number(self, labels: Tensor) -> Tensor:
        """One integer a combination, in the order of the combinations: int64 (B,)."""
        number = torch.zeros_like(labels[:, 0])
        for column, classes in enumerate(self.classes):
            number = number * classes + labels[:, column]
        return number

    def _members(self, column: int, like: Tensor) -> Tensor:
        return getattr(self, f"members_{column}").to(like.dtype)


def _full_precision(values: Tensor) -> AbstractContextManager[Any]:
    """Without autocast where it is on; an exported graph has no trace of it."""
    kind = values.device.type
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext()
