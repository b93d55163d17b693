"""Whatever people send becomes dark ink on light paper, or is refused with a 4xx: never another exception."""

import base64
import io
import pickle
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from okkhor.serving.answers import Refused
from okkhor.serving.decoding import MAX_BYTES, MAX_PIXELS, decode, from_base64


def drawn(height=60, width=90, ink=30, paper=250):
    image = np.full((height, width), paper, np.uint8)
    image[height // 4 : height // 4 + 5, width // 5 : -width // 5] = ink
    image[height // 4 : -height // 5, width // 2 : width // 2 + 5] = ink
    return image


LETTER = drawn()


def encoded(image, format="PNG", **options):
    """Bytes of an array or a Pillow image."""
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    with io.BytesIO() as file:
        image.save(file, format, **options)
        return file.getvalue()


def npy(array, **options):
    with io.BytesIO() as file:
        np.save(file, array, **options)
        return file.getvalue()


def refusal_of(sent, **options):
    with pytest.raises(Refused) as refused:
        decode(sent, **options)
    refusal = refused.value.refusal
    assert 400 <= refusal.code < 500
    assert refusal.message
    assert "\n" not in refusal.message
    return refusal


@pytest.mark.parametrize(("format", "options"), [("PNG", {}), ("WEBP", {"lossless": True})])
def test_lossless_files_come_back_byte_for_byte(format, options):
    assert (decode(encoded(LETTER, format, **options)) == LETTER).all()


@pytest.mark.parametrize("format", ["JPEG", "WEBP"])
def test_lossy_files_come_back_nearly(format):
    assert np.abs(decode(encoded(LETTER, format, quality=95)).astype(int) - LETTER).mean() < 3


def test_every_mode_shows_the_same_letter():
    letter = Image.fromarray(LETTER)
    alpha = Image.fromarray(np.where(LETTER < 128, 255, 0).astype(np.uint8))
    clear = Image.merge("RGBA", [Image.new("L", letter.size, 30)] * 3 + [alpha])  # dark ink on nothing
    rows = {
        "RGB": letter.convert("RGB"),
        "RGBA": letter.convert("RGBA"),
        "dark ink on nothing": clear,
        "LA": letter.convert("LA"),
        "palette": letter.convert("P"),
        "palette with a clear color": clear.quantize(4),
        "1": letter.convert("1", dither=Image.Dither.NONE),
        "16 bits": Image.fromarray(LETTER.astype(np.uint16) << 8),
    }
    for name, image in rows.items():
        found = decode(encoded(image))
        assert found.dtype == np.uint8, name
        assert ((found < 128) == (LETTER < 128)).all(), name
    cmyk = decode(encoded(letter.convert("CMYK"), "JPEG", quality=100))
    assert ((cmyk < 128) == (LETTER < 128)).mean() > 0.99


def test_light_ink_on_nothing_is_ink():
    """Chalk drawn on a transparent canvas would vanish on white paper."""
    alpha = np.where(LETTER < 128, 255, 0).astype(np.uint8)
    chalk = np.dstack([np.full((*LETTER.shape, 3), 255, np.uint8), alpha])
    assert ((decode(encoded(chalk)) < 128) == (LETTER < 128)).all()


def test_exif_rotation_is_undone():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90° clockwise to see it upright
    sideways = np.ascontiguousarray(np.rot90(LETTER))
    assert ((decode(encoded(sideways, "PNG", exif=exif)) < 128) == (LETTER < 128)).all()


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_light_on_dark_is_turned_around(format):
    negative = encoded(255 - LETTER, format, **({"quality": 95} if format == "JPEG" else {}))
    assert ((decode(negative) < 128) == (LETTER < 128)).mean() > 0.99
    left = decode(negative, ink=False)
    assert ((left > 128) == (LETTER < 128)).mean() > 0.99


ARRAYS = {
    "(H, W)": LETTER,
    "(H, W, 1)": LETTER[:, :, None],
    "(1, H, W)": LETTER[None],
    "(H, W, 3)": np.dstack([LETTER] * 3),
    "(H, W, 4)": np.dstack([LETTER, LETTER, LETTER, np.full_like(LETTER, 255)]),
    "columns first": np.asfortranarray(LETTER),
    "int64": LETTER.astype(np.int64),
    "big-endian uint16": (LETTER.astype(">u2") << 8),
    "floats to 1": LETTER / 255,
    "float16 to 255": LETTER.astype(np.float16),
    "not contiguous": np.repeat(LETTER, 2, 1)[:, ::2],
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_and_npy_files_of_any_shape_and_type(name):
    array = ARRAYS[name]
    assert (decode(array) == LETTER).all()
    assert (decode(npy(array)) == LETTER).all()


def test_bool_arrays_show_ink():
    assert ((decode(npy(LETTER < 128)) < 128) == (LETTER < 128)).all()


def test_base64_with_and_without_data_url():
    png = encoded(LETTER)
    text = base64.b64encode(png).decode()
    lines = "\n".join(text[at : at + 76] for at in range(0, len(text), 76))
    for sent in (text, f"data:image/png;base64,{text}", text.rstrip("="), lines):
        assert (decode(sent) == LETTER).all()
    assert (decode(base64.urlsafe_b64encode(png).decode()) == LETTER).all()
    assert from_base64(text) == png


def test_a_path_is_read_and_text_never_is(tmp_path):
    path = tmp_path / "letter.png"
    path.write_bytes(encoded(LETTER))
    assert (decode(path) == LETTER).all()
    assert refusal_of(str(path)).type in ("NotBase64", "NotAnImage")
    assert refusal_of(tmp_path / "other.png").code == 404


@pytest.mark.parametrize("tone", [0, 128, 255])
def test_an_image_without_ink_is_refused(tone):
    blank = np.full((50, 50), tone, np.uint8)
    blank[::2] += np.uint8(2 if tone < 250 else 0)
    assert refusal_of(encoded(blank)).type == "NoInk"
    assert decode(encoded(blank), ink=False).shape == (50, 50)


def giant_png(width, height):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")


def giant_webp(width, height):
    body = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", 4 + 8 + len(body)) + b"WEBPVP8X" + struct.pack("<I", len(body)) + body


def npy_header(text):
    text = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


BOMBS = {
    "png": giant_png(60_000, 60_000),
    "long png": giant_png(10_000_000, 1),
    "png beyond Pillow's own guard": giant_png(10_000, 10_000),
    "webp": giant_webp(16_000, 16_000),
    "npy": npy_header("{'descr': '|u1', 'fortran_order': False, 'shape': (90000, 90000), }"),
    "npy of 2**80": npy_header(f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({2**80}, {2**80}), }}"),
    "bytes": b"\x89PNG\r\n\x1a\n" + bytes(MAX_BYTES),
    "base64": "A" * (2 * MAX_BYTES),
    "array": np.lib.stride_tricks.as_strided(np.zeros(1, np.uint8), (5000, 5000), (0, 0)),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_before_memory_is_taken(name):
    tracemalloc.start()
    try:
        refusal = refusal_of(BOMBS[name])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert refusal.code in (413, 422)
    assert peak < 3 * MAX_BYTES
    assert MAX_PIXELS < 5000 * 5000


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"", 400),
        (b"hello", 400),
        ("", 400),
        ("not base64!", 400),
        ("data:image/png,abc", 400),
        ("ক", 400),
        (b"GIF89a" + bytes(20), 415),
        (b"%PDF-1.7", 415),
        (pickle.dumps([1, 2]), 415),
        (npy(np.array([{"a": 1}]), allow_pickle=True), 415),
        (npy(np.zeros(3, [("a", "u1")])), 422),
        (npy(np.full((20, 20), "a")), 422),
        (npy(np.full((20, 20), np.nan)), 422),
        (npy(np.full((20, 20), np.inf)), 422),
        (npy(np.full((20, 20), -1)), 422),
        (npy(np.full((20, 20), 70_000)), 422),
        (npy(np.zeros((20, 20), complex)), 422),
        (npy(np.uint8(3)), 422),
        (npy(np.zeros((0, 20))), 422),
        (npy(np.zeros((2, 20, 20))), 422),
        (npy(np.zeros((1, 1, 20, 20))), 422),
        (npy(LETTER)[:-1], 400),
        (npy(LETTER) + b"x", 400),
        (npy_header("{'descr': '|u1', 'fortran_order': False, 'shape': (-20, -20), }"), 422),
        (npy_header("{'descr': '|O', 'fortran_order': False, 'shape': (20, 20), }"), 415),
        (npy_header("__import__('os').abort()"), 400),
        (npy_header("-" * 100 + "1"), 400),
        (b"\x93NUMPY\x03\x00" + bytes(50), 415),
        (np.zeros((20, 20), object), 422),
        (None, 400),
        (np.zeros((3, 3), np.uint8), 422),
        (encoded(np.zeros((3, 300), np.uint8)), 422),
    ],
    ids=repr,
)
def test_what_is_no_image_is_refused(sent, code):
    assert refusal_of(sent).code == code


