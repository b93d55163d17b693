"""A residual network for two CPU cores: the default of the quick start and of `experiment=sample`."""

from collections.abc import Sequence

from torch import Tensor, nn


def convolution(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU: (B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    """Two convolutions around a shortcut, after ResNet (https://arxiv.org/abs/1512.03385)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(convolution(channels, channels), convolution(channels, channels))

    def forward(self, images: Tensor) -> Tensor:
        return images + self.body(images)


class SmallNet(nn.Module):
    """A strided 5×5 stem, then one stage a width, each halving the image: (B, 1, H, W) -> (B, widths[-1], h, w).

    widths: channels of each stage; blocks: residual blocks in each. The stem's stride keeps the costly full
    resolution out: on a CPU almost all time is spent in convolutions, and half of a plain ResNet-9's go there.
    """

    def __init__(self, widths: Sequence[int] = (32, 64, 128, 256), blocks: Sequence[int] = (1, 1, 1, 0)) -> None:
        super().__init__()
        if len(widths) != len(blocks):
            raise ValueError(f"widths and blocks: expected lists of one length, got {len(widths)} and {len(blocks)}")
        layers: list[nn.Module] = []
        before = 1
        for stage, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            layers.append(convolution(before, width, kernel=5 if stage == 0 else 3, stride=2))
            layers.extend(Residual(width) for _ in range(count))
            before = width
        self.layers = nn.Sequential(*layers)
        self.features = before

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)
