"""What every part of the bench is given, and the data that it measures with."""

import importlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from omegaconf import DictConfig

from okkhor.errors import InputError
from okkhor.heads import Heads

BYTES_A_PIXEL = 5  # in the temporary folder: while rendering, the Parquet file, two stores and their scratch files


@dataclass(frozen=True)
class Setting:
    """root: the project's folder, with train.py and configs/; scratch: a folder for everything that is written;
    rows: images of the data set; rounds: how often each side is measured; seconds: how long a side of the input
    pipeline runs in one round; steps: training steps of one round."""

    root: Path
    scratch: Path
    rows: int = 10_000
    rounds: int = 5
    seconds: float = 3.0
    steps: int = 25

    @property
    def data(self) -> Path:
        """The folder of the data set: the competition's files, all training images in one of them."""
        return self.scratch / "data"

    def config(self, overrides: Sequence[str] = ()) -> DictConfig:
        """The project's configuration, with overrides as on a command line."""
        from hydra import compose, initialize_config_dir

        with initialize_config_dir(str(self.root / "configs"), version_base="1.3"):
            return compose("train", [*overrides, f"paths.runs={self.scratch / 'runs'}"])

    def task(self) -> tuple[Heads, tuple[int, int]]:
        """The heads, and height and width of the images in the files, of the reference task."""
        from omegaconf import OmegaConf

        data = self.config(["data=bengali"]).data
        return Heads.from_config(OmegaConf.to_container(data.heads)), (data.raw_size[0], data.raw_size[1])

    def render(self) -> None:
        """Make the data set: synthetic graphemes, whose files compress as scanned ones do.

        Raises InputError where there is no room for it, or too few rows.
        """
        from okkhor.data.synthetic import render_dataset

        _, (height, width) = self.task()
        needed, free = self.rows * height * width * BYTES_A_PIXEL, shutil.disk_usage(self.scratch).free
        if free < needed:
            raise InputError(
                f"{self.scratch.parent}: the bench needs {needed / 1e9:.1f} GB there for a while, {free / 1e9:.1f} GB "
                "are free; choose fewer images with --rows, or another place with TMPDIR="
            )
        render_dataset(self.data, count=self.rows, seed=0, files=1, test_count=1, progress=False)


def extra(name: str) -> ModuleType:
    """A package that only the bench needs; raises InputError where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(f"{name}: not installed, the bench compares with it; pip install -e '.[dev]'") from error
