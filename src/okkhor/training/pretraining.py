"""A pretraining run: its parts from the configuration, and its score by nearest neighbors in the end."""

from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from rich.progress import track
from torch import Tensor, nn

from okkhor.augment.image import ImagePipeline
from okkhor.build import build, check_arguments
from okkhor.data.module import ImageData
from okkhor.data.pretraining import PretrainData
from okkhor.errors import InputError
from okkhor.heads import Heads
from okkhor.models.classifier import MultiHeadClassifier
from okkhor.models.metrics import HeadsScore
from okkhor.models.pretraining.knn import FeatureRows, knn_probabilities
from okkhor.models.pretraining.module import KNN, PretrainModule
from okkhor.runs import Run

DATA = "okkhor.data.pretraining.PretrainData"


def is_pretraining(config: DictConfig) -> bool:
    """Whether a configuration trains features without labels; those of older runs do not know the word."""
    return config.get("pretrain") is not None


def refuse_pretraining(run: Run, config: DictConfig) -> None:
    """Raise InputError for a run without trained heads, which cannot be evaluated, exported or served."""
    if is_pretraining(config):
        raise InputError(
            f"{run.path}: a pretraining run has features but no trained heads; expected a run that was trained with "
            f"labels, for example from it: python train.py model.init_from={run.path}"
        )


def check_pretraining(config: DictConfig) -> None:
    """Raise InputError for what does not go with pretraining, before any data is read."""
    if find_spec("lightly") is None:
        raise InputError("pretrain: lightly is not installed; expected pip install -e '.[ssl]'")
    if config.aug.batch:
        raise InputError("aug.batch: pretraining mixes no images; expected null, as aug=views has it")
    if config.model.get("pool") == "gem_each":
        raise InputError("model.pool: pretraining has no heads that could pool for themselves; expected gem or avg")
    if config.model.get("compile"):
        raise InputError("model.compile: pretraining does not compile; expected false")


def build_pretrain_data(config: DictConfig) -> PretrainData:
    """The DataModule of `okkhor.data.pretraining`, with the views' augmentation in it."""
    transforms = OmegaConf.to_container(config.aug.image, resolve=True)
    check_pretraining(config)
    check_arguments(ImageData, config.data, "data")
    return build(
        OmegaConf.merge(config.data, {"_target_": DATA}),
        "data",
        seed=config.seed,
        augmentation=ImagePipeline(transforms) if transforms else None,
        test_images=config.pretrain.test_images,
        bank=config.pretrain.bank,
    )


def build_pretrain_module(
    config: DictConfig,
    heads: Heads,
    net: nn.Module,
    optimizer: Callable[[list[dict[str, Any]]], torch.optim.Optimizer],
    scheduler: Callable[[torch.optim.Optimizer], Any],
    total_steps: int = 1,
) -> PretrainModule:
    """The network with the method's parts, optimizer and schedule, ready to be fitted."""
    if not isinstance(net, MultiHeadClassifier):
        raise InputError(f"model._target_: {config.model._target_} cannot be pretrained; expected MultiHeadClassifier")
    return PretrainModule(
        heads,
        net,
        build(config.pretrain.method, "pretrain.method", net),
        optimizer,
        scheduler,
        schedule=OmegaConf.to_container(config.scheduler.schedule, resolve=True),
        weight_decay=float(config.optimizer.get("weight_decay", 0.0)),
        total_steps=total_steps,
        neighbors=config.pretrain.neighbors,
        seed=config.seed,
    )


@torch.inference_mode()
def read_by_neighbors(
    module: PretrainModule,
    data: PretrainData,
    rows: np.ndarray,
    device: torch.device,
    label: str,
    most: int | None = None,
) -> list[np.ndarray]:
    """Each head's shares of the neighbors' vote, float32 (N, classes), for rows of the store in their order.

    label: of the progress bar, none where empty; most: of the labeled images that vote, all of `data.bank_rows`
    where it is None.
    """
    was_training = module.training
    module = module.to(device).eval()
    parts: list[tuple[Tensor, Tensor]] = []
    for part in (data.bank_rows[:most], rows):
        loader = data.loader_of(part)  # for one process: nothing is padded
        batches: Iterable[Any] = track(loader, label, transient=True) if label else loader
        read = FeatureRows()
        for images, labels in batches:
            read.add(module(images.to(device)), labels.to(device))
        parts.append(read.take())
    module.train(was_training)
    (features, labels), (asked_features, _) = parts
    found = knn_probabilities(features, labels, asked_features, module.heads, module.neighbors)
    return [p.cpu().numpy() for p in found]


def score_by_neighbors(module: PretrainModule, probabilities: list[np.ndarray], labels: np.ndarray) -> dict[str, float]:
    """`val/knn_score`, `val/knn_recall_<head>` of such readings; labels: int64 (N, heads)."""
    metric = HeadsScore(module.heads, across_ranks=False)
    metric.update(torch.from_numpy(np.stack([p.argmax(1) for p in probabilities], 1)), torch.from_numpy(labels))
    return {f"val/{KNN}{name}": float(value) for name, value in metric.compute().items()}
