"""Thousands of malformed requests, from many clients at once: each is refused with a reason, none breaks anything."""

import base64
import collections
import io
import json
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

pytestmark = [pytest.mark.serial, pytest.mark.slow]

COUNT = 3000
CLIENTS = 16
JSON = "application/json"
RAW = ("image/png", "image/jpeg", "image/webp", "application/x-npy", "application/octet-stream", None)
Made = tuple[bytes, str | None]
MAKERS: list[Callable[[np.random.Generator, bytes], Made]] = []


def maker(make: Callable[[np.random.Generator, bytes], Made]) -> Callable[[np.random.Generator, bytes], Made]:
    MAKERS.append(make)
    return make


def noise(random: np.random.Generator, most: int = 3000) -> bytes:
    return random.bytes(int(random.integers(1, most)))


def pick(random: np.random.Generator, choices):
    return choices[int(random.integers(len(choices)))]


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def encoded(random: np.random.Generator, png: bytes) -> bytes:
    """The image in one of the three formats."""
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)
    return cv2.imencode(pick(random, (".png", ".jpg", ".webp")), image)[1].tobytes()


def png_of(width: int, height: int, *, depth: int = 8, color: int = 0, pixels: bytes = b"") -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


@maker
def random_bytes(random, png) -> Made:
    return noise(random), pick(random, (*RAW, JSON))


@maker
def signature_and_noise(random, png) -> Made:
    marks = (
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0",
        b"RIFF\x10\0\0\0WEBPVP8 ",
        b"RIFF\xff\xff\xff\xffWEBPVP8X",
        b"\x93NUMPY\1\0",
    )
    return pick(random, marks) + noise(random), pick(random, RAW)


