"""A run's opinion of a store's images, from a process that ends with it: PyTorch's memory goes, too."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import yaml

from okkhor.data.layout import Store
from okkhor.data.splitting import held_out
from okkhor.errors import InputError
from okkhor.reports.eda.opinions import Opinions
from okkhor.runs import Run
from okkhor.tether import PARENT


def ask(
    run: Run, store: Store, *, most: int, features: int, seed: int, advance: Callable[[int, int], None]
) -> Opinions:
    """Have the run's network read at most `most` images, those it was not trained on first.

    features: of so many of them the features are kept; advance: gets the number done, and of how many. Raises
    InputError with what the other process found wrong, as a run that has no checkpoint.
    """
    if run.config().get("pretrain") is not None:
        raise InputError(f"--run {run.path}: a pretraining has no trained heads; expected a run trained with labels")
    apart = _held_out(run, store)
    rng = np.random.default_rng([seed, 4])
    order = rng.permutation(len(store))
    if apart is not None:
        order = np.concatenate([order[apart[order]], order[~apart[order]]])
    rows = order[:most]
    with tempfile.TemporaryDirectory(prefix="okkhor-eda-") as folder:
        asked, answered = Path(folder) / "asked.npz", Path(folder) / "found.npz"
        assert store.labels is not None
        np.savez(asked, rows=rows, labels=store.labels[rows])
        words = [str(run.path), str(store.path), str(asked), str(features), str(answered)]
        _start(words, lambda done: advance(done, len(rows)))
        with np.load(answered, allow_pickle=False) as found:
            said = {name: found[name] for name in ("read_as", "sure", "given", "features")}
    name = "/".join(run.path.parts[-2:])
    return Opinions(rows, held_out=None if apart is None else apart[rows], run=name, **said)


def _held_out(run: Run, store: Store) -> np.ndarray | None:
    """Rows that the run was not trained on, (N,) bool; None where it was trained on other data, or none says which."""
    path = run.path / "provenance.yaml"
    known = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if (known.get("data") or {}).get("identity") != store.key:
        return None
    data = run.config().data
    chosen = {"split": "fold", "fold": 0, "folds": 5, "fold_seed": 0, "unseen_share": 0.0}  # where a file names none
    return held_out(store, *(data.get(key, default) for key, default in chosen.items()))


def _start(words: list[str], done: Callable[[int], None]) -> None:
    environment = {**os.environ, PARENT: str(os.getpid())}
    command = [sys.executable, "-m", "okkhor.training.embedding", *words]
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment) as child,
    ):
        try:
            assert child.stdout is not None
            for line in child.stdout:
                if line.strip().isdecimal():
                    done(int(line))
            status = child.wait()
        except BaseException:
            child.kill()
            raise
        if status:
            errors.seek(0)
            lines = [line for line in errors.read().splitlines() if line.strip()] or [f"it ended with status {status}"]
            said = next((line for line in reversed(lines) if line.startswith("error: ")), lines[-1])
            raise InputError(f"--run: {said.removeprefix('error: ')}")
