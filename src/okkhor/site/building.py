"""Building the site: strictly, and whole or not at all."""

import logging
import os
import shutil
from pathlib import Path

from okkhor.errors import InputError

_AS_A_SITE = ("index.html", "sitemap.xml")


def build_site(root: Path, out: Path, drawing: Path | None = None) -> Path:
    """Build the pages of the repository at `root` into the folder `out`, in place of an older site there.

    drawing: the folder with the page that reads drawings; it becomes draw/ in the site, and has its link there.
    Raises InputError for links that lead nowhere and pages that the navigation lacks, and where `out` is a folder
    of something else.
    """
    if out.exists() and any(out.iterdir()) and not all((out / name).is_file() for name in _AS_A_SITE):
        raise InputError(f"{out}: is a folder of something else; expected an older site, an empty folder or none")
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    old = out.with_name(f".{out.name}.{os.getpid()}.old.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        _build(root, part, drawing is not None)
        if drawing:
            shutil.copytree(drawing, part / "draw")
        if out.exists():
            out.rename(old)
        try:
            part.rename(out)
        except OSError:
            if old.exists():
                old.rename(out)
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
    return out


def _build(root: Path, out: Path, drawing: bool) -> None:
    os.environ.setdefault("NO_MKDOCS_2_WARNING", "1")  # mkdocs is pinned below 2, see pyproject.toml
    try:
        from mkdocs.commands.build import build
        from mkdocs.config import load_config
        from mkdocs.exceptions import Abort, MkDocsException
    except ImportError:
        raise InputError("mkdocs is not installed; expected pip install -e '.[docs]'") from None

    log, heard = logging.getLogger("mkdocs"), _Heard()
    log.addHandler(heard)
    propagate, log.propagate = log.propagate, False
    try:
        config = load_config(str(root / "mkdocs.yml"), site_dir=str(out), strict=True)
        config.extra["drawing"] = drawing
        build(config)
    except (Abort, MkDocsException) as error:
        raise InputError(f"the site was not built: {'; '.join(heard.lines) or error}") from error
    finally:
        log.removeHandler(heard)
        log.propagate = propagate


class _Heard(logging.Handler):
    """Keeps what mkdocs warns of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
