"""From a `data` block to the store that it means: what trains opens it here, and what only looks at the images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from okkhor.data.layout import Store
from okkhor.errors import InputError
from okkhor.heads import Heads

Block = Mapping[str, Mapping[str, Any]]  # of heads: {name: {column, classes, weight}}


def open_store(
    source: str,
    dir: str | None,
    heads: Block,
    *,
    store: str | None = None,
    cache_dir: str | None = None,
    raw_size: tuple[int, int],
    synthetic: Mapping[str, Any] | None = None,
    download: bool = False,
) -> Store:
    """Open the store of a data set; fetch, render and pack first what is missing.

    The arguments are those of `okkhor.data.module.ImageData`. Raises InputError for what cannot be opened, and for
    labels that are not those of the heads.
    """
    if dir is None and store is None:
        raise InputError("data.dir: expected the folder with the data files, as data.dir=/data/bengaliai-cv19")
    found = _open(source, dir, heads, store, cache_dir, raw_size, synthetic or {}, download)
    if source != "image_folder" and found.labels is not None:
        found.check_heads(Heads.from_config(heads))
    return found


def heads_in(source: str, heads: Block, store: Store) -> Heads:
    """The heads with their numbers of classes; of class folders these are counted in the store."""
    if source != "image_folder":
        return Heads.from_config(heads)
    return Heads.from_config(
        {name: {"classes": len(store.class_names or []), **block} for name, block in heads.items()}
    )


def _open(
    source: str,
    dir: str | None,
    heads: Block,
    store: str | None,
    cache_dir: str | None,
    raw_size: tuple[int, int],
    synthetic: Mapping[str, Any],
    download: bool,
) -> Store:
    if store is not None:
        return Store.open(store)
    assert dir is not None
    if source == "image_folder":
        from okkhor.data.image_folder import image_folder_store

        return image_folder_store(dir, size=raw_size, cache_dir=cache_dir)[0]
    if source == "synthetic":
        from okkhor.data.rendered import rendered_store

        return rendered_store(dir, synthetic, Heads.from_config(heads), cache_dir=cache_dir, size=raw_size)
    if download:
        from okkhor.data.download import download_competition

        download_competition(Path(dir))
    from okkhor.data.store import competition_store

    return competition_store(dir, Heads.from_config(heads), cache_dir=cache_dir, size=raw_size)
