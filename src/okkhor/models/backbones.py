"""Backbones by name: ours, torchvision's, timm's; all take one gray channel and return a feature map."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from okkhor.errors import InputError
from okkhor.models.small import SmallNet


def build_backbone(
    name: str, *, pretrained: bool = False, options: Mapping[str, Any] | None = None
) -> tuple[nn.Module, int]:
    """A network (B, 1, H, W) -> (B, features, h, w) and its number of features.

    name: `small`, `torchvision/<name>` or `timm/<name>`; a bare name is looked for in torchvision, then in timm.
    pretrained: load ImageNet weights from the library's cache or the network; the first convolution is summed
    over its three input channels, which equals repeating the gray image. options: arguments of the network.
    Raises InputError naming the config key when there is no such network or its weights cannot be had.
    """
    options = dict(options or {})
    library, _, short = name.rpartition("/")
    if library not in ("", "torchvision", "timm"):
        raise InputError(f"model.backbone: unknown library {library!r}; expected torchvision/<name> or timm/<name>")
    try:
        if short == "small" and not library:
            if pretrained:
                raise InputError("model.pretrained: `small` has no published weights; expected false")
            network = SmallNet(**options)
            return network, network.features
        if library != "timm" and short in _torchvision_names():
            return _from_torchvision(short, pretrained, options)
        return _from_timm(short, pretrained, options)
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        raise InputError(f"model.options: {error}") from error


def _torchvision_names() -> list[str]:
    from torchvision import models

    return models.list_models(module=models)


def _from_torchvision(name: str, pretrained: bool, options: dict[str, Any]) -> tuple[nn.Module, int]:
    from torchvision import models

    network = _weights(
        name, pretrained, lambda: models.get_model(name, weights="DEFAULT" if pretrained else None, **options)
    )
    if name.startswith(("resnet", "resnext", "wide_resnet")):
        features = network.fc.in_features
        body = nn.Sequential(*[child for key, child in network.named_children() if key not in ("avgpool", "fc")])
    elif hasattr(network, "features"):
        body = network.features
        features = _features(body)
    else:
        raise InputError(f"model.backbone: torchvision's {name} gives no feature map; try timm/{name}")
    one_channel(body)
    return body, features


def _features(body: nn.Module) -> int:
    """Channels of a three-channel network's feature map, asked of the network itself."""
    training = body.training
    with torch.no_grad():
        features = body.eval()(torch.zeros(1, 3, 64, 64)).shape[1]
    body.train(training)
    return features


def one_channel(network: nn.Module) -> None:
    """Let the first convolution take one gray channel, in place: its kernels summed over the input channels."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.weight = nn.Parameter(module.weight.data.sum(1, keepdim=True))
            module.in_channels = 1
            return
    raise InputError("model.backbone: this network has no convolution, so it cannot take gray images")


def _from_timm(name: str, pretrained: bool, options: dict[str, Any]) -> tuple[nn.Module, int]:
    import timm

    if not timm.is_model(name):
        near = timm.list_models(f"*{name}*")[:3]
        hint = f"; near it: {', '.join(near)}" if near else "; timm.list_models() lists them"
        raise InputError(f"model.backbone: neither torchvision nor timm has a network {name!r}{hint}")
    network = _weights(
        name,
        pretrained,
        lambda: timm.create_model(name, pretrained=pretrained, in_chans=1, num_classes=0, global_pool="", **options),
    )
    return ImageFeatures(network), network.num_features


class ImageFeatures(nn.Module):
    """A timm network's feature map; networks that give tokens (B, N, C) are folded into (B, C, N, 1)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        features = self.network(images)
        return features if features.ndim == 4 else features.transpose(1, 2).unsqueeze(-1)


def _weights(name: str, pretrained: bool, make: Any) -> nn.Module:
    """Build a network; when its published weights cannot be fetched, say so in one line."""
    try:
        return make()
    except (OSError, RuntimeError) as error:  # URLError and hub errors are OSErrors, a broken file a RuntimeError
        if not pretrained:
            raise
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"model.pretrained: the weights of {name} are neither cached nor could they be fetched ({cause}); "
            "connect once to fetch them, or set model.pretrained=false"
        ) from error
