"""The page that reads in the browser, in a real Chromium: it prepares, reads and spells as the Predictor does."""

import io
import json
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from okkhor.errors import InputError
from okkhor.labels import LabelMap
from okkhor.serving.drawing import NOTE, write_drawing_page
from okkhor.serving.web_runtime import FILES

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
RUNTIME = Path(__file__).resolve().parents[2] / ".servers" / "web"
pytestmark = [
    pytest.mark.serial,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here; on Debian: apt-get install chromium"),
    pytest.mark.skipif(
        not all((RUNTIME / name).is_file() for name in FILES),
        reason="no ONNX Runtime for browsers; make setup-docs fetches it",
    ),
]

ZIGZAG = ((0.2, 0.3), (0.8, 0.3), (0.5, 0.8), (0.5, 0.3))  # shares of the paper's width and height
READ = "#reading[aria-busy=false] #found:not([hidden])"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def site(handmade, tmp_path_factory) -> Iterator[tuple[str, Path]]:
    """The page's URL, two folders down as in the guide, and its folder."""
    root = tmp_path_factory.mktemp("site")
    write_drawing_page(handmade, root / "guide" / "draw", runtime=RUNTIME)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/guide/draw/", root / "guide" / "draw"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page(browser, site):
    """One page for all: it was asked for nothing outside its folder, and its console has no complaints."""
    url, _ = site
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.set_default_timeout(30_000)
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type != "log" else None)
    page.goto(url)
    page.wait_for_selector("#samples:not([hidden])")
    page.evaluate(
        "import('./reading.js').then(({ loadReader }) => loadReader(() => {})).then((one) => (window.one = one))"
    )
    yield page
    page.close()
    assert f"{url}model.onnx" in asked
    assert [one for one in asked if not one.startswith(url)] == []
    assert complaints == []


def draw(page, points=ZIGZAG) -> None:
    box = page.locator("#paper").bounding_box()
    corners = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*corners[0])
    page.mouse.down()
    for corner in corners[1:]:
        page.mouse.move(*corner, steps=5)
    page.mouse.up()


def clear(page) -> None:
    if page.locator("#clear").is_enabled():
        page.click("#clear")
    page.wait_for_selector("#found", state="hidden")


def png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


def read(page, sent: bytes) -> dict[str, Any]:
    """What the page's script answers to the bytes of an image, with what the network saw of it."""
    return page.evaluate(
        """async (bytes) => {
            const picture = await createImageBitmap(new Blob([new Uint8Array(bytes)]));
            const { canvasOf } = await import("./paper.js");
            const { grayOf } = await import("./preparing.js");
            const [, context] = canvasOf(picture.width, picture.height);
            context.drawImage(picture, 0, 0);
            const answer = await window.one.read(grayOf(context.getImageData(0, 0, picture.width, picture.height)));
            return { ...answer, seen: Array.from(answer.seen.data) };
        }""",
        list(sent),
    )


def images() -> dict[str, np.ndarray]:
    """Drawings and pictures of the kinds that are prepared in different ways."""
    random = np.random.default_rng(0)

    def scribbled(height: int, width: int, pen: int, ink: int, paper: int, low: float = 0.1, high: float = 0.9):
        corners = (random.uniform(low, high, (6, 2)) * (width, height)).astype(np.int32)
        return cv2.polylines(np.full((height, width), paper, np.uint8), [corners], False, ink, pen, cv2.LINE_AA)

    shaded = scribbled(300, 420, 9, 40, 230) * np.linspace(0.5, 1, 420) + random.normal(0, 5, (300, 420))
    return {
        "drawing": scribbled(548, 944, 16, 20, 255),
        "small drawing": scribbled(548, 944, 16, 20, 255, 0.7, 0.85),
        "black page": scribbled(548, 944, 120, 20, 255, 0, 1),
        "scan": scribbled(137, 236, 5, 15, 250),
        "chalk": 255 - scribbled(300, 500, 12, 20, 240),
        "pencil": scribbled(411, 397, 11, 180, 240),
        "photograph": shaded.clip(0, 255).astype(np.uint8),
        "thumbnail": scribbled(40, 61, 2, 30, 245),
    }


