"""index.html: all sections on one page that needs nothing from elsewhere."""

import unicodedata
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path

from PIL import Image

from okkhor.atomic import write_atomically
from okkhor.reports.eda.look import CSS
from okkhor.reports.eda.moving import scripts
from okkhor.reports.eda.projection import Sheet
from okkhor.reports.eda.section import Chart, DataSet, Section, counted, spaced
from okkhor.reports.webfont import font_faces


def write_page(
    path: Path, name: str, data: DataSet, sections: Sequence[Section], files: Sequence[str], sheet: Sheet | None
) -> Path:
    """Write the page.

    name: what the data is called; files: names of what lies beside the page; sections' pictures have been written
    there, too, and those that are shown are copied into the page; sheet: images that appear at the pointer.
    """
    height, width = data.store.size
    heads = ", ".join(f"{h.name} ({counted(h.classes, 'class', 'classes')})" for h in data.heads)
    tiles = "".join(
        f'<a href="#{section.name}"><b>{number}</b><span>{escape(what)}</span></a>'
        for section in sections
        for number, what in section.tiles
    )
    links = "".join(f'<a href="#{section.name}">{escape(section.heading)}</a>' for section in sections)
    charts = [chart for section in sections for chart in section.charts]
    body = (
        f"<header><h1>A look at the data: {escape(name)}</h1><p>{counted(len(data), 'labeled image')} of {height} × "
        f"{width} pixels. {'Heads' if len(data.heads) > 1 else 'Head'}: {escape(heads)}.</p>"
        f'<div class="tiles"><a href="#samples"><b>{len(data):,}</b><span>images</span></a>{tiles}</div>'
        f"<nav>{links}</nav></header>\n"
        + "\n".join(_section(section, path.parent) for section in sections)
        + f"\n<footer>Written by Okkhor; what is drawn at random follows from seed {data.seed}. Files beside this "
        f"page: {', '.join(escape(file) for file in files)}.</footer>"
    )
    foot = scripts(charts, sheet)
    head = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>A look at the data: {escape(name)}</title>\n"
        f"<style>\n{font_faces(_letters(body + foot))}\n{CSS}</style>\n</head>\n"
    )
    write_atomically(path, f"{head}<body><main>\n{body}\n</main>\n{foot}</body>\n</html>\n")
    return path


def _letters(text: str) -> str:
    """Every character of the text once, in order: what the font is to have.

    And what they are put together from, since a two-part vowel sign is taken apart when it is shaped.
    """
    every = set(text)
    return "".join(sorted(every.union(unicodedata.normalize("NFD", "".join(sorted(every))))))


def _section(section: Section, folder: Path) -> str:
    still = _still(section, folder) if section.figure is not None and section.shown else ""
    moving = f'<div class="moving">{_charts(section)}</div>' if section.charts else ""
    return (
        f'<section id="{section.name}"{" class=charted" if moving else ""}><h2>{escape(section.heading)}</h2>'
        f'<p class="says">{spaced(section.says)}</p>{moving}{still}{section.body}</section>'
    )


def _still(section: Section, folder: Path) -> str:
    """The section's picture, inside the page."""
    path = folder / f"{section.name}.png"
    with Image.open(path) as image:
        width, height = image.size
    return (
        f'<div class="still"><img src="data:image/png;base64,{b64encode(path.read_bytes()).decode()}" '
        f'alt="{escape(section.says)}" width="{width}" height="{height}"></div>'
    )


def _charts(section: Section) -> str:
    tabs = ""
    if section.tabs:
        buttons = "".join(
            f'<button data-chart="{chart.name}" aria-pressed="{pressed}">{escape(chart.title)}</button>'
            for chart, pressed in zip(section.charts, ["true"] + ["false"] * len(section.charts), strict=False)
        )
        tabs = f'<div class="tabs">{buttons}</div>'
    return tabs + "".join(_chart(chart, section.tabs, k > 0) for k, chart in enumerate(section.charts))


def _chart(chart: Chart, in_tab: bool, behind: bool) -> str:
    log = f'<button class="log" data-chart="{chart.name}" aria-pressed="false">log scale</button>' if chart.log else ""
    heading = "" if in_tab else f"<h3><span>{escape(chart.title)}</span>{log}</h3>"
    sheet = ' data-sheet="1"' if chart.pictured else ""
    return (
        f"<div{' hidden' if in_tab and behind else ''}>{heading}"
        f'<div class="plot" id="{chart.name}"{sheet} style="height:{chart.height}px"></div></div>'
    )
