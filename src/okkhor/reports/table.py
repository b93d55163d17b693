"""The result table at the end of a training or an evaluation."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import ControlType, Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text

from okkhor.heads import Heads

PARTS = ("seen", "unseen")  # of the images, by whether training had the combination of their labels


def result_table(metrics: Mapping[str, float], heads: Heads, *, run_dir: Path, seconds: float | None) -> "ResultTable":
    """What a run came to, for a console of any width: score, recall per head, loss, time, and where it lies.

    metrics: as in metrics.json, `val/score`, `val/recall_<head>`, `val/score_seen`, `val/loss`, with `test/…` beside
    them where there are such, or a pretraining's `val/knn_score` and `val/knn_recall_<head>`; and `epochs`; any may be
    missing. seconds: wall time of the run, None where unknown.
    """
    return ResultTable(metrics, heads, run_dir, seconds)


@dataclass(frozen=True)
class ResultTable:
    """A rich renderable; paths and commands in it are never wrapped or cut, so that they can be copied."""

    metrics: Mapping[str, float]
    heads: Heads
    run_dir: Path
    seconds: float | None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._numbers()
        run = shlex.quote(str(_shown(self.run_dir)))
        yield Text()
        yield from _uncut("run       ", run)
        page = self.run_dir / "report" / "index.html"
        if page.is_file():
            yield from _uncut("pictures  ", shlex.quote(str(_shown(page))))
        step = "train.py model.init_from=" if "val/knn_score" in self.metrics else "scripts/evaluate.py "
        yield from _uncut("next      ", f"python {step}{run}")

    def _numbers(self) -> Table:
        splits = [split for split in ("val", "test") if any(name.startswith(f"{split}/") for name in self.metrics)]
        splits = splits or ["val"]
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("")
        for split in splits:
            table.add_column(split, justify="right", header_style="dim", no_wrap=True)
        table.add_column("", style="dim")
        names = ["score", *(f"recall_{head.name}" for head in self.heads), "score_seen", "score_unseen", "loss"]
        by = " of nearest neighbors" if "val/knn_score" in self.metrics else ""
        notes = [f"weighted macro recall{by}", *_weights(self.heads), *(self._part(p, splits) for p in PARTS), ""]
        for name, note in zip(names, notes, strict=True):
            values = [self.metrics.get(f"{split}/{name}", self.metrics.get(f"{split}/knn_{name}")) for split in splits]
            part = name.removeprefix("score_")
            if any(value is not None for value in values) or (part in PARTS and note):
                cells = ["" if value is None else f"{value:.4f}" for value in values]
                label = name.replace("_", " ", 1) if name.startswith(("recall_", "score_")) else name
                table.add_row(Text(label), *cells, Text(note), style="bold" if name == "score" else None)
        epochs = self.metrics.get("epochs")
        trained = "" if epochs is None else f"{epochs:g} {'epoch' if epochs == 1 else 'epochs'}"
        if self.seconds is not None:
            table.add_row("time", *[""] * (len(splits) - 1), _duration(self.seconds), trained)
        elif trained:
            table.add_row("time", *[""] * len(splits), trained)
        return table

    def _part(self, part: str, splits: Sequence[str]) -> str:
        """How many images have a combination of labels that training had, or lacked; empty where that is not known."""
        counts = [self.metrics[key] for split in splits if (key := f"{split}/images_{part}") in self.metrics]
        said = " and ".join(f"{count:,}" if count else "no" for count in counts)
        return f"{said} images of combinations {'seen in training' if part == 'seen' else 'never seen'}" if said else ""


def _weights(heads: Heads) -> list[str]:
    return [f"{head.classes:,} classes, weight {share:.0%}" for head, share in zip(heads, heads.shares, strict=True)]


def _shown(path: Path) -> Path:
    """The path relative to the working directory where it lies inside, else absolute."""
    path, here = path.resolve(), Path.cwd().resolve()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"


def _uncut(label: str, text: str) -> RenderResult:
    """A line that no console wraps or crops: rich takes a segment with a control code for one of no width."""
    yield Segment(label, Style(dim=True))
    yield Segment(text, Style(bold=True), [(ControlType.BELL,)])  # the code is a mark only: rich writes the text
    yield Segment.line()
