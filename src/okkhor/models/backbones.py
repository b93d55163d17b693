"""Backbones by name: ours, torchvision's, timm's, yours; all take one gray channel and return a feature map."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from okkhor.errors import InputError
from okkhor.models.small import SmallNet
from okkhor.own_code import own_class, said_by

OWN = "python/"  # before <module>.<Class>
PROBE = 64  # height and width of the blank image on which a network is asked for the form of its features


def build_backbone(
    name: str, *, pretrained: bool = False, options: Mapping[str, Any] | None = None
) -> tuple[nn.Module, int]:
    """A network (B, 1, H, W) -> (B, features, h, w) and its number of features.

    name: `small`, `torchvision/<name>` or `timm/<name>`; a bare name is looked for in torchvision, then in timm;
    `python/<module>.<Class>` is a class of your own, see `_own`.
    pretrained: load ImageNet weights from the library's cache or the network; the first convolution is summed
    over its three input channels, which equals repeating the gray image. options: arguments of the network.
    Raises InputError naming the config key when there is no such network or its weights cannot be had.
    """
    options = dict(options or {})
    if name.startswith(OWN):
        return _own(name.removeprefix(OWN), pretrained, options)
    library, _, short = name.rpartition("/")
    if library not in ("", "torchvision", "timm"):
        raise InputError(
            f"model.backbone: unknown library {library!r}; expected torchvision/<name>, timm/<name> or "
            f"{OWN}<module>.<Class>"
        )
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
        raise InputError(f"model.options: {_refused(error, options)}") from error


def _own(dotted: str, pretrained: bool, options: dict[str, Any]) -> tuple[nn.Module, int]:
    """A network of a class of your own, made with the options as its arguments.

    The class is an nn.Module whose forward takes float images (B, 1, H, W), ink high and paper low, about 0 in the
    mean, of any height and width from 32 up, and gives a float feature map (B, C, h, w); pooling and heads come after
    it. Its module is found beside train.py or on PYTHONPATH, and imported whenever the run is read again.
    """
    key = f"model.backbone={OWN}{dotted}"
    kind = own_class(dotted, nn.Module, key)
    if pretrained:
        raise InputError("model.pretrained: a network of your own has no published weights; expected false")
    try:
        network = kind(**options)
    except TypeError as error:
        raise InputError(f"model.options: {_refused(error, options)}") from error
    except Exception as error:  # whatever your code raises
        raise InputError(f"{key}: cannot be made: {said_by(error)}") from error
    training = network.training
    try:
        with torch.no_grad():
            features = network.eval()(torch.zeros(2, 1, PROBE, PROBE))
    except Exception as error:
        raise InputError(
            f"{key}: takes no images (2, 1, {PROBE}, {PROBE}): {said_by(error)}; expected (B, 1, H, W) of any size"
        ) from error
    network.train(training)
    form = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
    if not (isinstance(features, Tensor) and features.ndim == 4 and len(features) == 2):
        raise InputError(f"{key}: gives {form} for images (2, 1, {PROBE}, {PROBE}); expected features (2, C, h, w)")
    return network, features.shape[1]


def _refused(error: Exception, options: Mapping[str, Any]) -> str:
    """Why a network does not take its options; those of `small` stand in the way of others."""
    theirs = "unexpected keyword argument" in str(error) and {"widths", "blocks"} & options.keys()
    return f"{error}" + ("; model.options=null leaves out those of another network" if theirs else "")


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
        features = body.eval()(torch.zeros(1, 3, PROBE, PROBE)).shape[1]
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
