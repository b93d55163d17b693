"""index.html of a report: numbers and pictures on one page that needs nothing from elsewhere."""

import math
from collections.abc import Mapping
from html import escape
from pathlib import Path

from PIL import Image

from okkhor.atomic import replacing
from okkhor.reports.naming import Naming
from okkhor.reports.recall import HeadResult, score
from okkhor.reports.webfont import font_faces

_ABOUT = {
    "learning_curves": ("Learning curves", "Loss, score and recall of each head over the epochs."),
    "misread": ("Misread images", "The mistakes that the model was surest of, with truth and prediction."),
    "gradcam": ("Where the network looked", "For the surest mistakes, the places that spoke for truth and for answer."),
    "recall": ("Recall per class", "The classes of each head that were read worst."),
    "confusion": ("Confusion", "Which of the most confused classes are taken for which."),
    "calibration": ("Calibration", "How often answers are right, over the probability that they were given."),
}

_CSS = """
:root { color-scheme: light dark; --paper: #f6f7f9; --card: #fff; --ink: #1c2430; --muted: #5f6b7a; --line: #e2e6eb;
  --bar: #0072b2; }
@media (prefers-color-scheme: dark) { :root { --paper: #101418; --card: #1a1f26; --ink: #e8ebef; --muted: #9aa5b1;
  --line: #2c343d; --bar: #56b4e9; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 "Hind Siliguri", system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans",
  "Noto Sans Bengali", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 40px 24px 64px; }
header p, .note, footer { color: var(--muted); }
h1, h2 { font-weight: 600; }
h1 { font-size: 28px; line-height: 1.2; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 19px; margin: 0; }
p { margin: 0; }
section { margin-top: 24px; background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  padding: 24px; }
.numbers { display: flex; flex-wrap: wrap; gap: 24px 48px; align-items: center; }
.score { font-size: 56px; font-weight: 600; line-height: 1; font-variant-numeric: tabular-nums; }
.score + p { margin-top: 8px; }
.wide { overflow-x: auto; flex: 1 1 420px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 6px 12px; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 400; color: var(--muted); font-size: 14px; }
tr:last-child td { border-bottom: 0; }
th:first-child, td:first-child, .name { text-align: left; }
.name { white-space: normal; overflow-wrap: anywhere; }
meter { width: 120px; vertical-align: middle; }
img.scan { margin-top: 14px; }
img { display: block; width: 100%; height: auto; border-radius: 6px; }
@media (prefers-color-scheme: dark) { img.chart { filter: invert(1) hue-rotate(180deg); mix-blend-mode: screen; } }
@media (max-width: 600px) { main { padding: 24px 12px; } section { padding: 16px; } th, td { padding: 6px 8px; } }
details { border-top: 1px solid var(--line); padding: 10px 0; }
details:first-of-type { margin-top: 12px; }
summary { cursor: pointer; font-weight: 600; }
details table { margin-top: 8px; }
.note { font-size: 14px; margin-top: 12px; }
a { color: var(--bar); }
nav { margin-top: 12px; display: flex; flex-wrap: wrap; gap: 4px 20px; }
footer { margin-top: 32px; font-size: 14px; }
"""


def write_page(
    path: Path,
    run_dir: Path,
    results: list[HeadResult],
    parts: Mapping[str, list[HeadResult]],
    naming: Naming,
    pictures: list[Path],
    tables: list[Path],
    errors: list[float] | None,
    by_neighbors: bool = False,
    remark: str = "",
) -> Path:
    """Write the page.

    results: on all images; parts: on parts of them, by the combinations of their labels, or none; pictures: PNG files
    beside the page, shown in their order; tables: other files beside it; errors: each head's calibration error, None
    where probabilities are none of a network; by_neighbors: of a pretraining; remark: a sentence below the score.
    """
    reader = "the neighbors of each image, by this run's features," if by_neighbors else "this run's best checkpoint"
    run = "/".join(run_dir.resolve().parts[-2:])
    links = ['<a href="#combinations">Label combinations</a>'] if parts else []
    links += [f'<a href="#{p.stem}">{_ABOUT[p.stem][0]}</a>' for p in pictures]
    links.append('<a href="#classes">Every class</a>')
    files = ", ".join(f'<a href="{path.name}">{path.name}</a>' for path in tables)
    body = "\n".join(
        [
            f"<header><h1>{escape(run)}</h1><p>What {reader} read right and wrong, "
            f"on {len(results[0].labels):,} labeled images.</p><nav>{''.join(links)}</nav></header>",
            _numbers(results, errors, remark),
            *([_combinations(parts)] if parts else []),
            *(_picture(picture) for picture in pictures),
            _classes(results, naming),
            f"<footer>Written by Okkhor. As files: {files}.</footer>",
        ]
    )
    with replacing(path) as temporary:
        temporary.write_text(whole_page(f"{run}: report", body), encoding="utf-8")
    return path


