"""Find a learning rate or a batch size for a run as it would be trained; prints it and draws what was tried.

python scripts/find.py lr optimizer=sgd model=resnet18
python scripts/find.py batch_size model=resnet50 trainer=gpu --to 4096

Trains in one process for a moment and keeps nothing of it.
"""

import argparse
import os
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("OKKHOR_ROOT", str(ROOT))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["lr", "batch_size"])
    parser.add_argument("options", nargs="*", metavar="key=value", help="options of train.py: model=…, optimizer=…")
    parser.add_argument("--from", dest="least", type=float, help="the first to try (lr: 1e-6, batch_size: 16)")
    parser.add_argument("--to", dest="most", type=float, help="the last (lr: 1, batch_size: 8192, without a GPU 1024)")
    parser.add_argument("--steps", type=int, default=200, help="lr: rates to try (200)")
    parser.add_argument("--out", type=Path, help="the picture (reports/find-<what>.png)")
    arguments = parser.parse_intermixed_args()

    from rich.console import Console

    from okkhor.reports import style
    from okkhor.training.fit import quiet

    config = composed(arguments.options)
    quiet()
    out = arguments.out or Path(config.paths.reports) / f"find-{arguments.what}.png"
    out.parent.mkdir(parents=True, exist_ok=True)
    said, figure = (rate if arguments.what == "lr" else batch_size)(config, arguments)
    style.save(figure, out)
    console = Console()
    for line in (*said, str(out)):
        console.print(line, soft_wrap=True, highlight=False)


def rate(config: Any, arguments: argparse.Namespace) -> tuple[list[str], Any]:
    """The lines to print and the picture of a test of learning rates."""
    from okkhor.reports.finding import draw_rates
    from okkhor.training.finding import find_rate

    found = find_rate(config, least=arguments.least or 1e-6, most=arguments.most or 1.0, steps=arguments.steps)
    chosen = {"steepest": found.steepest, "Lightning's": found.lightning}
    chosen = {name: value for name, value in chosen.items() if value is not None}
    if found.steepest is None:
        said = [f"the loss does not fall from {found.rates[0]:.2g} to {found.rates[-1]:.2g}; try --from, --to, --steps"]
    else:
        said = [
            f"optimizer.lr={found.steepest:.2g}   where the loss falls fastest by the logarithm of the rate",
            f"Lightning suggests {found.lightning:.2g}, where it falls fastest by the rate itself",
        ]
    return said, draw_rates(found.rates, found.losses, chosen)


def batch_size(config: Any, arguments: argparse.Namespace) -> tuple[list[str], Any]:
    """The lines to print and the picture of a test of batch sizes."""
    import torch

    from okkhor.launching.opening import processes
    from okkhor.reports.finding import draw_batches
    from okkhor.training.finding import find_batch_size

    gpu = torch.cuda.is_available() and config.trainer.accelerator != "cpu"
    most = int(arguments.most or (8192 if gpu else 1024))
    found = find_batch_size(config, least=int(arguments.least or 16), most=most)
    fastest = max(zip(found.speeds, found.sizes, strict=True))[1]
    ranks = processes(config) * config.trainer.num_nodes
    largest = found.sizes[-1]
    said = [f"data.batch_size={largest * ranks}   the largest tried that fits; {fastest * ranks} is the fastest"]
    if ranks > 1:
        said.append(f"of {ranks} processes together, {largest} in each: tried in one")
    return said, draw_batches(found.sizes, found.speeds, found.most)


def composed(options: list[str]) -> Any:
    """The configuration of a run with these options."""
    from hydra import compose, initialize_config_dir

    from okkhor.training.options import check_options

    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        config = compose("train", options)
    check_options(config)
    return config


if __name__ == "__main__":
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from okkhor.launching.exits import one_line_errors

    with one_line_errors((HydraException, OmegaConfBaseException), lambda: composed([])):
        main()
