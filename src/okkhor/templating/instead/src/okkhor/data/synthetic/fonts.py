"""Typefaces of the made-up images: Hind Siliguri, which the reports are set in, and those that matplotlib brings."""

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from okkhor.errors import InputError

SUFFIXES = {".ttf", ".otf"}
PIP_FONTS = (
    ("fontpkg_hind_siliguri", "files/HindSiliguri-Light.ttf"),
    ("fontpkg_hind_siliguri", "files/HindSiliguri-SemiBold.ttf"),
    ("matplotlib", "mpl-data/fonts/ttf/DejaVuSerif.ttf"),
)


@dataclass(frozen=True)
class Typeface:
    """One font file."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.stem

    def text(self, text: str, pixels: int) -> np.ndarray:
        """A text at `pixels` per em, cut to its ink: coverage uint8 (H, W); (0, 0) where nothing shows."""
        font = _font(self.path, pixels)
        left, top, right, bottom = font.getbbox(text) if text else (0, 0, 0, 0)
        image = Image.new("L", (max(0, int(right - left)), max(0, int(bottom - top))))
        if image.width and image.height:
            ImageDraw.Draw(image).text((-left, -top), text, fill=255, font=font)
        return np.asarray(image)


@cache
def _font(path: Path, pixels: int) -> ImageFont.FreeTypeFont:
    try:
        return ImageFont.truetype(str(path), pixels, layout_engine=ImageFont.Layout.BASIC)
    except OSError as error:
        raise InputError(f"{path}: not a readable font ({error}); expected a .ttf or .otf file") from None


def find_typefaces(fonts: str | Path | None = None) -> list[Typeface]:
    """The typefaces of the pip packages, then those of the folder `fonts`, in the order of their names.

    Raises InputError when the folder is none or holds no font.
    """
    typefaces = []
    for package, file in PIP_FONTS:
        spec = find_spec(package)
        for folder in spec.submodule_search_locations or () if spec else ():
            if (path := Path(folder) / file).is_file():
                typefaces.append(Typeface(path))
    if fonts is not None:
        folder = Path(fonts)
        if not folder.is_dir():
            raise InputError(f"data.fonts: {folder} is not a folder; expected one with .ttf or .otf files")
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
        if not files:
            raise InputError(f"data.fonts: no .ttf or .otf file in {folder}; convert other formats with fontTools")
        typefaces += [Typeface(path) for path in files]
    return typefaces
