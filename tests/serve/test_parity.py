"""200 images, one answer: the checkpoint, every format of its bundle, and every server of it say the same."""

import base64
import copy
import io
import json
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from okkhor.data.module import ImageData
from okkhor.labels import read_class_map
from okkhor.models.module import ClassifierModule
from okkhor.runs import Run
from okkhor.serving.bundle import Bundle
from okkhor.serving.predictor import Predictor
from okkhor.serving.runtimes import FORMATS
from okkhor.serving.writing import TOLERANCE
from okkhor.training.export import export
from okkhor.training.fit import fit
from okkhor.training.restore import restore
from okkhor.training.scoring import score

pytestmark = [pytest.mark.serial, pytest.mark.slow]

COUNT, CLIENTS = 200, 8
ALL = 1000  # classes of each head that are asked for, where a request can say so
FIRST = 5  # that are answered where it cannot
TIE = 1e-5  # probabilities this close may change places
SURE = 1e-3  # by which the best class of each head leads, in the images that are asked about
HEADS = ("root", "vowel", "consonant")
COMPILES = shutil.which("g++") or shutil.which("clang++")
needs_compiler = pytest.mark.skipif(not COMPILES, reason="AOTInductor needs a C++ compiler")
EVERY = [pytest.param(one, marks=needs_compiler) if one == "aoti" else one for one in FORMATS]


def png(pixels: np.ndarray | Image.Image, kind: str = "PNG", **options) -> bytes:
    with io.BytesIO() as file:
        (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(file, kind, **options)
        return file.getvalue()


def npy(array: np.ndarray) -> bytes:
    with io.BytesIO() as file:
        np.save(file, array)
        return file.getvalue()


def on_nothing(scan: np.ndarray) -> Image.Image:
    """Black ink whose opacity is the darkness of the scan."""
    ink = Image.new("LA", scan.shape[::-1], (0, 0))
    ink.putalpha(Image.fromarray(255 - scan))
    return ink


def on_a_sheet(scan: np.ndarray) -> np.ndarray:
    """Without the scan's dark edges, in the middle of a larger sheet."""
    sheet = np.full((300, 300), int(np.median(scan)), np.uint8)
    sheet[85:210, 40:260] = scan[6:131, 8:228]
    return sheet


# scan uint8 (137, 236) -> bytes that show the very same pixels, and their content type
SAME: dict[str, Callable[[np.ndarray], tuple[bytes, str]]] = {
    "gray": lambda scan: (png(scan), "image/png"),
    "RGB": lambda scan: (png(np.dstack([scan] * 3)), "image/png"),
    "RGBA": lambda scan: (png(np.dstack([scan] * 3 + [np.full_like(scan, 255)])), "image/png"),
    "ink on nothing": lambda scan: (png(on_nothing(scan)), "image/png"),
    "palette": lambda scan: (png(Image.fromarray(scan).convert("P")), "image/png"),
    "16 bits": lambda scan: (png(scan.astype(np.uint16) * 257), "image/png"),
    "light on dark": lambda scan: (png(255 - scan), "image/png"),
    "WebP without loss": lambda scan: (png(scan, "WEBP", lossless=True), "image/webp"),
    "bytes": lambda scan: (npy(scan[np.newaxis]), "application/x-npy"),
    "floats": lambda scan: (npy((scan / 255).astype(np.float32)), "application/x-npy"),
}
# … bytes that show the letter otherwise: what the network sees of it is the Predictor's to say
OTHER: dict[str, Callable[[np.ndarray], tuple[bytes, str]]] = {
    "JPEG": lambda scan: (png(scan, "JPEG", quality=90), "image/jpeg"),
    "JPEG, colored, twice as large": lambda scan: (
        png(cv2.resize(np.dstack([scan] * 3), None, fx=2, fy=2), "JPEG"), "image/jpeg",
    ),
    "WebP": lambda scan: (png(scan, "WEBP", quality=80), "image/webp"),
    "half as large": lambda scan: (png(cv2.resize(scan, (118, 68), interpolation=cv2.INTER_AREA)), "image/png"),
    "on a sheet": lambda scan: (png(on_a_sheet(scan)), "application/octet-stream"),
    "upright": lambda scan: (npy(cv2.resize(scan, (137, 236))), "application/x-npy"),
    "two tones": lambda scan: (npy(scan > np.median(scan) - 60), "application/x-npy"),
}  # fmt: skip


@dataclass(frozen=True)
class Letter:
    """One image.

    row: of the data; kind: how it is encoded; wrapped: sent as JSON, with `top`; seen: uint8 (H, W), what the network
    is to see.
    """

    row: int
    kind: str
    body: bytes
    content_type: str
    wrapped: bool
    seen: np.ndarray

    @property
    def top(self) -> int:
        return ALL if self.wrapped else FIRST

    @property
    def sent(self) -> tuple[bytes, str]:
        """Body and content type of the request."""
        if not self.wrapped:
            return self.body, self.content_type
        return json.dumps({"image": base64.b64encode(self.body).decode(), "top": ALL}).encode(), "application/json"


@dataclass(frozen=True)
class Truth:
    """The checkpoint itself: its data and its network, restored as training does."""

    run: Run
    data: ImageData
    module: ClassifierModule

    @torch.inference_mode()
    def probabilities(self, seen: np.ndarray) -> list[np.ndarray]:
        """float32 (N, classes) of each head, of images uint8 (N, H, W), one at a time."""
        rows = [[head.softmax(1)[0].numpy() for head in self.module(torch.tensor(one)[None, None])] for one in seen]
        return [np.stack(head) for head in zip(*rows, strict=True)]


@pytest.fixture(scope="module")
def truth(tmp_path_factory, tiny_in, composed) -> Truth:
    """Trained until it tells letters apart: nearly random weights give the same answer to all."""
    config = composed(
        *tiny_in(tmp_path_factory.mktemp("runs")),
        "trainer.max_epochs=20",
        "trainer.limit_train_batches=1.0",
        "trainer.limit_val_batches=1.0",
        "model.options.widths=[8,16,32,64]",
        "optimizer.lr=1e-2",
        "aug=none",
    )
    run = Run.create(config.paths.runs, config.name)
    run.write_config(config)
    fit(run, config)
    _, data, module = restore(run)
    return Truth(run, data, module.cpu().eval())


@pytest.fixture(scope="module")
def bundle(truth, tmp_path_factory) -> Bundle:
    floating = [one for one in FORMATS if one != "onnx_int8" and (one != "aoti" or COMPILES)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.mktemp("inductor")))
        return export(truth.run, None, floating, "int8")


