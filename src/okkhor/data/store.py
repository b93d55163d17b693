"""The store of a competition data set: built from the files once, opened ever after."""

from pathlib import Path

from okkhor.data.building import Advance, build_once, check_room, key_of, stores_folder
from okkhor.data.competition import CompetitionFiles, Split
from okkhor.data.layout import ImageWriter, Store, write_description, write_index
from okkhor.heads import Heads

__all__ = ["Store", "competition_store"]


def competition_store(
    data_dir: str | Path,
    heads: Heads,
    *,
    split: Split = "train",
    size: tuple[int, int] = (137, 236),
    cache_dir: str | Path | None = None,
    progress: bool = True,
) -> Store:
    """Open the store of the competition's files in `data_dir`, a path or a URI; build it where there is none yet.

    split: `train` with labels, or `test` without; size: height and width of the images in the files (the
    competition's are 137 × 236); cache_dir: where stores go, see `stores_folder`. The store is named after the
    identity (name, size, time of change) of the files and the heads, so changed files make a new one.
    Raises InputError naming the file that is missing, damaged or not as the competition's are.
    """
    height, width = size
    files = CompetitionFiles.find(data_dir, split)
    labeled = [(head.column, head.classes) for head in heads] if files.labels else []
    sources = [file.identity() for file in files.sources()]
    key = key_of({"kind": "competition", "split": split, "size": [height, width], "heads": labeled, "sources": sources})
    name = f"{split}-{key}"

    def fill(folder: Path, advance: Advance) -> None:
        index = files.index(height * width, heads)
        check_room(folder, 2 * len(index) * height * width)  # the images, and at most as much for the scratch file
        write_index(folder, index)
        with ImageWriter(folder, (len(index), height, width)) as images:
            for band in files.pixel_bands(height * width, folder / "scratch", advance):
                images.rows(band)
        write_description(
            folder, key=key, kind="competition", split=split, images=images, heads=labeled, sources=sources
        )

    folder = stores_folder(files.folder.local, name, cache_dir)
    return build_once(folder, name, fill, progress=progress)
