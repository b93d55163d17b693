"""The typeface of the pages, out of the package that brings it: Hind Siliguri, which shapes every grapheme."""

from importlib.resources import files
from pathlib import Path

FONTS = {400: "HindSiliguri-Regular.ttf", 600: "HindSiliguri-SemiBold.ttf"}  # by weight


def font_file(weight: int) -> Path:
    """The file of one of the weights of FONTS."""
    return Path(str(files("fontpkg_hind_siliguri").joinpath("files", FONTS[weight])))
