"""What pretraining is worth where few images have labels: one net from scratch and from each kind of pretraining.

Every stage is a run of train.py in a folder of its own, found again by name: what is done is not done twice, and
what was interrupted goes on. All pretrainings pass as many images through the network, and so do all fine-tunings.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from okkhor.atomic import write_atomically
from okkhor.errors import InputError, JobFailedError, StoppedError
from okkhor.runs import Run
from okkhor.tether import PARENT

Say = Callable[[str], None]
EVERY = 5  # epochs of fine-tuning between two validations, which would take as long as the epochs themselves


@dataclass(frozen=True)
class Budget:
    """How much of everything. data: the folder with the competition's files; fraction: of the labels; passes: images
    that a pretraining passes through the network forwards and backwards; epochs: of fine-tuning; more: further words
    for every run.
    """

    data: Path
    fraction: float = 0.1
    passes: int = 96_000
    epochs: int = 40
    seeds: int = 1
    synthetic: int = 20_000
    more: Sequence[str] = ()


@dataclass(frozen=True)
class Stage:
    """One run. name: of its folder; words: for train.py; start: the stage whose weights it starts from."""

    name: str
    words: Sequence[str]
    start: str | None = None


# how the table calls each kind of pretraining, and what is passed through the network
KINDS = {
    "scratch": "from scratch",
    "simclr": "SimCLR, images without labels",
    "byol": "BYOL, images without labels",
    "synthetic": "supervised, rendered images",
}


def stages(budget: Budget, images: int) -> list[Stage]:
    """All runs in their order; images: without labels, that SimCLR and BYOL train on."""
    real = ["data=bengali", f"data.dir={budget.data}", *budget.more]
    made = []
    for method in ("simclr", "byol"):
        epochs = max(1, round(budget.passes / (2 * images)))  # two views of each
        made.append(Stage(method, [f"experiment={method}", *real, f"trainer.max_epochs={epochs}"]))
    rendered = ["data=synthetic", f"data.synthetic.count={budget.synthetic}", *budget.more]
    epochs = max(1, round(budget.passes / (0.8 * budget.synthetic)))  # four of five folds
    made.append(Stage("synthetic", [*rendered, f"trainer.max_epochs={epochs}"]))
    every = min(EVERY, budget.epochs)
    tune = [*real, f"data.label_fraction={budget.fraction}", f"trainer.max_epochs={budget.epochs}"]
    tune += [f"trainer.check_val_every_n_epoch={every}"]
    for kind in KINDS:
        for seed in range(budget.seeds):
            start = None if kind == "scratch" else kind
            made.append(Stage(f"{kind}-tuned-{seed}", [*tune, f"seed={seed}"], start))
    return made


def run_stages(root: Path, out: Path, made: Sequence[Stage], say: Say) -> dict[str, Run]:
    """Bring every stage to its end; root: the project's folder; out: where the runs are, and rendered data.

    Raises InputError, StoppedError or JobFailedError where one did not end well.
    """
    done: dict[str, Run] = {}
    for number, stage in enumerate(made, 1):
        start = [f"model.init_from={done[stage.start].path}"] if stage.start else []
        words = [*stage.words, *start, f"name={stage.name}"]
        before, note = _found(out, stage.name), out / "runs" / f"{stage.name}.json"
        if before is not None and _read(note) != words:
            raise InputError(f"{before.path}: was started with other words; expected another --out, or its removal")
        note.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(note, json.dumps(words))
        if before is None or not (before.path / "metrics.json").is_file():
            say(f"{number} of {len(made)}  {stage.name}" + ("  goes on" if before else ""))
            _train(root, out, [f"resume={before.path}"] if before else words)
        run = _found(out, stage.name)
        assert run is not None, f"{stage.name} left no run"
        done[stage.name] = run
    return done


def table(budget: Budget, done: dict[str, Run]) -> str:
    """The runs as a Markdown table, a row for each kind of pretraining, the mean over seeds."""
    few = f"{budget.fraction:.0%} of the labels"
    lines = [
        f"| pretraining | its own score | minutes | score with {few} | root / vowel / consonant | minutes |",
        "|---|---|---|---|---|---|",
    ]
    for kind, called in KINDS.items():
        before = done[kind].metrics() if kind in done else None
        tuned = [done[f"{kind}-tuned-{seed}"].metrics() for seed in range(budget.seeds)]

        def mean(name: str, of: Sequence[dict[str, float]] = tuned) -> float:
            return sum(metrics[name] for metrics in of) / len(of)

        own = "" if before is None else f"{before['objective']:.3f}" + (" (k-NN)" if "val/knn_score" in before else "")
        scores = [m["val/score"] for m in tuned]
        spread = f" ({min(scores):.3f} to {max(scores):.3f})" if len(tuned) > 1 else ""
        recalls = " / ".join(f"{mean(f'val/recall_{head}'):.3f}" for head in ("root", "vowel", "consonant"))
        minutes = "" if before is None else f"{before['seconds'] / 60:.1f}"
        lines.append(
            f"| {called} | {own} | {minutes} | **{mean('val/score'):.3f}**{spread} | {recalls} "
            f"| {mean('seconds') / 60:.1f} |"
        )
    return "\n".join(lines)


def unlabelled_images(data: Path) -> int:
    """How many images SimCLR and BYOL train on: four of five folds, and the test files. Reads the ids alone."""
    from okkhor.data.competition import CompetitionFiles

    train = sum(map(len, CompetitionFiles.find(data, "train").read_ids(137 * 236)))
    try:
        test = sum(map(len, CompetitionFiles.find(data, "test").read_ids(137 * 236)))
    except InputError:
        test = 0
    return round(0.8 * train) + test


def _train(root: Path, out: Path, words: Sequence[str]) -> None:
    environment = {**os.environ, "OKKHOR_ROOT": str(root), "OKKHOR_RUNS": str(out / "runs")}
    environment.setdefault("OKKHOR_DATA", str(out / "data"))
    environment[PARENT] = str(os.getpid())  # when this process is killed, the run ends, too
    # Ctrl-C reaches the run as well, which saves and ends; it is waited for
    before = signal.signal(signal.SIGINT, lambda number, _: None)
    try:
        code = subprocess.run([sys.executable, str(root / "train.py"), *words], env=environment, check=False).returncode
    finally:
        signal.signal(signal.SIGINT, before)
    if code == 130:
        raise StoppedError("stopped; the same command goes on")
    if code:
        raise JobFailedError(f"train.py {' '.join(words)}: ended with status {code}", code)


def _found(out: Path, name: str) -> Run | None:
    """The run of a stage, the last one where there are several."""
    configs = sorted((out / "runs" / name).glob("*/config.yaml"))
    return Run.open(configs[-1].parent) if configs else None


def _read(note: Path) -> list[str] | None:
    return json.loads(note.read_text(encoding="utf-8")) if note.is_file() else None
