"""Look at the data before training on it: one page of classes, samples, ink, duplicates, doubtful labels, folds.

python scripts/eda.py                                                      # the synthetic data
python scripts/eda.py data=bengali data.dir=/data/bengaliai-cv19
python scripts/eda.py data=image_folder data.dir=/data/flowers --out reports/flowers
python scripts/eda.py --run runs/default/2026-11-22_20-18-00               # that run's data, and what it makes of it

With a run its network names the labels it contradicts, and lays images on a plane by its features.
"""

import argparse
import os
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("OKKHOR_ROOT", str(ROOT))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "options", nargs="*", metavar="key=value", help="options of train.py: data=…, data.dir=…, seed=…"
    )
    parser.add_argument("--run", help="a run directory; without options it is its data that is looked at")
    parser.add_argument("--out", type=Path, help="the folder of the page (reports/eda)")
    parser.add_argument(
        "--read", type=int, default=50_000, metavar="N", help="images that the run's network reads, at most (50000)"
    )
    parser.add_argument(
        "--points", type=int, default=2000, metavar="N", help="of them so many are laid on a plane (2000)"
    )
    arguments = parser.parse_intermixed_args()

    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    from okkhor.errors import InputError
    from okkhor.reports.eda.explore import explore
    from okkhor.reports.eda.moving import plotly_js
    from okkhor.reports.eda.section import Advance
    from okkhor.runs import Run

    if arguments.read < 1 or arguments.points < 0:
        raise InputError("--read, --points: expected a number of images, at least 1 and 0")
    if arguments.out is not None and arguments.out.exists() and not arguments.out.is_dir():
        raise InputError(f"--out {arguments.out}: is a file; expected a folder, which is made if missing")
    plotly_js()  # refused now rather than in minutes
    run = Run.open(arguments.run) if arguments.run else None
    if run is not None:
        run.checkpoint()
    config = run.config() if run is not None and not arguments.options else composed(arguments.options)
    out = arguments.out or Path(composed([]).paths.reports) / "eda"
    data, name = opened(config)

    terminal = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=terminal, transient=True, disable=not terminal.is_terminal) as progress:

        def step(said: str) -> Advance:
            task = progress.add_task(said, total=None)
            return lambda done, total: progress.update(task, completed=done, total=total)

        opinions = None
        if run is not None:
            from okkhor.training.embedded import ask

            asked = {"most": arguments.read, "features": arguments.points, "seed": data.seed}
            opinions = ask(run, data.store, **asked, advance=step("reading with the run's network"))
        page, *beside = explore(data, out, name, opinions, step)
    size = page.stat().st_size / 1e6
    Console().print(f"{page}  ({size:.1f} MB, {len(beside)} files beside it)", soft_wrap=True, highlight=False)


def composed(options: list[str]) -> Any:
    """The configuration of a run with these options."""
    from hydra import compose, initialize_config_dir

    from okkhor.training.options import check_options

    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        config = compose("train", options)
    check_options(config)
    return config


def opened(config: Any) -> tuple[Any, str]:
    """The labeled data set that a configuration means, without PyTorch, and what the page calls it."""
    from omegaconf import OmegaConf

    from okkhor.data.opening import heads_in, open_store
    from okkhor.data.reading import StoredImages
    from okkhor.data.texts import class_texts
    from okkhor.errors import InputError
    from okkhor.reports.eda.section import DataSet
    from okkhor.reports.naming import Naming

    block: Any = OmegaConf.to_container(config.data, resolve=True)
    given = {key: block[key] for key in ("store", "cache_dir", "synthetic", "download") if key in block}
    store = open_store(block["source"], block["dir"], block["heads"], raw_size=tuple(block["raw_size"]), **given)
    if store.labels is None or not len(store):
        raise InputError(f"{store.path}: no labeled images in it; expected those of a training split")
    heads = heads_in(block["source"], block["heads"], store)
    data = DataSet(
        store,
        heads,
        Naming(*class_texts(heads, store)),
        StoredImages(store),
        store.labels,
        folds=block.get("folds", 5),
        fold_seed=block.get("fold_seed", 0),
        seed=config.seed,
    )
    rendered = block["source"] == "synthetic" and not block.get("store")
    return data, "synthetic graphemes" if rendered else Path(block.get("store") or block["dir"]).resolve().name


if __name__ == "__main__":
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from okkhor.launching.exits import one_line_errors

    with one_line_errors((HydraException, OmegaConfBaseException), lambda: composed([])):
        main()
