"""The report of a trained network: its readings, and what the network itself has to be asked for."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from pytorch_lightning import LightningModule

from okkhor.data.module import ImageData
from okkhor.data.resize import resize
from okkhor.data.texts import class_texts
from okkhor.models.classifier import MultiHeadClassifier
from okkhor.models.gradcam import grad_cam
from okkhor.models.pretraining.module import PretrainModule
from okkhor.reports.gradcam import Explained, surest_mistakes
from okkhor.reports.run import Readings, write_report
from okkhor.training.decision import remark

SHARP = 120  # pixels of height at which an explained image is shown, at least


def report_network(
    run_dir: Path,
    module: LightningModule,
    data: ImageData,
    rows: np.ndarray,
    found: Readings,
    *,
    folder: Path | None = None,
    of: str = "",
) -> list[Path]:
    """Write the report of what a network said of rows of the data; returns the files written.

    A pretraining's network has no trained heads: its report tells neither calibration nor where it looked. folder:
    where the report goes, the run's own by default; of: a sentence on which images were read, where they are not
    those that the run was validated on.
    """
    names, compose = class_texts(data.heads, data.store)
    if isinstance(module, PretrainModule):
        return write_report(run_dir, found, data.heads, names, compose, by_neighbors=True)
    parameters = sum(weight.numel() for weight in module.net.parameters())
    texts = {head: [str(text) for text in of_head] for head, of_head in (names or {}).items()}
    found = replace(found, about={**found.about, "parameters": parameters, "texts": texts})
    said = " ".join(text for text in (of, remark(module)) if text)
    explained = explain(module.net, data, rows, found)
    return write_report(
        run_dir, found, data.heads, names, compose, remark=said, explained=explained, folder=folder, own=not of
    )


def explain(net: torch.nn.Module, data: ImageData, rows: np.ndarray, found: Readings) -> Explained | None:
    """Grad-CAM of each head's surest mistakes, on the device where the network is; None for a foreign network."""
    if not isinstance(net, MultiHeadClassifier):
        return None
    results = found.results(data.heads)
    chosen = surest_mistakes(results, found.probabilities)
    picked = rows[chosen[:, 0]]
    seen = np.asarray(data.images[picked])
    # what the network saw, in the resolution of the files: the same part of the image, sharper
    times = max(1, -(-SHARP // data.size[0]))
    shown = resize(np.asarray(data.store.images[picked]), (data.size[0] * times, data.size[1] * times), crop=data.crop)
    if not len(chosen):
        nothing = np.empty((0, *data.size), np.float32)
        return Explained(chosen, shown, nothing, nothing)

    def maps(of_heads: list[np.ndarray]) -> np.ndarray:
        classes = torch.from_numpy(np.stack([labels[chosen[:, 0]] for labels in of_heads], 1))
        every = grad_cam(net, images, classes.to(images.device))
        return every[torch.arange(len(chosen)), torch.from_numpy(chosen[:, 1])].cpu().numpy()

    was_training = net.training
    net.eval()
    images = torch.from_numpy(seen).unsqueeze(1).to(next(net.parameters()).device)
    truth, answer = maps([r.labels for r in results]), maps([r.predicted for r in results])
    net.train(was_training)
    return Explained(chosen, shown, truth, answer)
