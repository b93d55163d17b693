"""Bengali typefaces: finding them, shaping text with HarfBuzz, bitmaps of single glyphs with FreeType.

Two families come with pip packages (SIL Open Font License): Hind Siliguri, and Noto Sans Bengali with its axes of
weight and width. A folder can add more.
"""

import unicodedata
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

import freetype
import numpy as np
import uharfbuzz as hb

from okkhor.errors import InputError

SUFFIXES = {".ttf", ".otf"}
DOTTED_CIRCLE, HASANTA = "\u25cc", "\u09cd"
PROBE = "ক্ষ্ম"  # a font that shapes this conjunct is a Bengali font

# The lighter weights: their skeletons follow the pen best. A variable font gives one typeface per set of axes.
PIP_FONTS: tuple[tuple[str, str, dict[str, float]], ...] = (
    ("fontpkg_hind_siliguri", "files/HindSiliguri-Light.ttf", {}),
    ("justmytype_intl_south_asia", "fonts/ofl/notosansbengali/NotoSansBengali[wdth,wght].ttf", {"wght": 200}),
    (
        "justmytype_intl_south_asia",
        "fonts/ofl/notosansbengali/NotoSansBengali[wdth,wght].ttf",
        {"wght": 200, "wdth": 75},
    ),
)


@dataclass(frozen=True)
class Placed:
    """One glyph of a shaped text: its index in the font and its origin in em, x to the right and y up."""

    glyph: int
    x: float
    y: float


class Typeface:
    """One font file at one setting of its axes."""

    def __init__(self, path: Path, axes: dict[str, float] | None = None) -> None:
        self.path, self.axes = path, dict(axes or {})
        try:
            self._outlines = freetype.Face(str(path))
            self._hb_face = hb.Face(hb.Blob.from_file_path(str(path)))
        except (freetype.FT_Exception, OSError, hb.HarfBuzzError) as error:
            raise InputError(f"{path}: not a readable font ({error}); expected a .ttf or .otf file") from None
        self._font = hb.Font(self._hb_face)
        self._units = self._hb_face.upem
        self._font.scale = (self._units, self._units)
        if self.axes:
            self._font.set_variations(self.axes)
            info = self._outlines.get_variation_info()
            self._outlines.set_var_design_coords([self.axes.get(axis.tag, axis.default) for axis in info.axes])

    @property
    def name(self) -> str:
        return "".join([self.path.stem, *(f" {tag}={value:g}" for tag, value in self.axes.items())])

    @cached_property
    def _not_wanted(self) -> set[int]:
        """Glyphs that show that a text was not shaped: the missing glyph, a dotted circle, a hasanta standing alone."""
        found = (self._font.get_nominal_glyph(ord(sign)) for sign in (DOTTED_CIRCLE, HASANTA))
        return {0, *(glyph for glyph in found if glyph)}

    def shape(self, text: str) -> list[Placed] | None:
        """The glyphs of a text, or None where the font has no proper form of it."""
        if not text:
            return None
        buffer = hb.Buffer()
        # NFC decomposes the three precomposed letters, which some fonts do not have
        buffer.add_str(unicodedata.normalize("NFC", text))
        buffer.flags = hb.BufferFlags.DO_NOT_INSERT_DOTTED_CIRCLE | hb.BufferFlags.REMOVE_DEFAULT_IGNORABLES
        buffer.guess_segment_properties()
        hb.shape(self._font, buffer)
        placed, pen = [], 0
        for info, position in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
            if info.codepoint in self._not_wanted:
                return None
            x, y = pen + position.x_offset, position.y_offset
            placed.append(Placed(info.codepoint, x / self._units, y / self._units))
            pen += position.x_advance
        return placed or None

    def advance(self, text: str) -> float:
        """Width of a shaped text in em."""
        buffer = hb.Buffer()
        buffer.add_str(unicodedata.normalize("NFC", text))
        buffer.guess_segment_properties()
        hb.shape(self._font, buffer)
        return sum(position.x_advance for position in buffer.glyph_positions) / self._units

    def bitmap(self, glyph: int, pixels: int) -> tuple[np.ndarray, int, int]:
        """A glyph at `pixels` per em: coverage uint8 (H, W), and its left and top edge from the origin in pixels."""
        self._outlines.set_pixel_sizes(0, pixels)
        self._outlines.load_glyph(glyph, freetype.FT_LOAD_RENDER | freetype.FT_LOAD_NO_HINTING)
        slot = self._outlines.glyph
        bitmap = slot.bitmap
        if not bitmap.rows or not bitmap.width:
            return np.zeros((0, 0), np.uint8), 0, 0
        rows = np.array(bitmap.buffer, np.uint8).reshape(bitmap.rows, bitmap.pitch)
        return rows[:, : bitmap.width], slot.bitmap_left, slot.bitmap_top


def find_typefaces(fonts: str | Path | None = None) -> list[Typeface]:
    """The typefaces of the pip packages, then those of the folder `fonts`, in the order of their names.

    Raises InputError when the folder is none, holds no font, or when no typeface at all can write Bengali.
    """
    typefaces = []
    for package, file, axes in PIP_FONTS:
        spec = find_spec(package)
        for folder in spec.submodule_search_locations or () if spec else ():
            if (path := Path(folder) / file).is_file():
                typefaces.append(Typeface(path, axes))
    if fonts is not None:
        folder = Path(fonts)
        if not folder.is_dir():
            raise InputError(f"data.fonts: {folder} is not a folder; expected one with .ttf or .otf files")
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
        if not files:
            raise InputError(f"data.fonts: no .ttf or .otf file in {folder}; convert other formats with fontTools")
        typefaces += [Typeface(path) for path in files]
    typefaces = [typeface for typeface in typefaces if typeface.shape(PROBE)]
    if not typefaces:
        raise InputError(
            "data.fonts: no font that writes Bengali; install fontpkg-hind-siliguri or give a folder of Bengali fonts"
        )
    return typefaces
