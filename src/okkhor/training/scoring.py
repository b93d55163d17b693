"""Score a network on labeled rows: the numbers of metrics.json and the readings that pictures are made of."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader

from okkhor.data.store import Store
from okkhor.heads import Heads
from okkhor.models.decision import PriorCorrection
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

    They are those that the network decides by and serves: means over its views (`model.tta`), where it has any, and
    corrected where its decision rule corrects them.
    """
    views = getattr(module.net, "views", Views())
    was_training = module.training
    module = module.to(device).eval()
    batches: Iterable[Any] = track(loader, label, transient=True) if label else loader
    parts: list[list[Tensor]] = []
    for images, labels in batches:
        logits = [views.mean_logits(x) for x in module(views(images.to(device)))]
        real = slice(None) if labels.shape[1] == 0 else labels[:, 0] >= 0
        parts.append([x.float().softmax(1).cpu()[real] for x in module.decided(logits)])
    module.train(was_training)
    return [torch.cat(columns).numpy() for columns in zip(*parts, strict=True)]


def score(
    module: ClassifierModule, probabilities: list[np.ndarray], labels: np.ndarray, seen: np.ndarray | None = None
) -> dict[str, float]:
    """`loss`, `score` and `recall_<head>` of what `read` gave; labels: int64 (N, heads).

    seen: bool (N,), images whose label combination training had. With it there are `score_seen` and `score_unseen`
    besides, each where it has images, and the numbers of these as `images_seen` and `images_unseen`. A class of which
    a part has no image does not count in that part's score, unless it was predicted there.
    """
    truth = torch.from_numpy(labels)
    read_as = [torch.from_numpy(p) for p in probabilities]
    predicted = torch.stack([p.argmax(1) for p in read_as], 1)
    values = _recalls(module.heads, predicted, truth)
    for part, chosen in {"seen": seen, "unseen": None if seen is None else ~seen}.items():
        if chosen is None:
            continue
        values[f"images_{part}"] = int(chosen.sum())
        if chosen.any():
            values[f"score_{part}"] = _recalls(module.heads, predicted[chosen], truth[chosen])["score"]
    # log-probabilities are logits, up to a constant that the loss does not see; it is that of the network, uncorrected
    logits = [p.clamp(min=1e-12).log() for p in read_as]
    rule: PriorCorrection | None = getattr(module.net, "decision", None)
    loss: HeadsLoss = module.loss
    values["loss"] = float(loss.cpu().per_sample(logits if rule is None else rule.undone(logits), truth).mean())
    return values


def _recalls(heads: Heads, predicted: Tensor, truth: Tensor) -> dict[str, float]:
    metric = HeadsScore(heads, across_ranks=False)
    metric.update(predicted, truth)
    return {name: float(value) for name, value in metric.compute().items()}


class Rows:
    """Chosen rows of a store's images by their position among the chosen: nothing is read before it is asked for."""

    def __init__(self, images: np.ndarray, rows: np.ndarray) -> None:
        self.images, self.rows = images, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, chosen: np.ndarray) -> np.ndarray:
        return np.asarray(self.images[self.rows[chosen]])


def readings(
    store: Store, rows: np.ndarray, probabilities: list[np.ndarray], seen: np.ndarray | None = None
) -> Readings:
    """What a model said of rows of a store, for the report; seen: as in `score`."""
    assert store.labels is not None
    ids = store.image_ids
    return Readings(Rows(store.images, rows), store.labels[rows], probabilities, seen, [ids[row] for row in rows])
