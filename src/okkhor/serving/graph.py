"""What is exported of a network: raw pixels in, probabilities and activation maps out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from okkhor.models.classifier import MultiHeadClassifier


class ServedGraph(nn.Module):
    """A classifier as it is served.

    images uint8 (B, 1, H, W) -> for each head probabilities float32 (B, classes), means over the network's views
    (`model.tta`) and corrected where the decision rule corrects them, then activation maps float32 (B, heads, h, w), of
    the image as it is: of the class that each head is read as, the feature map weighted by the class's weights (class
    activation maps, https://arxiv.org/abs/1512.04150). With average pooling the mean of a map plus the class's bias is
    its logit, exactly; with GeM pooling, which is no mean, a map shows places and not amounts.

    With a grapheme head a class has no weights of its own: its map is weighted by those of the combinations that have
    it, each by its share in the class's probability. These are the derivatives of the logarithm of the class's summed
    exponentials; with average pooling the mean of the map plus the same mean of biases plus the entropy of the shares
    is that logarithm, exactly.
    """

    def __init__(self, net: MultiHeadClassifier) -> None:
        super().__init__()
        self.net = net
        self.heads = len(net.heads)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        views = self.net.views
        features = self.net.backbone(self.net.prepare(views(images)))
        logits = self.net.read_off(self.net.pool(features))
        means = [views.mean_logits(x) for x in logits[: self.heads]]
        features, whole = views.plain(features), views.plain(logits[-1])
        probabilities, maps = [], []
        for column, decided in enumerate(self.net.decided(means)):
            probabilities.append(decided.float().softmax(1))
            weights = self._weights(column, decided.argmax(1), whole)
            maps.append((features * weights[:, :, None, None]).sum(1))
        return (*probabilities, torch.stack(maps, 1).float())

    def _weights(self, column: int, read_as: Tensor, whole: Tensor) -> Tensor:
        """What the feature map is weighted by for a class of a head: read_as int64 (B,) -> (B, C).

        whole: logits of the combinations (B, J), where the network has a layer of them.
        """
        combinations = self.net.combinations
        if combinations is None:
            return list(self.net.head_layers.values())[column].weight[read_as]
        return combinations.share_in(column, read_as, whole) @ combinations.layer.weight
