"""Online hard example mining: only the hardest share of a batch is trained on."""

import torch
from torch import Tensor, distributed

from okkhor.models.losses.cross_entropy import CrossEntropy


class OHEM(CrossEntropy):
    """Online hard example mining (https://arxiv.org/abs/1604.03540): the top share of each batch by loss.

    share: of a batch, above 0 to 1, which is cross-entropy. smoothing: of the target, as in CrossEntropy.

    Each head chooses for itself: an image whose root is read well may still teach its vowel. Compared are losses
    after mixing: of a mixed image, not of its two parts. The choice is among the images of all processes together, so
    that any number of them trains on the same ones; it costs each step two small exchanges between them. `forward`
    and `HeadsLoss.per_sample` know nothing of the choice: the validation loss is plain cross-entropy over all images,
    the training loss the mean over the chosen ones.
    """

    def __init__(self, share: float = 0.7, smoothing: float = 0.0) -> None:
        super().__init__(smoothing)
        if not 0 < share <= 1:
            raise ValueError(f"share: expected a share above 0 to 1, got {share}")
        self.share = share

    def weigh(self, losses: Tensor, real: Tensor) -> Tensor:
        """losses (B, heads), real bool (B,) -> (B, heads): 0 where not chosen, all / chosen times the loss elsewhere.

        At least one is chosen. `all` and `chosen` are of all processes: with the weights that uneven processes give
        their mean (see `ClassifierModule`), the mean over processes is the mean over what was chosen.
        """
        own = losses.detach().masked_fill(~real.unsqueeze(1), -torch.inf)
        everyone, start = _of_all_processes(own)
        number = (everyone[:, 0] != -torch.inf).sum()
        chosen = (self.share * number - 1e-3).ceil().clamp(min=1)  # 0.1 · 30 is a bit more than 3 in float32
        # by place in the order, not by a threshold: of equal losses no more than wanted are chosen; on the device,
        # since a number that is asked for would make a GPU wait
        place = everyone.argsort(dim=0, descending=True, stable=True).argsort(dim=0)
        kept = (place < chosen)[start : start + len(losses)]
        return torch.where(kept & real.unsqueeze(1), losses, 0.0) * (number / chosen)


def _of_all_processes(values: Tensor) -> tuple[Tensor, int]:
    """The values (B, heads) of all processes in one tensor, and the row at which this one's begin; B may differ."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return values, 0
    size = torch.tensor([len(values)], device=values.device)
    sizes = [torch.empty_like(size) for _ in range(distributed.get_world_size())]
    distributed.all_gather(sizes, size)
    rows = [int(number) for number in sizes]
    padded = values.new_full((max(rows), values.shape[1]), -torch.inf)
    padded[: len(values)] = values
    parts = [torch.empty_like(padded) for _ in rows]
    distributed.all_gather(parts, padded)
    return torch.cat([part[:number] for part, number in zip(parts, rows, strict=True)]), sum(
        rows[: distributed.get_rank()]
    )
