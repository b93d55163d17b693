"""The bundle that is measured, and the images that are asked about.

The weights are random: the time that a network takes does not depend on them. What batch norm remembers is taken from
the images, so that activations have the sizes of a trained network's; denormal numbers would slow it down.

python -m okkhor.benchmarks.serving.network <parent> <project> <folder> <formats> <override> …
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from okkhor.errors import InputError, JobFailedError
from okkhor.launching.exits import REFUSED, one_line_errors

BUNDLE, IMAGES, SCRATCH = "bundle", "images", "scratch"  # in the folder
DEFAULT = ("experiment=workshop", "model.pretrained=false")  # ResNet-18 at 137×236
COUNT = 64  # images
INT8 = "onnx_int8"


def make(
    root: Path, folder: Path, formats: Sequence[str], overrides: Sequence[str], say: Callable[[str], None]
) -> None:
    """Write `bundle/` with the formats, and `images/` with PNG files, into a folder.

    root: the project's; overrides: what is chosen of the configuration, as for train.py. In a process of its own, so
    that PyTorch is not in this one while it measures. Raises InputError for a mistake in the overrides, and
    JobFailedError with that process's last words when it fails otherwise.
    """
    words = [sys.executable, "-m", __name__, str(os.getpid()), str(root), str(folder), ",".join(formats), *overrides]
    scratch = folder / SCRATCH  # compilers leave their work here
    scratch.mkdir()
    with (folder / "export.txt").open("w+", encoding="utf-8") as errors, subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True,
        env={**os.environ, "TMPDIR": str(scratch), "TORCHINDUCTOR_CACHE_DIR": str(scratch / "inductor")},
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            for line in process.stdout:
                say(line.strip())
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)  # a compiler that it started, too
            raise
        if status := process.wait():
            errors.seek(0)
            words = (errors.read().strip().splitlines() or ["the export failed without a word"])[-1]
            words = words.removeprefix("error: ")
            raise InputError(words) if status == REFUSED else JobFailedError(words)


def write(root: Path, folder: Path, formats: Sequence[str], overrides: Sequence[str]) -> None:
    """What that process does."""
    import cv2
    import numpy as np
    import torch
    from omegaconf import OmegaConf
    from torch import nn

    from okkhor.benchmarks.setting import Setting
    from okkhor.data.resize import resize
    from okkhor.data.synthetic.render import Renderer
    from okkhor.heads import Heads
    from okkhor.labels import read_class_map
    from okkhor.models.classifier import MultiHeadClassifier
    from okkhor.serving.weights import NOT_THE_NETWORKS
    from okkhor.serving.writing import write_bundle
    from okkhor.training.options import check_options

    config: Any = Setting(root, folder).config(overrides)
    check_options(config)
    block = OmegaConf.to_container(config.data.heads, resolve=True)
    model: Any = OmegaConf.to_container(config.model, resolve=True)
    heads, names = Heads.from_config(block), read_class_map().names
    if set(heads.columns) != set(names):
        raise InputError(f"data.heads: {', '.join(heads.columns)}; expected {', '.join(names)}: those are served here")
    renderer = Renderer(seed=0)
    drawn = [renderer.image(number) for number in range(COUNT)]
    (folder / IMAGES).mkdir()
    for number, image in enumerate(drawn):
        cv2.imwrite(str(folder / IMAGES / f"{number:03}.png"), image)
    size = tuple(config.data.size)
    images = np.stack([resize(image, size, crop=config.data.crop) for image in drawn])[:, None]
    torch.manual_seed(0)
    net = MultiHeadClassifier(heads, **{key: value for key, value in model.items() if key not in NOT_THE_NETWORKS})
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean over all it sees: here, this one batch
    with torch.no_grad():
        net.train()(torch.from_numpy(images))
    description = {
        "name": "okkhor",
        "version": "1.0",
        "run": f"{config.model.backbone} with random weights",
        "heads": block,
        "decision": "argmax",
        "labels": {head.name: names[head.column] for head in heads},
        "graphemes": {head.name: head.column for head in heads},
        "input": {"height": size[0], "width": size[1], "crop": config.data.crop, "raw_size": [*config.data.raw_size]},
        "model": model,
        "metrics": {},
    }
    write_bundle(
        folder / BUNDLE,
        net.eval(),
        description,
        formats=[format for format in formats if format != INT8],
        images=images,
        calibration=images if INT8 in formats else None,
        say=lambda line: print(line, flush=True),
    )


if __name__ == "__main__":
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from okkhor.benchmarks.setting import Setting
    from okkhor.tether import tether

    tether(int(sys.argv[1]))
    project, made = Path(sys.argv[2]), Path(sys.argv[3])
    with one_line_errors((HydraException, OmegaConfBaseException), lambda: Setting(project, made).config()):
        write(project, made, sys.argv[4].split(","), sys.argv[5:])
