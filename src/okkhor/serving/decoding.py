"""From what people send to gray pixels: PNG, JPEG, WebP, NumPy arrays, base64. Nothing here trusts its input.

Sizes are looked at before memory is taken, only three of Pillow's decoders are ever opened, and nothing is
unpickled. Whatever is wrong with the bytes ends in `Refused` with a 4xx status.
"""

import base64
import binascii
import io
import math
from pathlib import Path

import numpy as np
from PIL import Image

from okkhor.data.gray import PAPER, gray
from okkhor.serving.answers import Refused
from okkhor.serving.paper import dark_on_light

MAX_BYTES = 16 << 20  # of one file: what telephones make is smaller
MAX_PIXELS = 16_000_000  # of one image; RGBA takes about 16 bytes a pixel while it is made gray
MAX_SIDE = 16_384
MIN_SIDE = 8
DRAFT = 2_000_000  # pixels above which a JPEG may be decoded at half, a quarter or an eighth of its size

KINDS = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"\x93NUMPY": "npy"}  # and WebP, see `_kind`
PNG_END = b"IEND\xaeB`\x82"
FOREIGN = {
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"%PDF": "PDF",
    b"<svg": "SVG",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "gzip",
    b"\x80\x04": "a pickle",
    b"\x80\x05": "a pickle",
}
EXPECTED = "expected PNG, JPEG, WebP or .npy"

Sent = bytes | bytearray | memoryview | str | Path | np.ndarray


def decode(sent: Sent, *, ink: bool = True) -> np.ndarray:
    """uint8 (H, W) of what was sent, dark ink on light paper.

    sent: the bytes of a file; base64 text, with or without `data:…;base64,` before it (never the name of a file);
    a Path; or an array (H, W), (1, H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of bool, integers from 0 to 255,
    16-bit integers, or floats from 0 to 1 or 0 to 255. ink: invert light ink on dark paper and refuse images
    without ink; otherwise tones stay as they are.
    Raises Refused: 400 not an image, 404 no such file, 413 too large, 415 another format, 422 not readable as one.
    """
    try:
        return _decoded(sent, ink)
    except Refused:
        raise
    except MemoryError:
        raise Refused(413, "TooLarge", "this image takes more memory than there is") from None
    except Exception as error:  # decoders raise anything on hostile bytes: it is the bytes' fault
        raise Refused(400, "NotAnImage", f"cannot be read as an image ({_reason(error)}); {EXPECTED}") from error


