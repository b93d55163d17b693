"""An answer in a terminal: the grapheme, the likeliest classes of each head, and where the model looked."""

import unicodedata
from typing import Any

from rich import box
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

SHADES = " ░▒▓█"


def show(answer: dict[str, Any], title: str = "", console: Console | None = None) -> None:
    """Print an answer's JSON for people; title: stands above it."""
    console = console or Console()
    heads: dict[str, list[dict[str, Any]]] = answer["heads"]
    letters = answer.get("grapheme") is not None
    shown = answer.get("grapheme") or " ".join(str(choices[0]["text"]) for choices in heads.values())
    letter = Panel(Text(f"\n{shown}\n", style="bold", justify="center"), width=max(16, len(shown) + 6), box=box.HEAVY)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in heads:
        table.add_column(name)
        table.add_column("", justify="right")
    for row in range(max(map(len, heads.values()))):
        cells: list[str] = []
        for choices in heads.values():
            cells += _cells(choices[row], letters) if row < len(choices) else ["", ""]
        table.add_row(*cells)
    model = answer.get("model", {})
    foot = f"{answer['confidence']:.1%} sure · {model.get('name')} {model.get('version')} ({model.get('format')})"
    console.print(Group(*([Text(title, style="dim")] if title else []), letter, table, Text(foot, style="dim")))
    for name, rows in answer.get("activation_maps", {}).items():
        console.print(Text(f"\nwhere it looked for {name}"), Text(_shaded(rows)), sep="\n")


def _cells(choice: dict[str, Any], letters: bool) -> list[str]:
    text = choice["text"]
    if letters and text in ("", "0"):  # the label map writes the absent sign as 0
        text = "–"
    elif unicodedata.category(text[:1] or " ").startswith("M"):
        text = f"◌{text}"  # a sign alone would join the table's rule
    return [f"{text} ({choice['class']})", f"{choice['probability']:.1%}"]


def _shaded(rows: list[list[float]]) -> str:
    """A map as shades, two characters a cell: cells are then about as wide as they are high."""
    low, high = min(map(min, rows)), max(map(max, rows))
    scale = (len(SHADES) - 1) / max(high - low, 1e-9)
    return "\n".join("".join(2 * SHADES[round((value - low) * scale)] for value in row) for row in rows)
