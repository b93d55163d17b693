import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from okkhor.heads import Head, Heads
from okkhor.reports.predictions import Predictions
from okkhor.reports.recall import HeadResult

HEADS = Heads([Head("root", "root", 12, 2.0), Head("vowel", "vowel", 4)])


def predictions(
    accuracy: float, *, count: int = 200, seed: int = 0, images: int = 0, heads: Heads = HEADS
) -> Predictions:
    """Made-up predictions. images: whose labels, and how hard each image is; seed: of this run's own luck."""
    of_images, own = np.random.default_rng(images), np.random.default_rng(seed + 100)
    ids = [f"Train_{images}_{k}" for k in range(count)]
    results, probabilities = [], []
    for head in heads:
        labels, hardness = of_images.integers(0, head.classes, count), of_images.random(count)
        right = 0.9 * hardness + 0.1 * own.random(count) < accuracy
        p = own.dirichlet(np.ones(head.classes), count).astype(np.float32)
        answer = np.where(right, labels, (labels + own.integers(1, head.classes, count)) % head.classes)
        p[np.arange(count), answer] += 1
        p /= p.sum(1, keepdims=True)
        results.append(HeadResult.of(head, labels, answer))
        probabilities.append(p)
    return Predictions.of(ids, results, probabilities, {"parameters": 512_000})


@pytest.fixture
def make_run(tmp_path) -> Callable[..., Path]:
    """make_run("light/2026-11-28_10-00-00", 0.8, "aug=light", …) -> a run directory; more: of `predictions`."""

    def make(place: str, accuracy: float | None = 0.8, words: str = "", finished: bool = True, **more) -> Path:
        path = tmp_path / "runs" / place
        (path / "logs").mkdir(parents=True)
        (path / "report").mkdir()
        config = {"data": {"batch_size": 10}, "trainer": {"max_epochs": 2}, "pretrain": more.pop("pretrain", None)}
        (path / "config.yaml").write_text(yaml.safe_dump(config))
        (path / "provenance.yaml").write_text(yaml.safe_dump({"command": f"python train.py {words}".strip()}))
        rows = [f"0,19,{accuracy or 0.5},0.9", f"1,39,{accuracy or 0.5},0.7"]
        (path / "logs" / "metrics.csv").write_text("\n".join(["epoch,step,val/score,val/loss", *rows]) + "\n")
        if finished:
            (path / "metrics.json").write_text(json.dumps({"seconds": 100.0, "epochs": 2, "val/score": accuracy}))
        if accuracy is not None:
            predictions(accuracy, **more).write(path / "report" / "predictions.parquet")
        return path

    return make