@pytest.mark.parametrize("kind", list(images()))
def test_an_image_is_prepared_and_read_as_by_the_predictor(page, predictor, kind):
    image = images()[kind]
    answer = read(page, png(image))
    (expected,) = predictor.predict([image], explain=True)
    np.testing.assert_array_equal(np.reshape(answer["seen"], expected.seen.shape), expected.seen)
    assert answer["grapheme"] == expected.grapheme
    assert answer["confidence"] == pytest.approx(expected.confidence, abs=1e-4)
    assert list(answer["heads"]) == list(expected.heads)
    for name, choices in expected.heads.items():
        assert [(one["class"], one["text"]) for one in answer["heads"][name]] == [(c.label, c.text) for c in choices]
        found = [one["probability"] for one in answer["heads"][name]]
        np.testing.assert_allclose(found, [one.probability for one in choices], atol=1e-4)
        np.testing.assert_allclose(answer["activation_maps"][name], expected.activation_maps[name], atol=1e-2)


def test_colors_become_the_gray_of_pillow(page):
    colors = np.random.default_rng(1).integers(0, 256, (40, 50, 3), np.uint8)
    gray = page.evaluate(
        """async ([width, height, data]) => {
            const { grayOf } = await import("./preparing.js");
            return Array.from(grayOf({ data, width, height }).data);
        }""",
        [50, 40, np.dstack([colors, np.full((40, 50), 255, np.uint8)]).ravel().tolist()],
    )
    np.testing.assert_array_equal(np.reshape(gray, (40, 50)), np.asarray(Image.fromarray(colors).convert("L")))


def test_every_combination_is_spelled_as_by_the_label_map(page, predictor):
    bundle = predictor.bundle
    label_map = LabelMap({head.column: list(bundle.labels[head.name]) for head in bundle.heads})
    texts = [label_map.names[column] for column in ("grapheme_root", "vowel_diacritic", "consonant_diacritic")]
    spelled = page.evaluate(
        """async ([roots, vowels, consonants]) => {
            const { spelled } = await import("./spelling.js");
            return roots.flatMap((r) => vowels.flatMap((v) => consonants.map((c) => spelled(r, v, c))));
        }""",
        texts,
    )
    assert spelled == [label_map.compose(*labels) for labels in product(*(range(len(one)) for one in texts))]


def test_what_is_drawn_is_read_and_shown(page, predictor):
    clear(page)
    draw(page)
    page.wait_for_selector(READ)
    data = page.evaluate(
        """async () => { // the paper, whose ground is the page's, on white
            const { canvasOf } = await import("./paper.js");
            const paper = document.getElementById("paper");
            const [canvas, context] = canvasOf(paper.width, paper.height);
            context.fillStyle = "#fff";
            context.fillRect(0, 0, canvas.width, canvas.height);
            context.drawImage(paper, 0, 0);
            return Array.from(new Uint8Array(await (await new Promise((r) => canvas.toBlob(r))).arrayBuffer()));
        }"""
    )
    drawn = np.asarray(Image.open(io.BytesIO(bytes(data))).convert("L"))
    assert (drawn < 128).mean() > 0.02
    (expected,) = predictor.predict([bytes(data)])
    assert page.locator("#grapheme").inner_text() == expected.grapheme
    assert page.locator(".head h3").all_text_contents() == list(expected.heads)
    shares = [float(share.strip("<>%")) for share in page.locator(".head .share").all_text_contents()]
    wanted = [100 * choice.probability for choices in expected.heads.values() for choice in choices]
    assert shares == pytest.approx(wanted, abs=0.11)
    page.wait_for_function(
        "[...document.querySelectorAll('.head canvas')].every((c) => c.width === 472 && c.ariaLabel)"
    )
    facts = page.locator(".facts").inner_text()
    assert "ms in this browser; nothing was sent" in facts
    assert "okkhor 1.0 (onnx), the run handmade" in facts


