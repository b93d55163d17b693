"""The report's type inside its page: a machine without a Bengali font shows the same letters."""

from base64 import b64encode
from importlib.resources import files
from io import BytesIO

from fontTools import subset

_FILES = {400: "HindSiliguri-Regular.ttf", 600: "HindSiliguri-SemiBold.ttf"}


def font_faces(text: str) -> str:
    """CSS `@font-face` rules that carry the glyphs of the text, with those that its conjuncts shape to, as WOFF.

    Hind Siliguri is under the Open Font License, which allows to embed it.
    """
    folder = files("fontpkg_hind_siliguri").joinpath("files")
    return "\n".join(
        f'@font-face {{ font-family: "Hind Siliguri"; font-weight: {weight}; '
        f'src: url("data:font/woff;base64,{_woff(folder.joinpath(name).read_bytes(), text)}") format("woff"); }}'
        for weight, name in _FILES.items()
    )


def _woff(font: bytes, text: str) -> str:
    options = subset.Options(flavor="woff", hinting=False, layout_features=["*"])
    face = subset.load_font(BytesIO(font), options)
    worker = subset.Subsetter(options)
    worker.populate(text=text + "◌")  # shaping puts a dotted circle under a sign that stands alone
    worker.subset(face)
    out = BytesIO()
    subset.save_font(face, out, options)
    return b64encode(out.getvalue()).decode()
