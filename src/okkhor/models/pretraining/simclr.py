"""SimCLR: of all images in the batch, find the other view of the same one (https://arxiv.org/abs/2002.05709)."""

import torch
from lightly.loss.ntx_ent_loss import NTXentLoss
from lightly.models.modules.heads import SimCLRProjectionHead
from torch import Tensor

from okkhor.models.classifier import MultiHeadClassifier
from okkhor.models.pretraining.method import Method, full_precision, precise, width


class SimCLR(Method):
    """A projection of both views and the NT-Xent loss, which compares them over all processes; both are lightly's.

    hidden, output: widths of the projection; temperature: of the softmax over similarities, the paper's tau.
    """

    def __init__(
        self, net: MultiHeadClassifier, *, hidden: int = 512, output: int = 128, temperature: float = 0.5
    ) -> None:
        super().__init__()
        self.projection = SimCLRProjectionHead(width(net), hidden, output)
        self.criterion = NTXentLoss(temperature, gather_distributed=True)

    def loss(self, net: MultiHeadClassifier, first: Tensor, second: Tensor) -> Tensor:
        # one batch of both views, as in the paper: its statistics in batch norm must not tell them apart
        projected = self.projection(net.features(torch.cat([first, second])))
        with full_precision(projected):
            return self.criterion(*precise(projected).chunk(2))
