"""The LightningModule: one training step, one validation step, the names of the metrics."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, distributed, nn

from okkhor.augment.batch import BatchAugmentation, MixedLabels
from okkhor.heads import Heads
from okkhor.models.losses import HeadsLoss
from okkhor.models.metrics import EpochMeter
from okkhor.models.plateau import SteppedHere, check_schedule, step_on_plateau

Batch = tuple[Tensor, Tensor]  # images uint8 (B, 1, H, W), labels int64 (B, heads)


class ClassifierModule(SteppedHere):
    """Trains a multi-head classifier and scores it.

    heads: contract 3; net: raw images (B, 1, H, W) -> logits of each head, and logits of label combinations where it
    has such (see `MultiHeadClassifier`, what else it may have is told there, too); loss: one value a sample, see
    `okkhor.models.losses`; optimizer: parameter groups -> optimizer; scheduler: optimizer -> scheduler, or
    None; schedule: Lightning's `interval` and `monitor` of that scheduler; weight_decay: of the parameters that
    have one; batch_augmentation: see `okkhor.augment.batch`; seed: what every draw follows from.
    """

    def __init__(
        self,
        heads: Heads,
        net: nn.Module,
        loss: nn.Module,
        optimizer: Callable[[list[dict[str, Any]]], torch.optim.Optimizer],
        scheduler: Callable[[torch.optim.Optimizer], Any] | None = None,
        *,
        schedule: Mapping[str, Any] | None = None,
        weight_decay: float = 0.0,
        batch_augmentation: BatchAugmentation | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.net = net
        self.loss = HeadsLoss(heads, loss)
        self.make_optimizer = optimizer
        self.make_scheduler = scheduler
        self.schedule = dict(schedule or {})
        self.weight_decay = weight_decay
        self.batch_augmentation = batch_augmentation
        self.seed = seed
        self.train_meter = EpochMeter(heads)
        self.val_meter = EpochMeter(heads)

    def forward(self, images: Tensor) -> list[Tensor]:
        """images (B, 1, H, W), raw pixels -> logits of each head."""
        return self.net(images)[: len(self.heads)]

    def decided(self, logits: Sequence[Tensor]) -> Sequence[Tensor]:
        """Logits of each head as the network's decision rule changes them; the same ones where it has none."""
        return self.net.decided(logits) if hasattr(self.net, "decided") else logits

    def learn_labels(self, labels: Callable[[], Tensor]) -> None:
        """Hand the training labels, int64 (N, heads), to network and loss; asked for only where they are needed."""
        for part in (self.net, self.loss):
            if getattr(part, "needs_labels", False):
                part.learn_labels(labels())

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        # dropout and the like draw from the global generator: tied to (seed, step), so that a resumed run draws
        # what the uninterrupted one did; ranks differ, or their dropout masks would be copies of one another
        torch.manual_seed(mix_seed(self.seed, self.global_step, 1 + self.global_rank))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        images, labels, weight = self._weighted(*batch)
        samples = int((labels[:, 0] >= 0).sum()) if weight is not None else len(labels)
        mixed: Tensor | MixedLabels = labels
        if self.batch_augmentation is not None:
            generator = torch.Generator().manual_seed(mix_seed(self.seed, self.global_step, 0))
            images, mixed = self.batch_augmentation(images, labels, generator)
        logits, whole = self._forward(images)
        combinations = None if whole is None else (whole, self.net.combinations.index_of(mixed))
        loss = self.loss(logits, mixed, combinations)
        truth = mixed.dominant() if isinstance(mixed, MixedLabels) else mixed
        self.train_meter.update(loss, samples, self.decided(logits), truth)
        self.log("train/loss_step", loss.detach(), prog_bar=False, logger=False)
        return loss if weight is None else loss * weight

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        images, labels = batch
        real = int((labels[:, 0] >= 0).sum())
        logits = self(images)
        if real:
            loss = self.loss.per_sample(logits, labels).sum() / real
            self.val_meter.update(loss, real, self.decided(logits), labels)

    def on_train_epoch_end(self) -> None:
        self._report("train", self.train_meter)
        step_on_plateau(self.trainer)

    def on_validation_epoch_end(self) -> None:
        self._report("val", self.val_meter)

    def configure_optimizers(self) -> Any:
        optimizer = self.make_optimizer(parameter_groups(self.net, self.weight_decay))
        if self.make_scheduler is None:
            return optimizer
        scheduler = self.make_scheduler(optimizer)
        check_schedule(scheduler, self.schedule)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, **self.schedule}}

    def _forward(self, images: Tensor) -> tuple[list[Tensor], Tensor | None]:
        """Logits of each head, and those of whole label combinations where the network has such."""
        logits = self.net(images)
        count = len(self.heads)
        return logits[:count], logits[count] if len(logits) > count else None

    def _weighted(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """A rank's share of a training batch without its padding, and the weight of its loss.

        DDP takes the mean of the ranks' gradients. Of an epoch's last batch ranks may hold unequal numbers of
        samples: with weights of ranks × own samples / all samples, the mean over ranks is the mean over samples.
        """
        if not (distributed.is_initialized() and self.trainer.is_last_batch):
            return images, labels, None
        real = labels[:, 0] >= 0
        own = real.sum()
        everyone = own.clone()
        distributed.all_reduce(everyone)
        if own:  # a rank without any keeps its blank ones, whose loss and gradient are 0
            images, labels = images[real], labels[real]
        return images, labels, own * distributed.get_world_size() / everyone

    def _report(self, stage: str, meter: EpochMeter) -> None:
        # torchmetrics has summed over ranks already, so nothing is left to reduce
        self.log_dict({f"{stage}/{name}": value for name, value in meter.finish().items()})


def parameter_groups(net: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two optimizer groups: weights with decay; norms, biases and single numbers without (arXiv:1706.05350)."""
    trained = [p for p in net.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def mix_seed(*words: int) -> int:
    """One 63-bit seed of several integers (splitmix64's finalizer, public domain), cheap enough for every step."""
    state = 0
    for word in words:
        state = (state + word + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 31
    return state >> 1
