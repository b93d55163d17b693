"""From posteriors to a decision: divided by the class prior to a power, for scores in which classes count alike."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from okkhor.heads import Head, Heads

RULES = ("argmax", "prior_corrected")
POWERS = [0.02 * step for step in range(61)]  # 0 to 1.2: what a fitted power may be


class HeadPrior(nn.Module):
    """What one head's logits are corrected by: `power` · `log_prior`, both buffers, saved with the weights.

    log_prior: (classes,); power: a scalar.
    """

    log_prior: Tensor
    power: Tensor

    def __init__(self, head: Head, power: float) -> None:
        super().__init__()
        self.register_buffer("log_prior", torch.zeros(head.classes))
        self.register_buffer("power", torch.tensor(power))

    @property
    def correction(self) -> Tensor:
        return self.power * self.log_prior


class PriorCorrection(nn.Module):
    """Posteriors divided by the class prior to a power, renormalized: softmax(logits - power · log prior) of each head.

    Macro recall, (1/K) Σ P(read as c | c), is greatest where each image is read as the class of the greatest
    P(c | image) / P(c): the power is 1 for posteriors that are calibrated. Those of a network are too flat or too
    sharp, close to calibrated ones to a power, softmax(logits / T); dividing these by the prior decides as dividing
    softmax(logits) by the prior to the power T does. So T, which calibrates the network, is the power, head by head
    (temperature scaling: https://arxiv.org/abs/1706.04599; dividing by the prior: https://arxiv.org/abs/2007.07314).

    The prior is that of the training fold. A class without an image there was never learned: it gets no lift.

    power: a number for all heads, or None: fitted after training, see `okkhor.training.decision`; until then it is 0,
    which is argmax. The loss never sees any of this: it is computed from the logits as they are.
    """

    def __init__(self, heads: Heads, power: float | None = None) -> None:
        super().__init__()
        self.to_be_fitted = power is None
        self.of_heads = nn.ModuleDict({head.name: HeadPrior(head, power or 0.0) for head in heads})

    def forward(self, logits: Sequence[Tensor]) -> list[Tensor]:
        """Logits (B, classes) of each head -> logits whose softmax are the corrected posteriors."""
        return [x - prior.correction for x, prior in zip(logits, self.of_heads.values(), strict=True)]

    def undone(self, logits: Sequence[Tensor]) -> list[Tensor]:
        """Corrected logits -> those of the network."""
        return [x + prior.correction.to(x.device) for x, prior in zip(logits, self.of_heads.values(), strict=True)]

    def learn_labels(self, labels: Tensor) -> None:
        """Take the priors from the training labels, int64 (N, heads)."""
        for column, prior in enumerate(self.of_heads.values()):
            counts = torch.bincount(labels[:, column], minlength=len(prior.log_prior))
            share = counts.double() / counts.sum()
            prior.log_prior.copy_(torch.where(counts > 0, share, 1.0).log())

    @property
    def powers(self) -> dict[str, float]:
        """By head."""
        return {name: round(float(prior.power), 6) for name, prior in self.of_heads.items()}

    def set_powers(self, powers: Sequence[float]) -> None:
        """powers: of each head, in their order."""
        for prior, power in zip(self.of_heads.values(), powers, strict=True):
            prior.power.fill_(power)


def fitted_power(log_posteriors: Tensor, labels: Tensor) -> float:
    """The power of `POWERS` that calibrates posteriors: the T for which softmax(log_posteriors / T) is likeliest.

    log_posteriors: (N, K), up to a constant of each row; labels: int64 (N,). Likelihood, not macro recall itself: it
    uses every image's whole posterior, where the recall of a rare class hangs on a handful of images and does not
    tell apart the powers between which none of them changes sides.
    """
    best, power = float("inf"), 0.0
    for candidate in POWERS[1:]:
        loss = float(nn.functional.cross_entropy(log_posteriors / candidate, labels))
        if loss < best:
            best, power = loss, candidate
    return round(power, 2)
