"""Contract 1: a run is a folder. Create it, find it, read it.

runs/<name>/<timestamp>[/<job>]/
    config.yaml        resolved, but for machine paths (`paths.*`, `data.dir` …), which resolve where it is read
    checkpoints/       best.ckpt, last.ckpt
    metrics.json       flat: final numbers and `objective`
    provenance.yaml    command, commit and uncommitted changes, package versions, data identity
    logs/  report/     metrics.csv and what other loggers write; pictures
"""

import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from okkhor.atomic import write_atomically
from okkhor.errors import InputError

COMMAND = "OKKHOR_COMMAND"  # in the environment of a process that another one started for it: what was typed there
PACKAGES = ("torch", "torchvision", "pytorch-lightning", "hydra-core", "albumentations", "timm", "numpy", "pyarrow")


@dataclass(frozen=True)
class Run:
    """One run directory; the paths inside it."""

    path: Path

    @classmethod
    def create(cls, root: str | Path, name: str, job: str | None = None, sweep: str | Path | None = None) -> "Run":
        """Make a new run directory under `root`, atomically: two callers never share one.

        name: first folder; job: last folder of a sweep's job, whose sweep folder is `sweep` (else a timestamp).
        A name that exists already gets a suffix: -2, -3 …
        """
        parent = Path(sweep) if sweep else Path(root) / name
        stem = job if job is not None else datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
        parent.mkdir(parents=True, exist_ok=True)
        for attempt in range(1, 10_000):
            path = parent / (stem if attempt == 1 else f"{stem}-{attempt}")
            try:
                path.mkdir()
            except FileExistsError:
                continue
            for folder in ("checkpoints", "logs", "report"):
                (path / folder).mkdir()
            return cls(path.resolve())
        raise InputError(f"{parent}: no free name for a run like {stem!r}; remove old runs")

    @classmethod
    def open(cls, path: str | Path) -> "Run":
        """An existing run directory; raises InputError when it is none."""
        path = Path(path).expanduser()
        if not path.is_dir():
            raise InputError(f"{path}: no such run directory; expected a folder like runs/default/2026-11-22_20-18-00")
        if not (path / "config.yaml").is_file():
            raise InputError(f"{path}: not a run directory, it has no config.yaml")
        return cls(path.resolve())

    @classmethod
    def newest(cls, root: str | Path, *, trained: bool = False) -> "Run":
        """The run under `root` that was started last; raises InputError when there is none.

        trained: leave out those without a checkpoint, such as one that is in its first epoch.
        """
        found = [path.parent for path in Path(root).glob("*/**/config.yaml")]
        if trained:
            found = [path for path in found if cls(path).best.is_file() or cls(path).last.is_file()]
        if not found:
            raise InputError(f"{root}: no {'trained ' * trained}run in it yet; `python train.py` makes one")
        return cls(max(found, key=lambda path: (path / "config.yaml").stat().st_mtime).resolve())

    @property
    def id(self) -> str:
        """A stable identifier for experiment trackers: name, timestamp and job joined by dashes."""
        parts = self.path.parts
        return "-".join(parts[parts.index("runs") + 1 :] if "runs" in parts else parts[-2:]).replace(" ", "_")

    @property
    def last(self) -> Path:
        return self.path / "checkpoints" / "last.ckpt"

    @property
    def best(self) -> Path:
        return self.path / "checkpoints" / "best.ckpt"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def report(self) -> Path:
        return self.path / "report"

    def config(self) -> DictConfig:
        """The run's own configuration; raises InputError when the file cannot be read."""
        try:
            config = OmegaConf.load(self.path / "config.yaml")
        except (OSError, ValueError, yaml.YAMLError, OmegaConfBaseException) as error:
            raise InputError(f"{self.path / 'config.yaml'}: cannot be read as YAML: {error}") from error
        if not isinstance(config, DictConfig):
            raise InputError(f"{self.path / 'config.yaml'}: expected a mapping of options")
        return config

    def write_config(self, config: DictConfig) -> None:
        """Write config.yaml: resolved, but values that refer to machine paths keep their reference."""
        write_atomically(self.path / "config.yaml", OmegaConf.to_yaml(portable(config)))

    def metrics(self) -> dict[str, float]:
        """What metrics.json holds; raises InputError when the run has not finished."""
        path = self.path / "metrics.json"
        if not path.is_file():
            raise InputError(f"{path}: not there, the run has not finished; `python train.py resume={self.path}`")
        return json.loads(path.read_text(encoding="utf-8"))

    def write_metrics(self, metrics: Mapping[str, float | int | str | None]) -> None:
        write_atomically(self.path / "metrics.json", json.dumps(dict(metrics), indent=2, sort_keys=True) + "\n")

    def checkpoint(self) -> Path:
        """best.ckpt, or last.ckpt where no best was kept; raises InputError when there is neither."""
        for path in (self.best, self.last):
            if path.is_file():
                return path
        raise InputError(f"{self.path}: no checkpoint in it; `python train.py resume={self.path}` trains it")

    @contextmanager
    def discarded_if_refused(self) -> Iterator[None]:
        """Remove the directory again when what it describes was refused before anything was trained.

        A process of its own tells so by status 2.
        """
        try:
            yield
        except (InputError, SystemExit) as error:
            if isinstance(error, InputError) or error.code == 2:
                self.discard_if_untrained()
            raise

    def discard_if_untrained(self) -> None:
        """Remove the directory, unless there is a checkpoint in it; ranks that were all refused may do so together."""
        with suppress(FileNotFoundError):
            if any((self.path / "checkpoints").iterdir()):
                return
        shutil.rmtree(self.path, ignore_errors=True)

    def write_provenance(self, data: Mapping[str, Any], init_from: Mapping[str, Any] | None = None) -> None:
        """Write provenance.yaml: what made this run; a resumed run keeps its first.

        data: what it was trained on; init_from: the run whose weights it started from, and which of them.
        """
        path = self.path / "provenance.yaml"
        if path.exists():
            return
        record = {
            "command": os.environ.get(COMMAND) or typed_command(),
            "started": datetime.now().astimezone().isoformat(timespec="seconds"),
            "git": git_state(),
            "python": platform.python_version(),
            "machine": {
                "system": platform.platform(),
                "processors": os.cpu_count(),
                "threads": os.environ.get("OMP_NUM_THREADS"),  # another number rounds otherwise
            },
            "packages": {name: _version(name) for name in PACKAGES},
            "data": dict(data),
            **({"init_from": dict(init_from)} if init_from else {}),
        }
        write_atomically(path, yaml.safe_dump(record, sort_keys=False, allow_unicode=True))


