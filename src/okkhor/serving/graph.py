"""What is exported of a network: raw pixels in, probabilities and activation maps out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from okkhor.models.classifier import MultiHeadClassifier


class ServedGraph(nn.Module):
    """A classifier as it is served.

    images uint8 (B, 1, H, W) -> for each head probabilities float32 (B, classes), then activation maps float32
    (B, heads, h, w): of each head's likeliest class, the feature map weighted by the class's weights (class activation
    maps, https://arxiv.org/abs/1512.04150). Probabilities are means over the network's views (`model.tta`), maps are
    of the image as it is. With average pooling the mean of a map plus the class's bias is its
    logit, exactly; with GeM pooling, which is no mean, a map shows places and not amounts.
    """

    def __init__(self, net: MultiHeadClassifier) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        views = self.net.views
        features = self.net.backbone(self.net.prepare(views(images)))
        pooled = self.net.pool(features)
        probabilities, maps = [], []
        for layer in self.net.head_layers.values():
            probabilities.append(views.mean(layer(pooled).float().softmax(1)))
            weights = layer.weight[probabilities[-1].argmax(1)]  # (B, C)
            maps.append((views.plain(features) * weights[:, :, None, None]).sum(1))
        return (*probabilities, torch.stack(maps, 1).float())
