"""FMix: another image shows through in patches of any shape, of which low frequencies draw the outline."""

import torch
from torch import Tensor

from okkhor.augment.batch import Mixing


class FMix(Mixing):
    """Mix by a random mask of low frequencies (https://arxiv.org/abs/2002.12047).

    alpha, p: see Mixing; decay: how fast the mask's frequencies fall off, 3 in the paper: a higher power gives
    fewer and larger patches.
    """

    def __init__(self, alpha: float = 1.0, p: float = 0.5, decay: float = 3.0) -> None:
        super().__init__(alpha, p)
        if not decay > 0:
            raise ValueError(f"decay: expected a number above 0, got {decay}")
        self.decay = decay

    def mix(self, images: Tensor, others: Tensor, kept: float, generator: torch.Generator) -> tuple[Tensor, float]:
        height, width = images.shape[-2:]
        gray = _low_frequencies(height, width, self.decay, generator).flatten()
        count = round(kept * gray.numel())
        mask = torch.zeros(gray.numel(), dtype=torch.bool)
        mask[gray.topk(count).indices] = True
        mask = mask.view(1, 1, height, width).to(images.device)
        return torch.where(mask, images, others), count / gray.numel()


def _low_frequencies(height: int, width: int, decay: float, generator: torch.Generator) -> Tensor:
    """Noise (H, W) whose spectrum falls off with frequency to the power of `decay`."""
    y = torch.fft.fftfreq(height).unsqueeze(1)
    x = torch.fft.rfftfreq(width).unsqueeze(0)
    frequency = (x * x + y * y).sqrt().clamp(min=1 / max(height, width))
    spectrum = torch.randn(*frequency.shape, 2, generator=generator) / frequency.unsqueeze(-1) ** decay
    return torch.fft.irfft2(torch.view_as_complex(spectrum), s=(height, width))
