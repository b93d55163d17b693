"""Prepare data by hand: what train.py does by itself when it is needed.

python scripts/prepare.py synthetic --out data/synthetic --count 20000
python scripts/prepare.py download /data/bengaliai-cv19
python scripts/prepare.py store /data/bengaliai-cv19
python scripts/prepare.py folds /data/bengaliai-cv19
python scripts/prepare.py upload /data/bengaliai-cv19 --to s3://bucket/graphemes
"""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from okkhor.data.store import Store

CONFIGS = Path(__file__).resolve().parent.parent / "configs" / "data"


def main() -> None:
    arguments = _parser().parse_args()
    started = time.monotonic()
    rows = arguments.run(arguments)

    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, show_header=False)
    for name, value in [*rows.items(), ("seconds", f"{time.monotonic() - started:.1f}")]:
        table.add_row(name, str(value))
    Console(soft_wrap=True, highlight=False).print(table)


def synthetic(arguments: argparse.Namespace) -> dict[str, Any]:
    from okkhor.data.synthetic import contact_sheet, render_dataset

    out = render_dataset(arguments.out, count=arguments.count, seed=arguments.seed, fonts=arguments.fonts)
    rows = {"data": out, "images": f"{arguments.count:,}", "bytes": f"{_bytes(out):,}"}
    if arguments.contact_sheet:
        rows["contact sheet"] = contact_sheet(arguments.contact_sheet, out)
    return rows


def download(arguments: argparse.Namespace) -> dict[str, Any]:
    from okkhor.data.download import download_competition

    folder = download_competition(arguments.data_dir)
    return {"data": folder, "bytes": f"{_bytes(folder):,}"}


def store(arguments: argparse.Namespace) -> dict[str, Any]:
    packed = _store(arguments)
    if arguments.verify:
        packed.verify()
    height, width = packed.size
    return {
        "store": packed.path,
        "images": f"{len(packed):,}",
        "size": f"{height} × {width}",
        "bytes": f"{_bytes(packed.path):,}",
    }


def folds(arguments: argparse.Namespace) -> dict[str, Any]:
    import numpy as np

    from okkhor.data.folds import folds_of, folds_path

    packed = _store(arguments)
    of_image = folds_of(packed, arguments.folds, arguments.seed)
    images = ", ".join(f"{count:,}" for count in np.bincount(of_image))
    return {"folds": folds_path(packed, arguments.folds, arguments.seed), "images": images}


def upload(arguments: argparse.Namespace) -> dict[str, Any]:
    from okkhor.data.upload import upload_store

    done = upload_store(_store(arguments), arguments.to)
    return {
        "uploaded": done.uri,
        "files": done.files,
        "bytes": f"{done.sent:,} sent, {done.kept:,} were there",
        "train": f"python train.py launcher=sagemaker data={arguments.data} launcher.data={done.uri} …",
    }


def _store(arguments: argparse.Namespace) -> "Store":
    """The store itself, or that of a data folder, built where there is none."""
    from omegaconf import OmegaConf

    from okkhor.data.layout import DESCRIPTION, Store
    from okkhor.errors import InputError
    from okkhor.heads import Heads

    if (Path(arguments.data_dir) / DESCRIPTION).is_file():
        return Store.open(arguments.data_dir)
    path = CONFIGS / f"{arguments.data}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in CONFIGS.glob("*.yaml")))
        raise InputError(f"--data {arguments.data}: expected one of {known}")
    config = OmegaConf.load(path)
    size = tuple(arguments.size or config.raw_size)
    if config.source == "image_folder":
        from okkhor.data.image_folder import image_folder_store

        return image_folder_store(arguments.data_dir, size=size, cache_dir=arguments.cache_dir)[0]
    from okkhor.data.store import competition_store

    heads = Heads.from_config(OmegaConf.to_container(config.heads))
    split = getattr(arguments, "split", "train")
    return competition_store(arguments.data_dir, heads, split=split, size=size, cache_dir=arguments.cache_dir)


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in Path(folder).iterdir() if file.is_file())


class _OneLineParser(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        self.exit(2, f"{self.prog}: {message}; --help shows the options\n")


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = _OneLineParser(description=__doc__, formatter_class=raw)
    commands = parser.add_subparsers(required=True, metavar="synthetic | download | store | folds | upload")

    one = commands.add_parser("synthetic", help="render a data set of synthetic graphemes")
    one.set_defaults(run=synthetic)
    one.add_argument("--out", type=Path, required=True, help="the folder to make")
    one.add_argument("--count", type=int, default=20_000, help="training images (default 20000)")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--fonts", type=Path, help="a folder of more .ttf and .otf files")
    one.add_argument(
        "--contact-sheet", type=Path, metavar="PNG", help="also draw the first images, as reports/synthetic.png"
    )

    one = commands.add_parser("download", help="fetch the competition's files with the Kaggle client")
    one.set_defaults(run=download)
    one.add_argument("data_dir", type=Path)

    for run, what in (
        (store, "pack the images of a data folder"),
        (folds, "write the folds of a data folder or a store"),
        (upload, "send the packed images of a data folder or a store, with their folds, to S3"),
    ):
        one = commands.add_parser(run.__name__, help=what)
        one.set_defaults(run=run)
        one.add_argument("data_dir", help="a folder, s3://… or a store")
        one.add_argument(
            "--data", default="bengali", help="the file of configs/data that describes it (default bengali)"
        )
        one.add_argument("--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="instead of its raw_size")
        one.add_argument("--cache-dir", help="where stores go (default: beside the data, else ~/.cache/okkhor)")
        if run is upload:
            one.add_argument("--to", required=True, metavar="s3://BUCKET/FOLDER", help="a folder for this store alone")
        elif run is store:
            one.add_argument("--split", choices=("train", "test"), default="train")
            one.add_argument("--verify", action="store_true", help="read it all and compare checksums")
        else:
            one.add_argument("--folds", type=int, default=5)
            one.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    from okkhor.launching.exits import one_line_errors

    with one_line_errors():
        main()
