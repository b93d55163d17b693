"""index.html of a comparison: one file that can be sent as it is, its pictures inside."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from io import BytesIO
from pathlib import Path

from PIL import Image

from okkhor.atomic import replacing
from okkhor.reports import style
from okkhor.reports.comparison.changes import draw_changes
from okkhor.reports.comparison.figures import draw_scores, draw_together, finding
from okkhor.reports.comparison.standing import Estimate, Standing, remarks, rival
from okkhor.reports.comparison.table import COST, cost_cells, head_names, read_estimate, write_classes, write_scores
from okkhor.reports.naming import Naming
from okkhor.reports.page import whole_page

_ABOUT = {
    "scores": ("Scores", "Score of each run and its difference to the reference, with 95% intervals."),
    "changes": ("Class by class", "The classes that gained and lost most recall between two runs."),
    "curves": ("Learning curves", "Validation loss and score of each run over the epochs."),
}


def write_comparison(folder: Path, found: Sequence[Standing], naming: Naming, rounds: int) -> list[Path]:
    """Write pictures, CSV files and the page into the folder; returns them, the page last.

    found: best first, as `standings` gives them; naming: of the classes of the reference; rounds: of the bootstrap.
    """
    folder.mkdir(parents=True, exist_ok=True)
    reference, other = next(standing for standing in found if standing.is_reference), rival(found)
    figures = {
        "scores": draw_scores(found),
        "changes": draw_changes(other, reference, naming) if other else None,
        "curves": draw_together(found),
    }
    for name, figure in figures.items():
        if figure is None:  # one of an earlier comparison
            (folder / f"{name}.png").unlink(missing_ok=True)
    pictures = [style.save(figure, folder / f"{name}.png") for name, figure in figures.items() if figure]
    tables = [write_scores(found, folder / "scores.csv")]
    if other:
        tables.append(write_classes(other, reference, naming, folder / "classes.csv"))
    else:
        (folder / "classes.csv").unlink(missing_ok=True)
    sentence = finding(found)
    body = "\n".join([
        f"<header><h1>{len(found)} runs compared</h1><p>{escape(sentence)}.</p></header>",
        _numbers(found, rounds),
        *(_picture(path) for path in pictures),
        f"<footer>Written by Okkhor. As files beside this page: {', '.join(path.name for path in tables)}.</footer>",
    ])  # fmt: skip
    page = folder / "index.html"
    with replacing(page) as temporary:
        temporary.write_text(whole_page(f"{len(found)} runs compared", body), encoding="utf-8")
    return [*pictures, *tables, page]


def _numbers(found: Sequence[Standing], rounds: int) -> str:
    heads = head_names(found)
    columns = ["run", "score", "difference", *heads, *COST]
    rows = []
    for standing in found:
        run = standing.compared
        differs = f'<br><span class="note">{escape(run.differs)}</span>' if run.differs else ""
        difference = _estimate(standing.difference, signed=True)
        if standing.is_reference:
            difference = "reference"
        elif standing.difference is None:
            difference = "other images"
        elif standing.difference.clear:
            difference = f"<strong>{difference}</strong>"
        recalls = [f"{standing.recalls[name].value:.4f}" if name in standing.recalls else "" for name in heads]
        cells = [_estimate(standing.score), difference, *recalls, *cost_cells(standing)]
        rows.append(
            f'<tr><td title="{escape(str(run.run.path))}">{escape(standing.name)}{differs}</td>'
            + "".join(f"<td>{cell}</td>" for cell in cells)
            + "</tr>"
        )
    said = [
        *remarks(found),
        f"Small: 95% intervals over the validation images, from {rounds:,} bootstrap rounds; differences are "
        "taken between runs on the same drawn images. Bold: the interval leaves out 0. Another seed of a training "
        "moves scores, too, and is not in the intervals.",
        "Time is wall time with validation and pictures, of a resumed run that of its last process; images/s are all "
        "training images over that time, and are not told of a resumed run.",
    ]
    return (
        f'<section><div class="wide"><table><thead><tr>{"".join(f"<th>{escape(name)}</th>" for name in columns)}</tr>'
        f"</thead><tbody>{''.join(rows)}</tbody></table></div>"
        + "".join(f'<p class="note">{escape(text)}</p>' for text in said)
        + "</section>"
    )


def _estimate(estimate: Estimate | None, *, signed: bool = False) -> str:
    """The number, and its interval small below it."""
    return '<br><span class="note">'.join(read_estimate(estimate, signed=signed)) + "</span>" if estimate else ""


def _picture(path: Path) -> str:
    heading, about = _ABOUT[path.stem]
    content = path.read_bytes()
    with Image.open(BytesIO(content)) as image:
        width, height = image.size
    source = f"data:image/png;base64,{b64encode(content).decode()}"
    return (
        f'<section id="{path.stem}"><h2>{heading}</h2><img class="chart" src="{source}" alt="{about}" width="{width}" '
        f'height="{height}"></section>'
    )