def portable(config: DictConfig) -> DictConfig:
    """Resolve every value of a configuration but those that say where things lie on this machine.

    `paths.*` and any value that refers to `${paths.…}` or the environment keep their reference; a relative
    `data.dir`, `data.store`, `data.synthetic_dir` or `model.init_from` that was typed in becomes absolute, since a run
    is resumed from anywhere.
    """
    raw = OmegaConf.to_container(config, resolve=False)
    resolved = OmegaConf.to_container(config, resolve=True)

    def choose(before: Any, after: Any, inside_paths: bool) -> Any:
        if isinstance(before, dict) and isinstance(after, dict):
            return {key: choose(before[key], after[key], inside_paths or key == "paths") for key in after}
        if isinstance(before, list) and isinstance(after, list):
            return [choose(b, a, inside_paths) for b, a in zip(before, after, strict=True)]
        refers = isinstance(before, str) and any(mark in before for mark in ("${paths.", "${oc.env:"))
        return before if refers or inside_paths else after

    chosen = choose(raw, resolved, False)
    for group, key in (("data", "dir"), ("data", "store"), ("data", "synthetic_dir"), ("model", "init_from")):
        value = (chosen.get(group) or {}).get(key)
        if isinstance(value, str) and not value.startswith("${") and "://" not in value:
            chosen[group][key] = str(Path(value).expanduser().absolute())
    return OmegaConf.create(chosen)


def typed_command() -> str:
    """The command line of this process, as it could be typed again."""
    return shlex.join(["python", *sys.argv])


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def git_state() -> dict[str, str] | None:
    """Commit and uncommitted changes of the source tree, or None outside a repository."""

    def git(*words: str) -> str:
        source = Path(__file__).parent
        return subprocess.run(["git", "-C", str(source), *words], capture_output=True, text=True, check=True).stdout

    try:
        return {"commit": git("rev-parse", "HEAD").strip(), "diff": git("diff", "HEAD")}
    except (OSError, subprocess.CalledProcessError):
        return None