@maker
def truncated(random, png) -> Made:
    data = encoded(random, png)
    return data[: int(random.integers(1, len(data) * 3 // 4))], pick(random, RAW)


@maker
def other_formats(random, png) -> Made:
    heads = (
        b"GIF89a",
        b"BM",
        b"II*\0",
        b"%PDF-1.7",
        b"<svg xmlns='http://www.w3.org/2000/svg'>",
        b"<!DOCTYPE html>",
        b"#!/bin/sh\n",
    )
    return pick(random, heads) + noise(random), pick(random, RAW)


@maker
def polyglot(random, png) -> Made:
    """A ZIP, a script or a page that ends as an image does."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x", noise(random))
    return pick(random, (file.getvalue(), b"<script>alert(1)</script>", b"GIF89a/*")) + png, pick(random, RAW)


@maker
def huge_dimensions(random, png) -> Made:
    sides = (2**31 - 1, 2**31, 2**32 - 1, 100_000, 20_000, 65_535)
    return png_of(pick(random, sides), pick(random, sides), pixels=b"\0" * 1000), pick(random, RAW)


@maker
def decompression_bomb(random, png) -> Made:
    side = int(random.integers(16_400, 30_000))
    return png_of(side, side, depth=1, pixels=b"\0" * 1_000_000), "image/png"


@maker
def no_size(random, png) -> Made:
    return png_of(*pick(random, ((0, 0), (0, 10), (1, 1), (2, 7), (1, 5000))), pixels=b"\0" * 6000), pick(random, RAW)


@maker
def blank(random, png) -> Made:
    tone = int(random.integers(256))
    return cv2.imencode(".png", np.full((137, 236), tone, np.uint8))[1].tobytes(), pick(random, RAW)


@maker
def wrong_npy(random, png) -> Made:
    array = pick(
        random,
        (
            np.zeros((3, 4, 5, 6), np.uint8), np.zeros(7, np.uint8), np.zeros((0, 5), np.uint8), np.array(3),
            np.full((137, 236), np.nan, np.float32), np.full((137, 236), np.inf), np.full((137, 236), 1e9),
            np.zeros((137, 236), np.complex64), np.full((137, 236), -3), np.full((137, 236), "ab"),
            np.zeros((137, 236), "datetime64[s]"), np.zeros((137, 236), [("a", "u1")]),
            np.zeros((1, 100_000), np.uint8),
        ),
    )  # fmt: skip
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue(), "application/x-npy"


class Boom:
    def __reduce__(self):
        return exec, ("import os; os._exit(3)",)


@maker
def pickled(random, png) -> Made:
    file = io.BytesIO()
    np.save(file, np.array([Boom()], object), allow_pickle=True)
    archive = io.BytesIO()
    np.savez(archive, a=np.zeros((137, 236), np.uint8))
    return pick(random, (file.getvalue(), archive.getvalue(), pickle.dumps(Boom()), pickle.dumps([1, 2], 2))), pick(
        random, RAW
    )


@maker
def npy_header(random, png) -> Made:
    """A header that promises what does not follow, or is no header."""
    shape = pick(
        random, ("(137, 236)", "(99999999, 99999999)", "(-1, 5)", "(__import__('os').getpid(),)", "(1,)*999999", "(")
    )
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY" + pick(random, (b"\1\0", b"\2\0", b"\3\0", b"\7\7")) + struct.pack(
        "<H", len(header)
    ) + header, "application/x-npy"


@maker
def wrong_content_type(random, png) -> Made:
    kinds = (
        "text/plain", "text/html", "application/xml", "application/x-www-form-urlencoded", "video/mp4", "image/gif",
        "multipart/form-data", "multipart/form-data; boundary=x", "application/json, image/png", "*/*", "\x7f\xff",
        "a" * 4000,
        "application/pickle", "multipart/mixed; boundary=x", "application/x-www-form-urlencoded; charset=nope",
    )  # fmt: skip
    return pick(random, (png, noise(random), b"a=%zz&%")), pick(random, kinds)


@maker
def broken_form(random, png) -> Made:
    lines = (
        b'Content-Disposition: form-data; filename="a"', b'Content-Disposition: form-data; name="\xff\xfe"',
        b"Content-Disposition:",
        b'Content-Disposition: form-data; name="image"\r\nContent-Transfer-Encoding: nope', b"X: y",
        b'Content-Disposition: form-data; name="image"\r\nContent-Type: text/plain; charset=nope',
    )  # fmt: skip
    body = (
        b"--x\r\n"
        + pick(random, lines)
        + b"\r\n\r\n"
        + noise(random)
        + pick(random, (b"\r\n--x--\r\n", b"\r\n--x", b""))
    )
    return body, pick(random, ("multipart/form-data; boundary=x", "multipart/form-data; boundary=xx"))


@maker
def broken_json(random, png) -> Made:
    text = json.dumps({"image": b64(png)}).encode()
    cut = int(random.integers(len(text) - 1))
    depth = int(random.integers(1, 60_000))
    bodies = (
        text[:cut],
        text[cut + 1 :],
        b"",
        b"\xff\xfe" + text,
        b"[" * depth,
        b'{"a":' * depth,
        text + b"x",
        b"{'image': 1}",
        b"\0",
    )
    return pick(random, bodies), pick(random, (JSON, "application/json; charset=utf-8"))


@maker
def wrong_json(random, png) -> Made:
    image, good = b64(png), {"image": b64(png)}
    values = (
        None, 5, "text", [], [good], {}, {"img": image}, {"image": None}, {"image": 5}, {"image": []},
        {"image": ["a"]},
        {"image": ""}, {"image": "!!"}, {"image": image[:-7] + "*"}, {"image": "data:image/png," + image},
        {"image": "/etc/passwd"},
        {"image": "http://169.254.169.254/"}, {"instances": []}, {"instances": {}}, {"instances": "x"},
        {"instances": None},
        {"instances": [good] * 65}, good | {"explain": 1}, good | {"explain": "true"}, good | {"explain": None},
        {"image": b64(noise(random))}, {"image": b64(png_of(30_000, 30_000))}, {"Image": image},
        {"image": {"b64": image}},
    )  # fmt: skip
    return json.dumps(pick(random, values)).encode(), JSON


@maker
def wrong_top(random, png) -> Made:
    top = pick(
        random,
        (
            "NaN",
            "-1",
            "0",
            "1e9",
            "1001",
            "99999999999999999999",
            "Infinity",
            "-Infinity",
            "null",
            '"5"',
            "true",
            "[]",
            "2.5",
            "9" * 5000,
        ),
    )
    return f'{{"image": "{b64(png)}", "top": {top}}}'.encode(), JSON


@maker
def too_large(random, png) -> Made:
    return bytes(8_388_609 + int(random.integers(100))), pick(random, RAW)


def test_malformed_requests_are_all_refused_with_a_reason_and_break_nothing(server, predictor, drawn, png):
    random = np.random.default_rng(20_261_123)
    good = png(0)
    rare = {too_large, decompression_bomb}  # they take long to send or to make
    makers = [make for make in MAKERS for _ in range(1 if make in rare else 12)]
    cases = [(make.__name__, *make(random, good)) for make in (pick(random, makers) for _ in range(COUNT))]
    before = sorted(server.workers().items())
    (expected,) = predictor.predict([drawn(0)])
    wrong: list[tuple] = []
    statuses: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)

    def send(number: int) -> None:
        name, body, kind = cases[number]
        path = "/explanations/okkhor" if number % 7 == 0 else "/predictions/okkhor"
        try:
            answered = server.ask(body, kind, path)
        except (ConnectionError, TimeoutError) as error:
            if name != "too_large":  # it may be told so, and cut off, while it still sends
                wrong.append((number, name, kind, repr(error)))
            return
        statuses[name][answered.status] += 1
        if not 400 <= answered.status < 500 or not explained(answered):
            wrong.append((number, name, kind, answered.status, body[:60], answered.body[:200]))
        if number % 20 == 0:
            right = server.ask(good)
            if right.status != 200 or right.json["grapheme"] != expected.grapheme:
                wrong.append((number, "a good request in between", right.status, right.body[:200]))

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(send, range(COUNT)))
    assert not wrong, "\n".join(map(str, wrong[:20]))
    assert set(statuses) == {make.__name__ for make in MAKERS}, "every kind was sent"
    assert sorted(server.workers().items()) == before, "a worker was started anew"


def explained(answered) -> bool:
    """Whether the answer says why, in JSON of the agreed shape, and tells nothing of our insides."""
    if answered.status == 413 and not answered.body:
        return True  # refused by its length, before TorchServe's own code sees it
    said = answered.json
    return (
        set(said) == {"code", "type", "message"}
        and said["code"] == answered.status
        and 0 < len(said["message"]) < 1000
        and "Traceback" not in said["message"]
        and "/site-packages/" not in said["message"]
        and "java." not in said["message"]
    )