def whole_page(title: str, body: str) -> str:
    """A page with its style and its letters inside; body: HTML, title: text."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{font_faces(body + title)}\n{_CSS}</style>\n</head>\n"
        f"<body><main>\n{body}\n</main></body>\n</html>\n"
    )


def _share(value: float) -> str:
    return "n/a" if math.isnan(value) else f"{value:.4f}"


def _numbers(results: list[HeadResult], errors: list[float] | None, remark: str) -> str:
    """The score beside a table of the heads."""
    total = sum(r.head.weight for r in results)
    gaps = [""] * len(results) if errors is None else [f"<td>{_share(error)}</td>" for error in errors]
    gap = "" if errors is None else "<th>calibration error</th>"
    rows = "".join(
        f"<tr><td>{escape(r.head.name)}</td><td>{_share(r.macro)}</td>"
        f"<td>{_share(float((r.labels == r.predicted).mean()) if len(r.labels) else math.nan)}</td>"
        f"<td>{len(r.worst_first):,} of {r.head.classes:,}</td>{gap_cell}<td>{r.head.weight / total:.0%}</td></tr>"
        for r, gap_cell in zip(results, gaps, strict=True)
    )
    strangers = sum(len(r.absent_but_predicted) for r in results)
    note = (
        f'<p class="note">{strangers} {"class" if strangers == 1 else "classes"} without an image in this set '
        "were predicted for others: macro recall counts each as zero, as scikit-learn does.</p>"
        if strangers
        else ""
    )
    note += f'<p class="note">{escape(remark)}</p>' if remark else ""
    return (
        f'<section><div class="numbers"><div><div class="score">{_share(score(results))}</div>'
        "<p>score: macro recall, weighted</p></div>"
        '<div class="wide"><table><thead><tr><th>head</th><th>macro recall</th><th>accuracy</th>'
        f"<th>classes present</th>{gap}<th>weight</th></tr></thead><tbody>{rows}</tbody></table></div></div>"
        f"{note}</section>"
    )


def _combinations(parts: Mapping[str, list[HeadResult]]) -> str:
    """Score and recalls on combinations of labels that training had, and on those that it lacked."""
    heads = [r.head.name for r in next(iter(parts.values()))]
    rows = []
    for part, results in parts.items():
        count = len(results[0].labels)
        numbers = [score(results), *(r.macro for r in results)] if count else []
        cells = "".join(f"<td>{_share(number)}</td>" for number in numbers)
        rows.append(
            f"<tr><td>{part}</td><td>{count:,}</td>"
            + (cells or f'<td class="name" colspan="{len(heads) + 1}">no such image in this set</td>')
            + "</tr>"
        )
    return (
        '<section id="combinations"><h2>Label combinations</h2><div class="wide"><table><thead><tr><th>combination</th>'
        f"<th>images</th><th>score</th>{''.join(f'<th>{escape(name)}</th>' for name in heads)}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
        '<p class="note">Score and macro recall of each head on images whose labels stood together in training, and on '
        "combinations that were new. Each row counts the classes that it has images of, so the two need not "
        "average to the whole.</p></section>"
    )


def _picture(path: Path) -> str:
    """A picture that opens in full size when clicked."""
    heading, about = _ABOUT[path.stem]
    with Image.open(path) as image:
        width, height = image.size
    look = "scan" if path.stem in ("misread", "gradcam") else "chart"  # scans keep their paper white in the dark scheme
    return (
        f'<section id="{path.stem}"><h2>{heading}</h2><a href="{path.name}"><img class="{look}" src="{path.name}" '
        f'alt="{about}" width="{width}" height="{height}"></a></section>'
    )


def _classes(results: list[HeadResult], naming: Naming) -> str:
    """Every class of every head, worst first, folded away."""
    parts = []
    for r in results:
        rows = []
        for label in r.worst_first:
            taken = r.mostly_read_as(label)
            mostly = f"{escape(naming.of(r.head, taken[0]))} ×{taken[1]}" if taken else ""
            rows.append(
                f'<tr><td class="name">{escape(naming.of(r.head, label))}</td><td>{label}</td><td>{r.count[label]}</td>'
                f'<td>{r.recall[label]:.3f}</td><td class="name">{mostly}</td></tr>'
            )
        absent = ", ".join(escape(naming.of(r.head, label)) for label in r.absent)
        parts.append(
            f"<details><summary>{escape(r.head.name)}: {len(r.worst_first):,} classes, worst first</summary>"
            "<table><thead><tr><th>name</th><th>class</th><th>images</th><th>recall</th>"
            f'<th class="name">mostly taken for</th></tr></thead><tbody>{"".join(rows)}</tbody></table>'
            + (f'<p class="note">Not in this set, so without a recall: {absent}.</p>' if absent else "")
            + "</details>"
        )
    return f'<section id="classes"><h2>Every class</h2>{"".join(parts)}</section>'
