"""Score a network on labelled rows: the numbers of metrics.json and the readings that pictures are made of."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader

from okkhor.data.store import Store
from okkhor.models.losses import HeadsLoss
from okkhor.models.metrics import HeadsScore
from okkhor.models.module import ClassifierModule
from okkhor.models.views import Views
from okkhor.reports.run import Readings


def device() -> torch.device:
    """The fastest device of this machine for reading images."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


@torch.inference_mode()
def read(module: ClassifierModule, loader: DataLoader, device: torch.device, label: str) -> list[np.ndarray]:
    """Probabilities of each head, float32 (N, classes), over a loader in its order, without its padding.

    They are means over the network's views (`model.tta`), where it has any.
    """
    views = getattr(module.net, "views", Views())
    was_training = module.training
    module = module.to(device).eval()
    batches: Iterable[Any] = track(loader, label, transient=True) if label else loader
    parts: list[list[Tensor]] = []
    for images, labels in batches:
        logits = module(views(images.to(device)))
        real = slice(None) if labels.shape[1] == 0 else labels[:, 0] >= 0
        parts.append([views.mean(x.float().softmax(1)).cpu()[real] for x in logits])
    module.train(was_training)
    return [torch.cat(columns).numpy() for columns in zip(*parts, strict=True)]


def score(module: ClassifierModule, probabilities: list[np.ndarray], labels: np.ndarray) -> dict[str, float]:
    """`loss`, `score` and `recall_<head>` of readings; labels: int64 (N, heads)."""
    metric = HeadsScore(module.heads, across_ranks=False)
    loss: HeadsLoss = module.loss
    truth = torch.from_numpy(labels)
    read_as = [torch.from_numpy(p) for p in probabilities]
    metric.update(torch.stack([p.argmax(1) for p in read_as], 1), truth)
    values = {name: float(value) for name, value in metric.compute().items()}
    # log-probabilities are logits, up to a constant that the loss does not see
    values["loss"] = float(loss.cpu()([p.clamp(min=1e-12).log() for p in read_as], truth))
    return values


class Rows:
    """Chosen rows of a store's images by their position among the chosen: nothing is read before it is asked for."""

    def __init__(self, images: np.ndarray, rows: np.ndarray) -> None:
        self.images, self.rows = images, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, chosen: np.ndarray) -> np.ndarray:
        return np.asarray(self.images[self.rows[chosen]])


def readings(store: Store, rows: np.ndarray, probabilities: list[np.ndarray]) -> Readings:
    """What a model said of rows of a store, for the report."""
    assert store.labels is not None
    return Readings(Rows(store.images, rows), store.labels[rows], probabilities)
