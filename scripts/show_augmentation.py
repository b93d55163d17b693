"""Draw what an augmentation does: images before, and as a network sees them in so many epochs.

python scripts/show_augmentation.py aug=cutmix
python scripts/show_augmentation.py aug=strong aug.batch.p=1 data=bengali data.dir=/data/bengaliai-cv19 --rows 8
"""

import argparse
import os
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("OKKHOR_ROOT", str(ROOT))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("options", nargs="*", metavar="key=value", help="options of train.py: aug=…, data=…, seed=…")
    parser.add_argument("--rows", type=int, default=6, help="images (6)")
    parser.add_argument("--columns", type=int, default=6, help="augmented forms of each (6)")
    parser.add_argument("--out", type=Path, help="the picture (reports/augmentation-<aug>.png)")
    arguments = parser.parse_intermixed_args()

    from rich.console import Console

    from okkhor.errors import InputError
    from okkhor.reports import style
    from okkhor.reports.augmentation import draw_augmentation

    if min(arguments.rows, arguments.columns) < 1 or max(arguments.rows, arguments.columns) > 24:
        raise InputError("--rows, --columns: expected 1 to 24")
    config, name = composed(arguments.options)
    pictures = augmented(config, arguments.rows, arguments.columns)
    out = arguments.out or Path(config.paths.reports) / f"augmentation-{name}.png"
    out.parent.mkdir(parents=True, exist_ok=True)
    style.save(draw_augmentation(f"aug={name}", *pictures), out)
    Console().print(str(out), soft_wrap=True, highlight=False)


def composed(options: list[str]) -> tuple[Any, str]:
    """The configuration of a run with these options, and the name of its augmentation."""
    from hydra import compose, initialize_config_dir

    from okkhor.training.options import check_options

    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        config = compose("train", options, return_hydra_config=True)
    name = config.hydra.runtime.choices.aug
    check_options(config)
    return config, name


def augmented(config: Any, rows: int, columns: int) -> tuple[Any, ...]:
    """Images, labels, their augmented forms and what those count as: what `draw_augmentation` takes."""
    import numpy as np
    import torch

    from okkhor.augment.batch import MixedLabels
    from okkhor.build import build
    from okkhor.data.texts import class_texts
    from okkhor.reports.naming import Naming
    from okkhor.training.build import build_data

    data = build_data(config)
    data.prepare_data()
    chosen = np.random.default_rng(config.seed).permutation(data.rows("train"))[:rows]
    before, labels = np.asarray(data.images[chosen]), np.asarray(data.store.labels[chosen])
    mixing = build(config.aug.batch, "aug.batch") if config.aug.batch else None
    forms, mixed = [], []
    for epoch in range(columns):
        images = before.copy()
        if data.augmentation is not None:
            drawn = zip(images, chosen.tolist(), strict=True)
            images = np.stack([data.augmentation(image, [config.seed, epoch, row]) for image, row in drawn])
        batch, targets = torch.from_numpy(images).unsqueeze(1), torch.from_numpy(labels)
        if mixing is not None:
            batch, targets = mixing(batch, targets, torch.Generator().manual_seed(config.seed + epoch))
        if not isinstance(targets, MixedLabels):
            targets = MixedLabels(targets, targets, torch.ones(len(targets)))
        forms.append(batch[:, 0].float().numpy())
        shares = zip(targets.a.numpy(), targets.b.numpy(), targets.lam.tolist(), strict=True)
        mixed.append([(a, b, 1.0 if (a == b).all() else share) for a, b, share in shares])
    names, compose_text = class_texts(data.heads, data.store)
    return before, labels, np.stack(forms, 1), list(zip(*mixed, strict=True)), Naming(names, compose_text)


if __name__ == "__main__":
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from okkhor.launching.exits import one_line_errors

    with one_line_errors((HydraException, OmegaConfBaseException), lambda: composed([])[0]):
        main()
