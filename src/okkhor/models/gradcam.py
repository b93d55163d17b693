"""Grad-CAM: which places of an image a class's score comes from (https://arxiv.org/abs/1610.02391)."""

import torch
from torch import Tensor, nn

from okkhor.models.classifier import MultiHeadClassifier


def grad_cam(net: MultiHeadClassifier, images: Tensor, classes: Tensor) -> Tensor:
    """One map for each image and head, float32 (B, heads, h, w), none below 0.

    images: raw pixels (B, 1, H, W); classes: int64 (B, heads), whose scores are explained.

    The backbone's channels are summed, each by the mean of the score's derivative to it, and what is below 0 speaks
    against the class and is left out. The score is the class's logit before any softmax, and with a grapheme head the
    logarithm of the summed exponentials of the combinations that have the class. A decision rule changes a logit by a
    constant, so maps do not depend on it; views are not looked at, the map is of the image as it is.

    Nothing of the network changes, and nothing runs backward through the backbone: a map costs little more than a
    reading. Call it on a network in evaluation mode: batch norm would tie images to each other.
    """
    with torch.no_grad():
        features = net.backbone(net.prepare(images)).detach()
    maps = []
    with torch.enable_grad():
        features.requires_grad_()
        for column, score in enumerate(_scores(net, features, classes)):
            (gradient,) = torch.autograd.grad(score.sum(), features, retain_graph=column + 1 < classes.shape[1])
            weights = gradient.float().mean((2, 3), keepdim=True)
            maps.append((weights * features.detach().float()).sum(1).relu())
    return _in_place(net.backbone, torch.stack(maps, 1))


def _scores(net: MultiHeadClassifier, features: Tensor, classes: Tensor) -> list[Tensor]:
    """The score of each head's given class, (B,) each."""
    logits = net.read_off(net.pool(features))
    if net.combinations is None:
        return [x.gather(1, classes[:, column, None])[:, 0] for column, x in enumerate(logits)]
    whole = logits[-1]
    # the shares are the derivatives of the logarithm of the summed exponentials: this sum has the same gradient
    shares = [net.combinations.share_in(k, classes[:, k], whole.detach()) for k in range(classes.shape[1])]
    return [(share * whole).sum(1) for share in shares]


def _in_place(backbone: nn.Module, maps: Tensor) -> Tensor:
    """Maps of tokens (B, heads, N, 1), as vision transformers give them, laid out as the patches lie in the image.

    Tokens that have no place, such as the class token, are left out; maps of other networks stay as they are.
    """
    network = getattr(backbone, "network", None)
    grid = getattr(getattr(network, "patch_embed", None), "grid_size", None)
    if maps.shape[3] != 1 or grid is None:
        return maps
    tokens = maps[:, :, getattr(network, "num_prefix_tokens", 0) :, 0]
    return tokens.unflatten(2, tuple(grid)) if tokens.shape[2] == grid[0] * grid[1] else maps
