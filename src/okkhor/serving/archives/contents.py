"""What every archive holds besides its server's own files: one format of a bundle, and the code that reads it."""

import shutil
from pathlib import Path

import yaml

from okkhor.errors import InputError
from okkhor.serving.bundle import MANIFEST, Bundle
from okkhor.serving.carried import carried_files

FOLDER = "bundle"  # of the bundle within an archive


def lay_out(
    bundle: Bundle, format: str, folder: Path, *, name: str | None = None, version: str | None = None
) -> dict[str, Path]:
    """Write `bundle/` with one format and `okkhor/`, the modules that a Predictor needs, into an existing folder.

    name, version: that the archived bundle goes by, where it is not to be the bundle's own.
    Returns the files: path within the folder -> path. Raises InputError when the bundle lacks the format, or when
    its file is not the one that was exported.
    """
    if format not in bundle.formats:
        there = ", ".join(bundle.formats) or "none"
        raise InputError(f"format={format}: {bundle.path} has {there}; export the run with it")
    model = bundle.path_of(format)
    described = yaml.safe_load((bundle.path / MANIFEST).read_text(encoding="utf-8"))
    described |= {"name": name or bundle.name, "version": version or str(bundle.version)}
    described["formats"] = {format: described["formats"][format]}
    (folder / FOLDER).mkdir()
    manifest = folder / FOLDER / MANIFEST
    manifest.write_text(yaml.safe_dump(described, sort_keys=False, allow_unicode=True), encoding="utf-8")
    shutil.copyfile(model, folder / FOLDER / model.name)
    written = {f"{FOLDER}/{MANIFEST}": manifest, f"{FOLDER}/{model.name}": folder / FOLDER / model.name}
    for inside, source in carried_files(format).items():
        written[inside] = folder / inside
        written[inside].parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, written[inside])
    return written
