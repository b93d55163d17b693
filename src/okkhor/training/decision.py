"""Fit the power of `model.decision=prior_corrected` when a run has been trained, and write it into its checkpoint.

On the training fold alone: a validation score that the power was chosen by would be no estimate of anything. But a
network knows its training images. It is surer of these, and more often right, than of others: there is hardly a
power that changes a decision, and the one that is best for recall there says nothing. Two things make the fit honest:

- The images are read as the run's augmentation draws them for the epoch after the last, forms never trained on.
- What is fitted is whether the posteriors are calibrated (see `fitted_power`), not how many decisions are right.

What is left of the bias makes posteriors seem too flat, not too sharp: powers come out lower than new images would
have them, towards argmax, which is the safe side. With `aug=none` the least is gained, and a number for
`model.power` may be the better choice.
"""

import numpy as np
import torch

from okkhor.atomic import replacing
from okkhor.data.module import ImageData
from okkhor.models.decision import PriorCorrection, fitted_power
from okkhor.models.module import ClassifierModule
from okkhor.runs import Run
from okkhor.training.scoring import read

MOST_IMAGES = 20_000  # a power is known to a hundredth from fewer


def fit_powers(
    module: ClassifierModule, data: ImageData, device: torch.device, *, epoch: int, most: int = MOST_IMAGES
) -> dict[str, float] | None:
    """Set the powers of a trained network's decision rule; returns them by head, None where there is nothing to fit.

    epoch: whose augmentation the training images get; most: images that are read, evenly from all.
    """
    rule = getattr(module.net, "decision", None)
    if not isinstance(rule, PriorCorrection) or not rule.to_be_fitted:
        return None
    rows = data.rows("train")
    rows = rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int)]
    rule.set_powers([0.0] * len(module.heads))  # what is read then are the network's own posteriors
    posteriors = read(module, data.loader_of(rows, augmented_as=epoch), device, "")
    labels = torch.from_numpy(data.labels_of(rows))
    rule.set_powers(
        [
            fitted_power(torch.from_numpy(p).clamp(min=1e-12).log(), labels[:, column])
            for column, p in enumerate(posteriors)
        ]
    )
    return rule.powers


def remark(module: ClassifierModule) -> str:
    """What a report says of the network's decision rule; empty for argmax."""
    rule = getattr(module.net, "decision", None)
    if not isinstance(rule, PriorCorrection):
        return ""
    powers = ", ".join(f"{name} {power:g}" for name, power in rule.powers.items())
    when = "; it was fitted after training, so the curves over the epochs are of plain argmax" * rule.to_be_fitted
    return f"Posteriors are divided by the class prior to a power ({powers}){when}."


def write_powers(module: ClassifierModule, run: Run) -> None:
    """Put the module's powers in place of those of the run's checkpoint (best, else last); the file is there whole."""
    path = run.checkpoint()
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    state = module.state_dict()
    for name in checkpoint["state_dict"]:
        if name.startswith("net.decision.") and name.endswith(".power"):
            checkpoint["state_dict"][name] = state[name].cpu()
    with replacing(path) as temporary:
        torch.save(checkpoint, temporary)