def test_undo_clear_and_samples_by_keyboard(page, predictor):
    from okkhor.serving.demo.samples import TEXTS, sample_png

    clear(page)
    draw(page)
    page.wait_for_selector(READ)
    page.keyboard.press("Control+z")
    page.wait_for_selector("#found", state="hidden")
    assert page.locator("#sample-list img").evaluate_all("all => all.map((one) => one.alt)") == list(TEXTS)
    page.locator("#sample-list button").nth(3).focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(READ)
    (expected,) = predictor.predict([sample_png(3)])
    assert page.locator("#grapheme").inner_text() == expected.grapheme
    assert page.locator("#paper").get_attribute("aria-label") == f"Paper with the sample {TEXTS[3]}"


def test_what_cannot_be_read_says_why(page, tmp_path):
    clear(page)
    blank, text = tmp_path / "blank.png", tmp_path / "text.png"
    blank.write_bytes(png(np.full((137, 236), 250, np.uint8)))
    text.write_bytes(b"no image at all")
    for file, reason in ((blank, "No ink in this image; expected one grapheme"), (text, "expected PNG, JPEG or WebP")):
        page.set_input_files("#file", file)
        page.wait_for_function("(words) => document.getElementById('reason').textContent.includes(words)", arg=reason)
        assert page.locator("#problem").is_visible()
        assert page.locator("#answer").is_hidden()
    draw(page)
    page.wait_for_selector(READ)
    assert page.locator("#problem").is_hidden()


def test_it_fits_a_phone(page):
    page.set_viewport_size({"width": 390, "height": 844})
    try:
        assert page.evaluate("document.documentElement.scrollWidth") == 390
    finally:
        page.set_viewport_size({"width": 1280, "height": 800})


def test_without_the_network_s_file_it_says_so_and_tries_again(browser, site):
    url, _ = site
    page = browser.new_page()
    try:
        page.route("**/model.onnx", lambda route: route.fulfill(status=404))
        page.goto(url)
        page.wait_for_selector("#problem:not([hidden])")
        assert "could not be loaded: model.onnx is missing (404)" in page.locator("#reason").inner_text()
        assert page.locator("#loading").is_hidden()
        draw(page)
        page.unroute("**/model.onnx")
        page.click("#again")
        page.wait_for_selector(READ)  # of what was drawn meanwhile
    finally:
        page.close()


def test_the_page_says_what_it_was_trained_on(handmade, site, tmp_path):
    """And takes the place of an older page, whole."""
    _, first = site
    assert json.loads((first / "bundle.json").read_text())["note"] == ""  # its run is not known
    run = tmp_path / "run"
    shutil.copytree(handmade, run / "bundle")
    (run / "config.yaml").write_text("data: {source: synthetic}\n")
    out = tmp_path / "draw"
    out.mkdir()
    (out / "old.html").write_text("old")
    written = write_drawing_page(run, out, runtime=RUNTIME)
    assert json.loads((out / "bundle.json").read_text())["note"] == NOTE
    assert sorted(path for path in out.rglob("*") if path.is_file()) == written
    assert not (out / "old.html").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"run", "draw"}  # nothing half-written


def test_other_bundles_and_a_missing_runtime_are_refused_in_one_line(handmade, tmp_path):
    with pytest.raises(InputError, match="make setup-docs"):
        write_drawing_page(handmade, tmp_path / "draw", runtime=tmp_path / "nothing")
    shutil.copytree(handmade, tmp_path / "bundle")
    manifest = tmp_path / "bundle" / "bundle.yaml"
    manifest.write_text(
        manifest.read_text().replace("graphemes:\n  root: grapheme_root", "graphemes: null\nother:\n  root: x")
    )
    with pytest.raises(InputError, match="reads no graphemes"):
        write_drawing_page(tmp_path / "bundle", tmp_path / "draw", runtime=RUNTIME)
    assert not (tmp_path / "draw").exists()