FILES = {
    "png": encoded(LETTER),
    "jpeg": encoded(LETTER, "JPEG"),
    "progressive jpeg": encoded(LETTER, "JPEG", progressive=True),
    "webp": encoded(LETTER, "WEBP"),
    "lossless webp": encoded(LETTER, "WEBP", lossless=True),
    "webp with alpha": encoded(Image.fromarray(LETTER).convert("RGBA"), "WEBP"),
    "npy": npy(LETTER),
}


@pytest.mark.parametrize("name", FILES)
def test_truncated_files_are_refused_wherever_they_end(name):
    data = FILES[name]
    decode(data)
    for end in [*range(0, len(data) - 1, max(1, len(data) // 60)), len(data) - 1]:
        assert refusal_of(data[:end]).code == 400, end


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=60, deadline=None)
@given(where=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=6))
def test_damaged_files_are_read_or_refused(name, where):
    data = bytearray(FILES[name])
    for at, value in where:
        data[int(at * len(data))] = value
    _read_or_refused(bytes(data))


STARTS = st.sampled_from(
    [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\x00\x01\x00\x00WEBPVP8 ", b"\x93NUMPY\x01\x00"]
)


@settings(max_examples=200, deadline=None)
@given(start=STARTS, rest=st.binary(max_size=300))
@example(start=b"RIFF\x00\x01\x00\x00WEBPVP8L", rest=bytes(30))
@example(start=b"\x93NUMPY\x01\x00\x76\x00", rest=b"(" * 118)
def test_random_bytes_are_read_or_refused(start, rest):
    _read_or_refused(start + rest)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_random_text_is_read_or_refused(text):
    _read_or_refused(text)


@settings(max_examples=60, deadline=None)
@given(first=st.sampled_from(sorted(FILES)), second=st.sampled_from(sorted(FILES)), cut=st.floats(0, 1))
def test_polyglots_are_one_thing_or_refused(first, second, cut):
    """Two files in one: what stands first decides, and nothing that follows is ever looked into."""
    head = FILES[first][: int(cut * len(FILES[first]))]
    _read_or_refused(head + FILES[second])
    _read_or_refused(head + pickle.dumps(FILES[second]))


def _read_or_refused(sent):
    """Nothing but Refused is ever raised."""
    try:
        found = decode(sent)
    except Refused as refused:
        refusal = refused.refusal
        found = None
    if found is None:
        assert 400 <= refusal.code < 500
        assert "\n" not in refusal.message
    else:
        assert found.dtype == np.uint8
        assert found.ndim == 2
        assert found.size <= MAX_PIXELS
