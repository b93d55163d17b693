"""How good features are, without training on them: the vote of the nearest labeled images (arXiv:1805.01978)."""

import torch
from torch import Tensor

from okkhor.heads import Heads

TEMPERATURE = 0.1  # of the weight of a vote, as in https://arxiv.org/abs/2104.14294
BLOCK = 1024  # images that are compared with the bank at a time, to bound the memory


def unit(features: Tensor) -> Tensor:
    """features (N, C) scaled to length 1, float32: their products are cosines."""
    return torch.nn.functional.normalize(features.float(), dim=1)


def knn_probabilities(
    bank: Tensor, bank_labels: Tensor, asked: Tensor, heads: Heads, neighbors: int = 20
) -> list[Tensor]:
    """What the nearest images of a bank say about others: each head's shares of the vote, float32 (N, classes).

    bank (M, C) and asked (N, C): features of length 1; bank_labels: int64 (M, heads). Each of the `neighbors` with
    the highest cosine, all where there are fewer, votes with weight exp(cosine / 0.1).
    """
    found: list[list[Tensor]] = []
    for block in asked.split(BLOCK):
        cosines, nearest = (block @ bank.T).topk(min(neighbors, len(bank)), dim=1)
        weights = ((cosines - cosines[:, :1]) / TEMPERATURE).exp()  # the nearest weighs 1: nothing overflows
        found.append([_votes(weights, bank_labels[nearest, k], head.classes) for k, head in enumerate(heads)])
    return [torch.cat(parts) for parts in zip(*found, strict=True)]


def _votes(weights: Tensor, labels: Tensor, classes: int) -> Tensor:
    votes = weights.new_zeros(len(weights), classes).scatter_add_(1, labels, weights)
    return votes / votes.sum(1, keepdim=True)


class FeatureRows:
    """Features and labels of an epoch's images, batch by batch."""

    def __init__(self) -> None:
        self.features: list[Tensor] = []
        self.labels: list[Tensor] = []

    def add(self, features: Tensor, labels: Tensor) -> None:
        """features: (B, C); labels: int64 (B, heads)."""
        self.features.append(unit(features))
        self.labels.append(labels)

    def take(self) -> tuple[Tensor, Tensor]:
        """All that was added, features (N, C) and labels (N, heads), padding included; then it is empty."""
        found = torch.cat(self.features), torch.cat(self.labels)
        self.features, self.labels = [], []
        return found


def without_padding(features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Features and labels without the rows that filled a rank's last batch (labels -1)."""
    real = labels[:, 0] >= 0
    return features[real], labels[real]
