"""The site's type, Hind Siliguri: Latin and Bengali in one design, served by the site itself."""

from functools import lru_cache
from importlib.resources import files
from io import BytesIO

from fontTools.ttLib import TTFont

WEIGHTS = {400: "HindSiliguri-Regular.ttf", 600: "HindSiliguri-SemiBold.ttf"}


@lru_cache
def woff(weight: int) -> bytes:
    """The font as WOFF. Its license, the Open Font License, allows to serve it."""
    font = TTFont(BytesIO(files("fontpkg_hind_siliguri").joinpath("files", WEIGHTS[weight]).read_bytes()))
    font.flavor = "woff"
    file = BytesIO()
    font.save(file)
    return file.getvalue()