def from_base64(text: str) -> bytes:
    """The bytes that base64 text stands for, standard or URL-safe, padded or not, after `data:…;base64,` or not."""
    if len(text) > MAX_BYTES * 4 // 3 + 1024:
        raise _too_many_bytes(len(text) * 3 // 4)
    if text[:5].lower() == "data:":
        head, comma, text = text.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise Refused(400, "NotBase64", "a data: URL without ;base64; expected data:image/png;base64,…")
    try:
        plain = "".join(text.split()).rstrip("=").encode("ascii").translate(bytes.maketrans(b"-_", b"+/"))
        return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    except (ValueError, binascii.Error):
        raise Refused(400, "NotBase64", "not base64; expected the bytes of an image as base64 text") from None


def _decoded(sent: Sent, ink: bool) -> np.ndarray:
    if isinstance(sent, np.ndarray):
        return _toned(_from_array(sent), ink)
    if isinstance(sent, Path):
        sent = _from_file(sent)
    elif isinstance(sent, str):
        sent = from_base64(sent)
    elif not isinstance(sent, bytes | bytearray | memoryview):
        raise Refused(400, "NotAnImage", f"{type(sent).__name__} is no image; {EXPECTED}, or base64 text of one")
    data = bytes(sent)
    if len(data) > MAX_BYTES:
        raise _too_many_bytes(len(data))
    kind = _kind(data)
    if kind == "npy":
        return _toned(_from_array(_from_npy(data)), ink)
    if kind == "PNG" and PNG_END not in data:
        raise Refused(400, "NotAnImage", "a PNG that is cut off")  # Pillow reads one whose pixels are complete
    with _opened(data, kind) as image:
        _check_size(image.size)
        if ink and kind == "JPEG" and math.prod(image.size) > DRAFT:
            image.draft(image.mode, tuple(max(1, side // 2) for side in image.size))
        image.load()
        return _seen(image, ink)


def _kind(data: bytes) -> str:
    for mark, kind in KINDS.items():
        if data.startswith(mark):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if not data:
        raise Refused(400, "NotAnImage", f"empty; {EXPECTED}")
    for mark, kind in FOREIGN.items():
        if data.startswith(mark):
            raise Refused(415, "UnsupportedType", f"this is {kind}; {EXPECTED}")
    raise Refused(400, "NotAnImage", f"not an image; {EXPECTED}")


def _opened(data: bytes, kind: str) -> Image.Image:
    if kind == "WEBP":
        _check_size(_webp_size(data))  # its decoder takes memory for the whole canvas when it is opened
    try:
        return Image.open(io.BytesIO(data), formats=(kind,))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Refused(413, "TooLarge", f"too many pixels; expected at most {MAX_PIXELS:,}") from None


def _seen(image: Image.Image, ink: bool) -> np.ndarray:
    """What a person sees: on white paper, or on black where white shows nothing, as for a chalk drawing on nothing."""
    try:
        return _toned(gray(image), ink)
    except Refused:
        if not image.has_transparency_data:
            raise
        return _toned(gray(image, 255 - PAPER), ink)


def _toned(image: np.ndarray, ink: bool) -> np.ndarray:
    return np.ascontiguousarray(dark_on_light(image) if ink else image)


def _webp_size(data: bytes) -> tuple[int, int]:
    """Width and height as the first chunk says (RFC 9649, sections 2.5 to 2.7)."""
    chunk, body = data[12:16], data[20:30]
    if len(body) < 10:
        raise Refused(400, "NotAnImage", "cut off within the header of a WebP file")
    if chunk == b"VP8X":
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if chunk == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8 ":
        return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF
    raise Refused(400, "NotAnImage", "a WebP file without an image")


def _from_file(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _too_many_bytes(path.stat().st_size)
        return path.read_bytes()
    except OSError as error:
        raise Refused(404, "NotFound", f"{path}: {error.strerror or error}") from None


def _from_npy(data: bytes) -> np.ndarray:
    """The array of an .npy file, without a copy; see `numpy.lib.format`. Pickled objects are refused by their type."""
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise Refused(415, "UnsupportedType", f".npy of version {version[0]}.{version[1]}; expected 1.0 or 2.0")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_columns, kind = read(file, max_header_size=1024)
    if kind.hasobject:
        raise Refused(415, "UnsupportedType", "pickled objects are never read; expected an array of numbers")
    if kind.kind not in "buif" or kind.itemsize > 8:
        raise Refused(422, "WrongType", f"an array of {kind}; expected bool, integers or floats")
    _check_shape(shape)
    wanted, there = math.prod(shape) * kind.itemsize, len(data) - file.tell()
    if there != wanted:
        raise Refused(400, "NotAnImage", f"{there} bytes of pixels in this .npy; its header promises {wanted}")
    flat = np.frombuffer(data, kind, offset=file.tell())
    return flat.reshape(shape, order="F" if by_columns else "C")


def _check_shape(shape: tuple[int, ...]) -> None:
    channels = (len(shape) == 3 and (shape[0] == 1 or shape[2] in (1, 3, 4))) or len(shape) == 2
    if not channels:
        raise Refused(422, "WrongShape", f"an array of shape {shape}; expected (H, W), (1, H, W), (H, W, 1 or 3 or 4)")
    height, width = shape[1:] if len(shape) == 3 and shape[0] == 1 else shape[:2]
    _check_size((width, height))


def _check_size(size: tuple[int, int]) -> None:
    """size: (width, height)."""
    width, height = size
    if min(width, height) < MIN_SIDE:
        raise Refused(422, "TooSmall", f"an image of {width} × {height} pixels; expected at least {MIN_SIDE} a side")
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise Refused(
            413,
            "TooLarge",
            f"an image of {width} × {height} pixels; expected at most {MAX_PIXELS:,}, and {MAX_SIDE:,} a side",
        )


def _from_array(array: np.ndarray) -> np.ndarray:
    """uint8 (H, W) of an array of any of the shapes and types that `decode` takes."""
    if array.dtype.kind not in "buif" or array.dtype.itemsize > 8:
        raise Refused(422, "WrongType", f"an array of {array.dtype}; expected bool, integers or floats")
    _check_shape(array.shape)
    if array.ndim == 3 and array.shape[0] == 1:
        array = array[0]
    elif array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    pixels = np.ascontiguousarray(_bytes_of(array))
    return pixels if pixels.ndim == 2 else gray(Image.fromarray(pixels))


def _bytes_of(array: np.ndarray) -> np.ndarray:
    """uint8 of the same shape, on the scale from 0 to 255."""
    if array.dtype == np.uint8:
        return array
    if array.dtype == bool:
        return array.astype(np.uint8) * 255
    low, high = array.min(), array.max()
    if array.dtype.kind == "f":
        if not (low >= 0 and high <= 255):  # false for NaN, too
            raise Refused(422, "WrongValues", f"floats from {low} to {high}; expected 0 to 1 or 0 to 255")
        scale = 255 if high <= 1 else 1
        return np.rint(array.astype(np.float32) * scale).astype(np.uint8)
    if low >= 0 and high <= 255:
        return array.astype(np.uint8)
    if low >= 0 and high <= 65_535:
        return (array >> 8).astype(np.uint8)
    raise Refused(422, "WrongValues", f"integers from {low} to {high}; expected 0 to 255, or 16 bits from 0")


def _too_many_bytes(count: int) -> Refused:
    return Refused(413, "TooLarge", f"{count:,} bytes; expected at most {MAX_BYTES:,}")


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
