"""Pictures of what the finders tried: loss over learning rate, images a second over batch size."""

import numpy as np
from matplotlib.figure import Figure

from okkhor.reports import style


def draw_rates(rates: np.ndarray, losses: np.ndarray, chosen: dict[str, float]) -> Figure:
    """Loss over the learning rate, on a logarithmic axis. rates, losses: (n,); chosen: label -> rate to mark."""
    figure = style.new_figure(4.4)
    steepest = next(iter(chosen.values()), None)
    said = f"The loss falls fastest at a learning rate of {steepest:.2g}" if steepest else "The loss does not fall"
    style.title(
        figure, said, "smoothed training loss while the rate rises with every step; where it turns up, it is too high"
    )
    axes = style.inches(figure, 0.85, 1.05, 8.7, 2.7)
    axes.plot(rates, losses, color=style.RIGHT, linewidth=2)
    axes.set_xscale("log")
    shown = losses[np.isfinite(losses)]
    low, high = float(shown.min()), float(shown[: max(len(shown) // 2, 1)].max())
    axes.set_ylim(low - 0.1 * (high - low), high + 0.35 * (high - low))
    for k, (label, rate) in enumerate(chosen.items()):
        at = float(np.interp(rate, rates, losses))
        axes.plot([rate], [at], "o", color=style.SERIES[1 + k], markersize=9)
        axes.annotate(
            f"{label} {rate:.2g}", (rate, at), (8, 8), textcoords="offset points",
            fontproperties=style.font(10), color=style.SERIES[1 + k], parse_math=False,
        )  # fmt: skip
    axes.minorticks_off()
    axes.set_xlabel("learning rate")
    axes.set_ylabel("loss (nats)")
    style.tidy(axes)
    return figure


def draw_batches(sizes: list[int], speeds: list[float], most: int) -> Figure:
    """Images a second of each batch size that was tried; most: the largest that was to be tried."""
    figure = style.new_figure(4.4)
    fastest = sizes[int(np.argmax(speeds))]
    ended = "all that were tried fit" if 2 * sizes[-1] > most else "the next did not fit"
    style.title(
        figure, f"Batches of {sizes[-1]:,} fit; those of {fastest:,} are the fastest", f"training steps; {ended}"
    )
    axes = style.inches(figure, 0.85, 1.05, 8.7, 2.7)
    axes.bar(range(len(sizes)), speeds, color=style.FAINT, width=0.62)
    axes.patches[sizes.index(fastest)].set_color(style.RIGHT)
    for place, speed in enumerate(speeds):
        axes.annotate(
            f"{speed:,.0f}", (place, speed), (0, 4), textcoords="offset points", ha="center",
            fontproperties=style.font(10), color=style.INK,
        )  # fmt: skip
    axes.set_xticks(range(len(sizes)), [f"{size:,}" for size in sizes])
    axes.set_xlabel("images in a batch")
    axes.set_ylabel("images a second")
    style.tidy(axes)
    return figure
