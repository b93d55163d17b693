"""The LightningModule of a pretraining: one step over two views, and a k-NN score of the features after each epoch."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric

from okkhor.heads import Heads
from okkhor.models.classifier import MultiHeadClassifier
from okkhor.models.metrics import HeadsScore
from okkhor.models.module import mix_seed, parameter_groups
from okkhor.models.plateau import SteppedHere, check_schedule, step_on_plateau
from okkhor.models.pretraining.knn import FeatureRows, knn_probabilities, without_padding
from okkhor.models.pretraining.method import Method, trains_features

KNN = "knn_"  # before the names of scores: no head has read anything


class PretrainModule(SteppedHere):
    """Trains a network's features without labels and scores them by their nearest labeled neighbors.

    heads: contract 3, what the score is of; net: its heads are left as they are, untrained; method: the loss;
    optimizer, scheduler, schedule, weight_decay, seed: see `okkhor.models.module.ClassifierModule`; total_steps:
    optimizer steps of the whole run; neighbors: that vote. Logs `train/loss`, `val/knn_score`, `val/knn_recall_<head>`.
    """

    def __init__(
        self,
        heads: Heads,
        net: MultiHeadClassifier,
        method: Method,
        optimizer: Callable[[list[dict[str, Any]]], torch.optim.Optimizer],
        scheduler: Callable[[torch.optim.Optimizer], Any] | None = None,
        *,
        schedule: Mapping[str, Any] | None = None,
        weight_decay: float = 0.0,
        total_steps: int = 1,
        neighbors: int = 20,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.net = net
        for name, parameter in net.named_parameters():
            parameter.requires_grad_(trains_features(name))  # DDP would wait for gradients of heads that never come
        self.method = method
        self.make_optimizer = optimizer
        self.make_scheduler = scheduler
        self.schedule = dict(schedule or {})
        self.weight_decay = weight_decay
        self.total_steps = total_steps
        self.neighbors = neighbors
        self.seed = seed
        self.train_loss = MeanMetric(nan_strategy="ignore")  # a loss that is NaN ends the run elsewhere
        self.score = HeadsScore(heads)
        self.rows = {"bank": FeatureRows(), "val": FeatureRows()}

    def forward(self, images: Tensor) -> Tensor:
        """images (B, 1, H, W), raw pixels, or views (B, 2, H, W) -> features (B or 2 B, C)."""
        return self.net.features(images.flatten(0, 1).unsqueeze(1))

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        # as in ClassifierModule: what a network draws is tied to (seed, step, rank)
        torch.manual_seed(mix_seed(self.seed, self.global_step, 1 + self.global_rank))

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """batch: views uint8 (B, 2, H, W), see `okkhor.data.pretraining`."""
        views, _ = batch
        loss = self.method.loss(self.net, views[:, :1], views[:, 1:])
        self.train_loss.update(loss.detach(), weight=len(views))
        self.log("train/loss_step", loss.detach(), prog_bar=False, logger=False)
        return loss

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)
        self.method.follow(self.net, min(1.0, (self.global_step + 1) / self.total_steps))

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int, dataloader_idx: int = 0) -> None:
        """batch: images uint8 (B, 1, H, W), labels int64 (B, heads); of the bank first, then of the fold."""
        images, labels = batch
        self.rows["val" if dataloader_idx else "bank"].add(self(images), labels)

    def on_validation_epoch_end(self) -> None:
        bank, asked = (self.rows[name].take() for name in ("bank", "val"))
        if self.trainer.world_size > 1:  # ranks hold equally many, for they pad; an image is asked by its own rank
            bank = tuple(self.all_gather(part).flatten(0, 1) for part in bank)
        asked = without_padding(*asked)
        if len(asked[0]):
            found = knn_probabilities(*without_padding(*bank), asked[0], self.heads, self.neighbors)
            self.score.update(torch.stack([p.argmax(1) for p in found], 1), asked[1])
        # torchmetrics has summed over ranks already, so nothing is left to reduce
        self.log_dict({f"val/{KNN}{name}": value for name, value in self.score.compute().items()})
        self.score.reset()

    def on_train_epoch_end(self) -> None:
        self.log("train/loss", self.train_loss.compute())
        self.train_loss.reset()
        step_on_plateau(self.trainer)

    def configure_optimizers(self) -> Any:
        trained = nn.ModuleList([self.net, self.method])
        optimizer = self.make_optimizer(parameter_groups(trained, self.weight_decay))
        if self.make_scheduler is None:
            return optimizer
        scheduler = self.make_scheduler(optimizer)
        check_schedule(scheduler, self.schedule)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, **self.schedule}}
