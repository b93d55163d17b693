"""Rendered graphemes as a store: a data set of their own, or the part of a real one's training that is made up."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from okkhor.data.layout import Store
from okkhor.data.store import competition_store
from okkhor.heads import Heads


def rendered_store(
    folder: str, settings: Mapping[str, Any], heads: Heads, *, cache_dir: str | None, size: tuple[int, int]
) -> Store:
    """The packed store of the rendered data set in `folder`, which is rendered first where it is not there.

    settings: of `render_dataset`, and `contact_sheet`, a picture that is made where it is named and missing.
    Raises InputError for a folder that was rendered otherwise.
    """
    from okkhor.data.synthetic import contact_sheet, render_dataset

    made = render_dataset(folder, **{name: value for name, value in settings.items() if name != "contact_sheet"})
    sheet = settings.get("contact_sheet")
    if sheet and not Path(sheet).exists():
        contact_sheet(sheet, made)
    return competition_store(folder, heads, cache_dir=cache_dir, size=size)
