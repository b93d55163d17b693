"""BYOL: foresee what a slower copy of the network makes of the other view (https://arxiv.org/abs/2006.07733)."""

from copy import deepcopy

import torch
from lightly.loss.negative_cosine_similarity import NegativeCosineSimilarity
from lightly.models.modules.heads import BYOLPredictionHead, BYOLProjectionHead
from lightly.models.utils import deactivate_requires_grad, update_momentum
from lightly.utils.scheduler import cosine_schedule
from torch import Tensor

from okkhor.models.classifier import MultiHeadClassifier
from okkhor.models.pretraining.method import Method, full_precision, precise, width

SCHEDULED = 1_000_000  # parts of a run, as lightly's schedule counts in whole steps


class BYOL(Method):
    """Projection, predictor and loss are lightly's; no image is compared with another one, so batches may be small.

    hidden, output: widths of projection and predictor; momentum: share of itself that the slower copy, the target,
    keeps at each step in the beginning; rises to 1 along a half cosine, as in the paper.
    """

    def __init__(
        self, net: MultiHeadClassifier, *, hidden: int = 512, output: int = 128, momentum: float = 0.99
    ) -> None:
        super().__init__()
        if not 0 <= momentum <= 1:
            raise ValueError(f"momentum: expected a share from 0 to 1, got {momentum}")
        self.momentum = momentum
        self.projection = BYOLProjectionHead(width(net), hidden, output)
        self.prediction = BYOLPredictionHead(output, hidden, output)
        self.criterion = NegativeCosineSimilarity()
        self.target, self.target_projection = deepcopy(net), deepcopy(self.projection)
        deactivate_requires_grad(self.target)
        deactivate_requires_grad(self.target_projection)

    def loss(self, net: MultiHeadClassifier, first: Tensor, second: Tensor) -> Tensor:
        total = torch.zeros((), device=first.device)
        for seen, other in ((first, second), (second, first)):
            predicted = self.prediction(self.projection(net.features(seen)))
            with torch.no_grad():
                expected = self.target_projection(self.target.features(other))
            with full_precision(predicted):
                total = total + self.criterion(precise(predicted), precise(expected)) / 2
        return total

    def follow(self, net: MultiHeadClassifier, done: float) -> None:
        kept = cosine_schedule(round(done * SCHEDULED), SCHEDULED, self.momentum, 1.0)
        update_momentum(net, self.target, kept)
        update_momentum(self.projection, self.target_projection, kept)

    def start_from(self, net: MultiHeadClassifier) -> None:
        self.target.load_state_dict(net.state_dict())
