"""What mkdocs calls while it builds; named in mkdocs.yml. So `mkdocs serve` shows the same pages as `make docs`."""

from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.nav import Link, Navigation
from mkdocs.structure.pages import Page

from okkhor.site.fonts import WEIGHTS, woff
from okkhor.site.places import AT_THE_ROOT, DOCS, origin, place, shown_at
from okkhor.site.rewriting import rewritten
from okkhor.site.sources import linked_sources, source_page

DRAWING = Link("Draw a letter", "draw/index.html")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Leave out of the navigation what this repository has no page for: a project made of it has fewer."""
    root = _root(config)
    config.nav = [entry for entry in (_present(entry, root) for entry in config.nav or []) if entry]
    return config


def _present(entry: Any, root: Path) -> Any:
    if isinstance(entry, str):
        return entry if (root / origin(entry)).is_file() else None
    if isinstance(entry, list):
        return [kept for kept in (_present(item, root) for item in entry) if kept]
    return {title: kept for title, value in entry.items() if (kept := _present(value, root))}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the root, those of linked files, and the fonts."""
    root = _root(config)
    pages = [path for path in AT_THE_ROOT if (root / path).is_file()]
    for path in pages:
        files.append(File.generated(config, place(path), abs_src_path=str(root / path)))
    pages += [DOCS + file.src_uri for file in files.documentation_pages() if file.generated_by is None]
    for path in linked_sources(root, pages):
        files.append(File.generated(config, shown_at(path, root), content=source_page(root, path)))
    for weight in WEIGHTS:
        files.append(File.generated(config, f"fonts/hind-siliguri-{weight}.woff", content=woff(weight)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    if page.parent is None:  # alone in the navigation: a list of one page at the side says nothing
        page.meta.setdefault("hide", ["navigation"])
    return rewritten(origin(page.file.src_uri), markdown, _root(config))


def on_nav(nav: Navigation, config: MkDocsConfig, files: Files) -> Navigation:
    """The page that reads a drawing is no page of mkdocs: it is written into the site afterwards."""
    if config.extra.get("drawing"):
        nav.items.insert(1, DRAWING)
    return nav


def _root(config: MkDocsConfig) -> Path:
    return Path(config.config_file_path).resolve().parent
