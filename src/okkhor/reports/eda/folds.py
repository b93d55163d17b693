"""Whether the folds are alike: images of each class in each, against an even share."""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from okkhor.data.folds import folds_of, folds_path
from okkhor.errors import InputError
from okkhor.reports import style
from okkhor.reports.eda.section import DataSet, Section, counted


@dataclass(frozen=True)
class Balance:
    """Images of each fold and class (folds, classes), and what an even share would be."""

    counts: np.ndarray
    even: np.ndarray

    @classmethod
    def of(cls, labels: np.ndarray, fold: np.ndarray, folds: int, classes: int) -> "Balance":
        counts = np.zeros((folds, classes), np.int64)
        np.add.at(counts, (fold, labels), 1)
        share = counts.sum(axis=1) / max(1, len(labels))
        return cls(counts, share[:, None] * counts.sum(axis=0))

    @property
    def off(self) -> np.ndarray:
        """By which share of the even number each fold has more or fewer, (folds, classes); nan for absent classes."""
        return np.divide(self.counts - self.even, self.even, out=np.full(self.even.shape, np.nan), where=self.even > 0)


def folds(data: DataSet) -> Section:
    """A table of the folds and how far each class is from an even share; a sentence where there can be no folds."""
    try:
        fold = folds_of(data.store, data.folds, data.fold_seed)
    except InputError as error:
        return Section("folds", "Folds", f"These images cannot be divided into folds: {error}.")
    each = [Balance.of(data.labels[:, k], fold, data.folds, h.classes) for k, h in enumerate(data.heads)]
    largest = [float(np.nanmax(np.abs(balance.counts - balance.even))) for balance in each]
    absent = sum(int(((b.counts == 0) & (b.even > 0)).sum()) for b in each)
    worst = int(np.argmax(largest))
    says = (
        f"{folds_path(data.store, data.folds, data.fold_seed).name} divides the images into {data.folds} folds, "
        f"stratified over all heads. No class of any fold is more than {max(largest):.1f} images from an even share "
        f"(the largest is of {data.heads[worst].name}); {'every class is in every fold' if not absent else ''}"
        + (f"in {counted(absent, 'case')} a fold lacks a class altogether" if absent else "")
        + "."
    )
    heads = "".join(f"<th>{h.name}: largest deviation</th><th>classes absent</th>" for h in data.heads)
    rows = []
    for number in range(data.folds):
        own = fold == number
        cells = "".join(
            f"<td>{np.abs(b.counts[number] - b.even[number]).max():.1f}</td>"
            f"<td>{int(((b.counts[number] == 0) & (b.even[number] > 0)).sum())}</td>"
            for b in each
        )
        combined = len(np.unique(data.labels[own], axis=0))
        rows.append(
            f"<tr><td>{number}</td><td>{own.sum():,}</td><td>{own.mean():.2%}</td><td>{combined:,}</td>{cells}</tr>"
        )
    body = (
        '<div class="wide"><table><thead><tr><th>fold</th><th>images</th><th>share</th><th>combinations</th>'
        f"{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
        '<p class="note">Deviations in images, from as many as the fold would have were every class divided evenly.</p>'
    )
    return Section("folds", "Folds", says, body, _draw(data, each))


def _draw(data: DataSet, each: list[Balance]) -> Figure:
    step = 2.5
    figure = style.new_figure(1.0 + step * len(each))
    style.title(
        figure, "How even the folds are", "A dot for each class and fold: how much more or less than an even share."
    )
    for place, (head, balance) in enumerate(zip(data.heads, each, strict=True)):
        top = 1.0 + step * place
        style.write(figure, 0.3, top, style.shorten(head.name, 30), 11.5, weight="bold")
        axes = style.inches(figure, 1.0, top + 0.35, style.WIDTH - 2.2, step - 0.95)
        total = balance.counts.sum(axis=0)
        here = np.flatnonzero(total)
        for number, off in enumerate(balance.off):
            color = style.SERIES[number % len(style.SERIES)]
            axes.plot(total[here], 100 * off[here], "o", markersize=3.5, alpha=0.75, color=color, markeredgewidth=0,
                      label=f"fold {number}")  # fmt: skip
        axes.axhline(0, color=style.FAINT, linewidth=0.8)
        limit = max(1.0, float(np.nanmax(np.abs(balance.off))) * 115)
        axes.set(xscale="log", ylim=(-limit, limit), xlabel="images of the class")
        axes.set_ylabel("deviation, %")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else "")
        axes.minorticks_off()
        style.tidy(axes)
        if place == 0:
            axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.05), frameon=False, prop=style.font(9),
                        labelcolor=style.MUTED, handletextpad=0.1)  # fmt: skip
    return figure