@pytest.fixture(scope="module")
def letters(truth, bundle) -> list[Letter]:
    """Each encoding a dozen times, half of them as JSON; the validation fold comes first."""
    data, predictor = truth.data, Predictor.load(bundle, "onnx")
    order = np.concatenate([data.rows("val"), data.rows("train")])
    kinds = [*SAME.items(), *OTHER.items()]
    found: list[Letter] = []
    for row in order:
        number = len(found)
        if number == COUNT:
            break
        kind, encode = kinds[number % len(kinds)]
        body, content_type = encode(np.asarray(data.store.images[row]))
        seen = np.asarray(data.images[row]) if kind in SAME else predictor.decode(body)
        best = [np.sort(head[0]) for head in truth.probabilities(seen[None])]
        if min(head[-1] - head[-2] for head in best) > SURE:
            found.append(Letter(int(row), kind, body, content_type, (number // len(kinds)) % 2 == 1, seen))
    assert len(found) == COUNT
    return found


@pytest.fixture(scope="module")
def expected(truth, letters) -> list[np.ndarray]:
    """The checkpoint's probabilities of each head, (200, classes)."""
    return truth.probabilities(np.stack([one.seen for one in letters]))


def assert_agree(
    answers: Sequence[dict], letters: Sequence[Letter], expected: Sequence[np.ndarray], format: str
) -> None:
    """answers: JSON of each letter; expected: probabilities (N, classes) of each head."""
    names = read_class_map()
    assert len(answers) == len(letters) == COUNT
    for answer, letter, *heads in zip(answers, letters, *expected, strict=True):
        told = f"row {letter.row}, {letter.kind}"
        assert answer["model"]["format"] == format
        assert list(answer["heads"]) == list(HEADS), told
        for column, name, wanted in zip(names.names, HEADS, heads, strict=True):
            choices = answer["heads"][name]
            classes = [one["class"] for one in choices]
            assert len(set(classes)) == len(choices) == min(letter.top, len(wanted)), told
            assert [one["text"] for one in choices] == [names.names[column][one] for one in classes], told
            found = np.array([one["probability"] for one in choices])
            assert np.abs(found - wanted[classes]).max() <= TOLERANCE, told
            assert (np.diff(wanted[classes]) <= TIE).all(), f"{told}: {name} in another order"
            left = np.delete(wanted, classes)
            assert left.size == 0 or left.max() <= wanted[classes].min() + TIE, f"{told}: {name} lacks a better class"
        best = [int(one.argmax()) for one in heads]
        assert answer["grapheme"] == names.compose(*best), told
        sure = float(np.prod([one.max() for one in heads]))
        assert abs(answer["confidence"] - sure) <= 3 * TOLERANCE, told


def of_predictor(predictor: Predictor, letters: Sequence[Letter]) -> list[dict]:
    """Raw bytes, or base64 text where a request would be JSON; those of the same `top` go through it together."""
    found: dict[int, dict] = {}
    for top in (FIRST, ALL):
        chosen = {i: one for i, one in enumerate(letters) if one.top == top}
        sent = [base64.b64encode(one.body).decode() if one.wrapped else one.body for one in chosen.values()]
        found |= {i: one.as_json() for i, one in zip(chosen, predictor.predict(sent, top=top), strict=True)}
    return [found[i] for i in range(len(letters))]


def of_server(ask: Callable, letters: Sequence[Letter]) -> list[dict]:
    """ask(body, content type) -> Answered; from several clients at once."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        every = list(pool.map(lambda one: ask(*one.sent), letters))
    assert [answered.status for answered in every] == [200] * len(letters)
    return [answered.json for answered in every]


@pytest.fixture(scope="module")
def wanted(bundle, letters, expected) -> Callable[[str], list[np.ndarray]]:
    """wanted(format): what servers of it are to answer: the checkpoint's, and int8's own in this process."""

    def of(format: str) -> list[np.ndarray]:
        if format != "onnx_int8":
            return expected
        seen = np.stack([one.seen for one in letters])[:, np.newaxis]
        return Predictor.load(bundle, format).probabilities(seen)

    return of


def test_the_images_differ_in_size_and_mode_and_in_what_is_read(letters, expected):
    sizes, modes = set(), set()
    for one in letters:
        if one.content_type == "application/x-npy":
            array = np.load(io.BytesIO(one.body))
            sizes.add(array.shape[-2:])
            modes.add(str(array.dtype))
        else:
            with Image.open(io.BytesIO(one.body)) as image:
                sizes.add(image.size[::-1])
                modes.add(image.mode)
    assert len(sizes) >= 5
    assert modes >= {"L", "RGB", "RGBA", "LA", "P", "I;16", "uint8", "float32", "bool"}
    assert sum(one.wrapped for one in letters) >= COUNT / 3
    assert len({tuple(int(head[i].argmax()) for head in expected) for i in range(COUNT)}) >= COUNT / 2
    assert all(head.std(0).max() > 100 * TOLERANCE for head in expected)


@pytest.mark.parametrize("kind", SAME)
def test_the_very_same_pixels_reach_the_network(bundle, letters, kind):
    """As training saw them, however they were encoded."""
    predictor = Predictor.load(bundle, "onnx")
    chosen = [one for one in letters if one.kind == kind]
    assert len(chosen) >= 10
    for one in chosen:
        np.testing.assert_array_equal(predictor.decode(one.body), one.seen)


@pytest.mark.parametrize("format", [one for one in EVERY if one != "onnx_int8"])
def test_each_format_answers_as_the_checkpoint(bundle, letters, expected, format):
    assert_agree(of_predictor(Predictor.load(bundle, format, trust=True), letters), letters, expected, format)


@pytest.fixture(scope="module")
def good(bundle, letters) -> list[dict]:
    return of_predictor(Predictor.load(bundle, "onnx"), letters)


def worse(answers: list[dict], letters: list[Letter], fault: str) -> list[dict]:
    """The answers with one fault in one of them, or in their order."""
    number = next(i for i, one in enumerate(letters) if one.wrapped)
    bad = [copy.deepcopy(one) if i in (0, number) else one for i, one in enumerate(answers)]
    one = bad[number]
    root = one["heads"]["root"]
    if fault == "shifted":
        return bad[1:] + bad[:1]
    if fault == "probability":
        root[3]["probability"] += 2 * TOLERANCE
    elif fault == "order":
        root[0], root[1] = root[1], root[0]
    elif fault == "classes":
        one["heads"]["vowel"][0]["class"], one["heads"]["vowel"][1]["class"] = 10, 10
    elif fault == "text":
        root[7]["text"] += "া"
    elif fault == "grapheme":
        one["grapheme"] = "ক্ষ" if one["grapheme"] != "ক্ষ" else "ক"
    elif fault == "left out":
        del bad[0]["heads"]["root"][0]
        bad[0]["heads"]["root"].append(dict(root[-1]))
    elif fault == "fewer":
        one["heads"]["consonant"].pop()
    elif fault == "heads":
        one["heads"] = dict(reversed(one["heads"].items()))
    elif fault == "confidence":
        one["confidence"] += 4 * TOLERANCE
    elif fault == "format":
        one["model"]["format"] = "onnx_int8"
    return bad


@pytest.mark.parametrize(
    "fault",
    ["shifted", "probability", "order", "classes", "text", "grapheme", "left out", "fewer", "heads", "confidence",
     "format"],
)  # fmt: skip
def test_an_answer_that_differs_is_noticed(good, letters, expected, fault):
    assert_agree(good, letters, expected, "onnx")
    with pytest.raises(AssertionError):
        assert_agree(worse(good, letters, fault), letters, expected, "onnx")


def test_int8_is_as_far_from_the_checkpoint_as_the_bundle_says(truth, bundle, letters, expected, wanted):
    entry = bundle.formats["onnx_int8"]
    rows = truth.data.rows("val")
    seen = np.asarray(truth.data.images[rows])
    exact, quantized = truth.probabilities(seen), Predictor.load(bundle, "onnx_int8").probabilities(seen[:, np.newaxis])
    found = max(float(np.abs(a - b).max()) for a, b in zip(exact, quantized, strict=True))
    assert found == pytest.approx(entry.difference, abs=TOLERANCE)
    assert found > 10 * TOLERANCE  # it is another network, which the other comparisons would notice
    labels = truth.data.store.labels[rows]
    reached, full = (score(truth.module, one, labels)["score"] for one in (quantized, exact))
    assert entry.notes["score"] == pytest.approx(reached, abs=1e-4)
    assert entry.notes["score_float32"] == pytest.approx(full, abs=1e-4)
    assert entry.notes["within_half_a_point"] == (reached >= full - 0.005)
    known = [i for i, one in enumerate(letters) if one.row in set(rows.tolist()) and one.kind in SAME]
    assert len(known) > 40
    for a, b in zip(expected, wanted("onnx_int8"), strict=True):
        assert np.abs(a[known] - b[known]).max() <= entry.difference + TOLERANCE


def test_int8_answers_in_this_process_as_its_network_computes(bundle, letters, wanted):
    answers = of_predictor(Predictor.load(bundle, "onnx_int8"), letters)
    assert_agree(answers, letters, wanted("onnx_int8"), "onnx_int8")


@pytest.fixture(scope="module")
def torchserve(truth, bundle, started):
    """Every format is a version of the one model."""
    first, *others = versions = [one for one in FORMATS if one in bundle.formats]
    with started("--run", str(truth.run.path), "--format", first, "--workers", "1") as server:
        for number, format in enumerate(others, start=2):
            added = server.models("add", str(truth.run.path), "--version", f"{number}.0", "--format", format)
            assert added.returncode == 0, added.stderr
        yield server, {format: f"{number}.0" for number, format in enumerate(versions, start=1)}


@pytest.mark.parametrize("format", EVERY)
def test_torchserve_answers_as_the_checkpoint(torchserve, letters, wanted, format):
    server, versions = torchserve
    path = f"/predictions/okkhor/{versions[format]}"
    answers = of_server(lambda body, kind: server.ask(body, kind, path), letters)
    assert_agree(answers, letters, wanted(format), format)


@pytest.mark.parametrize(
    ("target", "format"),
    [("mms", "onnx"), ("mms", "onnx_int8"), ("sagemaker", "torchscript"), ("sagemaker", "onnx_int8")],
)
def test_other_servers_answer_as_the_checkpoint(serving, truth, letters, wanted, target, format):
    with serving(target, truth.run.path, format, workers=1) as server:
        assert_agree(of_server(server.ask, letters), letters, wanted(format), format)
