"""The web page in a real Chromium: drawing, uploading, picking, with mouse, finger and keyboard."""

import base64
import io
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.serial,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here; on Debian: apt-get install chromium"),
]

ROOT = Path(__file__).resolve().parents[2]
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
ZIGZAG = ((0.2, 0.3), (0.8, 0.3), (0.5, 0.8), (0.5, 0.3))  # shares of the paper's width and height


@contextmanager
def demo(*words: str) -> Iterator[str]:
    """The command; its URL."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "serve" / "demo.py"), "--port", "0", "--no-open", *words],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    try:
        line = process.stdout.readline()
        assert line.startswith("http://127.0.0.1:"), line
        yield line.split()[0]
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        process.stdout.close()


@dataclass
class Seen:
    """A page and what went on in it. complaints: of the console; sent: bodies of /api/read."""

    page: Any
    url: str
    complaints: list[str] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)

    @property
    def grapheme(self) -> str:
        return self.page.locator("#grapheme").inner_text()

    def answered(self) -> dict[str, list[tuple[str, str]]]:
        """Wait for the answer to the last question; by head the texts and shares shown."""
        self.page.wait_for_selector("#reading[aria-busy=false] #found:not([hidden])")
        return self.page.evaluate(
            """Object.fromEntries([...document.querySelectorAll(".head")].map((head) => [
                head.querySelector("h3").textContent,
                [...head.querySelectorAll("li")].map((row) => [
                    row.querySelector(".text").textContent, row.querySelector(".share").textContent])]))"""
        )

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Do something that makes the page ask, and wait for the answer."""
        with self.page.expect_response(lambda response: response.url.endswith("/api/read")) as found:
            yield
        found.value.finished()
        self.page.wait_for_selector("#reading[aria-busy=false]")

    def draw(self, points=ZIGZAG) -> None:
        box = self.page.locator("#paper").bounding_box()
        corners = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
        self.page.mouse.move(*corners[0])
        self.page.mouse.down()
        for corner in corners[1:]:
            self.page.mouse.move(*corner, steps=5)
        self.page.mouse.up()

    def pick(self, number: int = 0) -> None:
        self.page.locator("#sample-list button").nth(number).click()


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def site(handmade) -> Iterator[str]:
    with demo("--bundle", str(handmade)) as url:
        yield url


@pytest.fixture
def open_page(browser) -> Iterator[Callable[..., Seen]]:
    """Open the page; afterwards: it asked no other server for anything, and the console has no complaints."""
    opened: list[tuple[Any, Seen]] = []

    def open_one(url: str, viewport=DESKTOP, **options: Any) -> Seen:
        context = browser.new_context(viewport=viewport, **options)
        page = context.new_page()
        page.set_default_timeout(15_000)
        seen = Seen(page, url)
        page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        page.on("console", lambda said: seen.complaints.append(said.text) if said.type != "log" else None)
        page.on("request", lambda request: seen.asked.add(request.url))
        page.on(
            "request",
            lambda request: seen.sent.append(request.post_data_buffer) if request.url.endswith("/api/read") else None,
        )
        opened.append((context, seen))
        page.goto(url)
        page.wait_for_selector("#samples:not([hidden])")
        return seen

    yield open_one
    for context, seen in opened:
        context.close()
        assert {asked for asked in seen.asked if not asked.startswith((seen.url, "data:"))} == set()
        assert seen.complaints == []


@pytest.fixture
def page(open_page, site) -> Seen:
    return open_page(site)


def percent(share: float) -> str:
    return ">99.9%" if share > 0.9995 else "<0.1%" if share < 0.0005 else f"{100 * share:.1f}%"


def plain(text: str) -> str:
    """A class as the label map has it, without the page's help for the eye."""
    return "0" if text == "none" else text.replace("◌", "")


def check(seen: Seen, predictor, image: bytes) -> None:
    """What the page shows is what the Predictor says of these bytes."""
    (expected,) = predictor.predict([image])
    shown = seen.answered()
    assert seen.grapheme == expected.grapheme
    assert percent(expected.confidence) in seen.page.locator("#sure").inner_text()
    assert list(shown) == list(expected.heads)
    for name, choices in expected.heads.items():
        assert [plain(text) for text, _ in shown[name]] == [choice.text for choice in choices]
        shares = [float(share.strip("<>%")) for _, share in shown[name]]
        assert shares == pytest.approx([100 * choice.probability for choice in choices], abs=0.11)


def test_a_drawing_is_read_as_the_predictor_reads_it(page, predictor):
    assert page.page.locator("#found").is_hidden()
    with page.asking():
        page.draw()
    drawn = np.asarray(Image.open(io.BytesIO(page.sent[-1])).convert("L"))
    ink = drawn < 128
    rows, columns = np.flatnonzero(ink.any(1)) / drawn.shape[0], np.flatnonzero(ink.any(0)) / drawn.shape[1]
    assert (rows[0], rows[-1]) == pytest.approx((0.3, 0.8), abs=0.03)
    assert (columns[0], columns[-1]) == pytest.approx((0.2, 0.8), abs=0.03)
    assert drawn[0, 0] == 255
    check(page, predictor, page.sent[-1])
    facts = page.page.locator(".facts").inner_text()
    assert re.search(r"\d+ ms in the model, \d+ ms from asking to answer", facts)
    assert "okkhor 1.0 (onnx), the run handmade" in facts


def test_strokes_that_follow_each_other_are_read_once_and_together(page, predictor):
    page.page.clock.install()
    page.page.clock.pause_at("2100-01-01")  # a busy machine may be slower than the pause that ends a drawing
    page.draw(((0.2, 0.3), (0.8, 0.3)))
    page.page.clock.run_for(300)
    page.draw(((0.5, 0.3), (0.5, 0.8)))
    page.page.clock.run_for(300)
    assert page.sent == []
    with page.asking():
        page.page.clock.run_for(300)
    assert len(page.sent) == 1
    check(page, predictor, page.sent[0])


def test_the_maps_lie_over_what_the_model_saw(page, predictor):
    with page.asking():
        page.draw()
    (expected,) = predictor.predict([page.sent[-1]], explain=True)
    page.page.wait_for_function("[...document.querySelectorAll('.head canvas')].every((c) => c.width === 472)")
    # redness (red minus blue) and darkness of the canvas, averaged over the cells of the map
    for number, (name, values) in enumerate(expected.activation_maps.items()):
        data = page.page.evaluate(
            "(n) => document.querySelectorAll('.head canvas')[n].toDataURL().split(',')[1]", number
        )
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")).astype(int)
        seen = np.asarray(Image.fromarray(expected.seen).resize(pixels.shape[1::-1]))
        blank = seen > 250  # where ink hides nothing
        redness = np.where(blank, pixels[:, :, 0] - pixels[:, :, 2], 0)
        cells = [[part.max() for part in np.array_split(row, values.shape[1], 1)]
                 for row in np.array_split(redness, values.shape[0])]  # fmt: skip
        assert np.corrcoef(np.ravel(cells), np.ravel(values))[0, 1] > 0.8, name
        darkest = np.unravel_index(pixels.sum(2).argmin(), pixels.shape[:2])
        assert seen[darkest] < 128, name
        label = page.page.locator(".head canvas").nth(number).get_attribute("aria-label")
        assert label == f"Where the model looked for {name}"


def test_a_finger_draws_and_does_not_scroll_the_page(open_page, site, predictor):
    seen = open_page(site, PHONE, has_touch=True, is_mobile=True)
    box = seen.page.locator("#paper").bounding_box()
    touch = seen.page.context.new_cdp_session(seen.page)

    def send(kind: str, *points: tuple[float, float]) -> None:
        at = [{"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]} for x, y in points]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})

    with seen.asking():
        send("touchStart", (0.5, 0.9))
        for step in range(1, 9):
            send("touchMove", (0.5, 0.9 - step / 10))
        send("touchEnd")
    assert seen.page.evaluate("scrollY") == 0
    check(seen, predictor, seen.sent[-1])


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_an_upload_is_sent_as_it_is(page, predictor, drawn, tmp_path, suffix):
    file = tmp_path / f"letter.{suffix}"
    Image.fromarray(drawn(3)).resize((500, 290)).save(file)
    with page.asking():
        page.page.set_input_files("#file", file)
    assert page.sent[-1] == file.read_bytes()
    check(page, predictor, file.read_bytes())
    assert "uploaded image" in page.page.locator("#paper").get_attribute("aria-label")


def test_a_large_photograph_is_made_smaller_first(page, predictor, drawn, tmp_path):
    file = tmp_path / "photograph.jpg"
    noise = np.random.default_rng(0).normal(0, 12, (2400, 4000))
    large = np.asarray(Image.fromarray(drawn(4)).resize((4000, 2400))) * 0.9 + noise
    Image.fromarray(large.clip(0, 255).astype(np.uint8)).save(file, quality=95)
    assert file.stat().st_size > 3_000_000
    with page.asking():
        page.page.set_input_files("#file", file)
    assert max(Image.open(io.BytesIO(page.sent[-1])).size) == 2000
    check(page, predictor, page.sent[-1])


def test_what_cannot_be_read_says_why_and_the_next_drawing_is_read(page, predictor, tmp_path):
    file = tmp_path / "letter.png"
    file.write_bytes(b"%PDF-1.7 no image at all")
    with page.asking():
        page.page.set_input_files("#file", file)
    assert page.page.locator("#problem").inner_text().startswith("This is PDF; expected PNG, JPEG, WebP or .npy.")
    assert page.page.locator("#answer").is_hidden()
    page.complaints.clear()  # Chromium notes every answer 415 in its console
    with page.asking():
        page.draw()
    assert page.page.locator("#problem").is_hidden()
    check(page, predictor, page.sent[-1])


def test_a_file_that_is_too_large_is_not_sent(page, tmp_path):
    file = tmp_path / "letter.png"
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(7_000_000))
    page.page.set_input_files("#file", file)
    page.page.wait_for_selector("#problem:not([hidden])")
    assert "7.0 MB; at most 6 MB" in page.page.locator("#reason").inner_text()
    assert page.sent == []


def test_samples_are_the_images_that_they_show(page, predictor):
    from okkhor.serving.demo.samples import TEXTS, sample_png

    names = page.page.locator("#sample-list img").evaluate_all("images => images.map((image) => image.alt)")
    assert names == list(TEXTS)
    for number in (0, len(TEXTS) - 1):
        with page.asking():
            page.pick(number)
        assert page.sent[-1] == sample_png(number)
        check(page, predictor, sample_png(number))


def test_clear_forgets_and_undo_brings_back(page):
    with page.asking():
        page.draw()
    with page.asking():
        page.draw(((0.1, 0.9), (0.9, 0.9)))
    first, second = page.sent
    read = page.grapheme
    page.page.click("#clear")
    page.page.wait_for_selector("#found", state="hidden")
    assert page.grapheme == ""
    assert page.page.locator("#paper").get_attribute("aria-label") == "Paper, empty"
    assert page.page.locator("#clear").is_disabled()
    with page.asking():
        page.page.click("#undo")
    assert page.sent[-1] == second
    assert page.grapheme == read
    with page.asking():
        page.page.keyboard.press("Control+z")
    assert page.sent[-1] == first
    page.page.click("#undo")
    page.page.wait_for_selector("#found", state="hidden")
    assert page.page.locator("#undo").is_disabled()


def test_a_stroke_over_a_picture_begins_a_new_sheet(page, predictor):
    with page.asking():
        page.pick(1)
    with page.asking():
        page.draw()
    drawn = np.asarray(Image.open(io.BytesIO(page.sent[-1])).convert("L"))
    assert drawn.shape != (137, 236)
    check(page, predictor, page.sent[-1])


def test_the_keyboard_is_enough(page, predictor):
    from okkhor.serving.demo.samples import sample_png

    def tab_to(wanted: str) -> None:
        for _ in range(20):
            page.page.keyboard.press("Tab")
            if page.page.evaluate(f"document.activeElement.matches({wanted!r})"):
                return
        raise AssertionError(f"Tab does not reach {wanted}")

    def ring(selector: str) -> str:
        return page.page.locator(selector).evaluate("(one) => getComputedStyle(one).outlineStyle")

    tab_to("#file")
    assert ring("label[for=file]") == "solid"
    tab_to("#sample-list button:nth-child(3)")
    assert ring("#sample-list button:nth-child(3)") == "solid"
    with page.asking():
        page.page.keyboard.press("Enter")
    check(page, predictor, sample_png(2))
    tab_to("#clear")
    page.page.keyboard.press("Space")
    page.page.wait_for_selector("#found", state="hidden")


def test_everything_that_is_used_or_shown_has_a_name(page):
    with page.asking():
        page.draw()
    page.page.wait_for_function("[...document.querySelectorAll('.head canvas')].every((c) => c.ariaLabel)")
    nodes = page.page.context.new_cdp_session(page.page).send("Accessibility.getFullAXTree")["nodes"]
    named = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node["ignored"] and node["role"]["value"] in ("button", "image", "textbox", "group", "region", "main")
    ]
    roles = [role for role, _ in named]
    assert roles.count("button") >= 11  # undo, clear, upload, eight samples
    assert roles.count("image") >= 4
    assert [role for role, name in named if not name and role not in ("main", "group")] == []
    status = page.page.locator("#answer")
    assert status.get_attribute("role") == "status"  # is read out when it changes
    assert page.page.locator("#problem").get_attribute("role") == "alert"
    assert page.grapheme in status.inner_text()
    assert page.page.locator("html").get_attribute("lang") == "en"
    assert page.page.locator("#grapheme").get_attribute("lang") == "bn"


# for each text that is seen: how it stands out from what is behind it, by WCAG 2.2, 1.4.3
CONTRASTS = """() => {
    const parts = (color) => color.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
        .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = (one) => {
        if (one.id === "hint") return parts(getComputedStyle(document.getElementById("paper")).backgroundColor);
        for (let at = one; at; at = at.parentElement) {
            const color = parts(getComputedStyle(at).backgroundColor);
            if (color.length === 3 || color[3] > 0) return color;
        }
    };
    const found = [];
    for (const one of document.querySelectorAll("body *")) {
        const text = [...one.childNodes].filter((n) => n.nodeType === 3).map((n) => n.textContent.trim()).join("");
        if (!text || !one.checkVisibility() || one.matches(":disabled")) continue;
        const [a, b] = [light(parts(getComputedStyle(one).color)), light(behind(one))].sort((x, y) => y - x);
        found.push([text, (a + 0.05) / (b + 0.05)]);
    }
    return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_by_day_and_by_night(open_page, site, scheme):
    seen = open_page(site, color_scheme=scheme)
    assert min(contrast for _, contrast in seen.page.evaluate(CONTRASTS)) >= 4.5
    with seen.asking():
        seen.draw()
    contrasts = seen.page.evaluate(CONTRASTS)
    assert len(contrasts) > 35
    assert [one for one in contrasts if one[1] < 4.5] == []


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_no_layout_scrolls_sideways_and_buttons_fit_a_finger(open_page, site, width):
    seen = open_page(site, {"width": width, "height": 844})
    with seen.asking():
        seen.pick(0)
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    sizes = seen.page.locator("button:visible, label.button").evaluate_all(
        "all => all.map((one) => one.getBoundingClientRect()).map(({width, height}) => [width, height])"
    )
    assert all(min(size) >= 40 for size in sizes)
    if width == 390:  # the answer is seen without scrolling
        box = seen.page.locator("#grapheme").bounding_box()
        assert box["y"] + box["height"] < 844


def test_bengali_is_shaped_by_the_page_s_own_font(page):
    with page.asking():
        page.draw()
    widths = page.page.evaluate(
        """async () => { await document.fonts.ready; const pen = document.createElement("canvas").getContext("2d");
            pen.font = '100px "Hind Siliguri"';
            return [document.fonts.check('16px "Hind Siliguri"', "ক")]
                .concat(["ষ্ণ", "ষ", "ণ", "র্ক", "ক"].map((text) => pen.measureText(text).width)); }"""
    )
    loaded, conjunct, *letters, reph, ka = widths
    assert loaded
    assert conjunct < 0.8 * sum(letters)  # one glyph, not two in a row
    assert reph == pytest.approx(ka, rel=0.05)  # the reph stands above


def test_torchserve_answers_is_missed_when_down_and_found_again(open_page, server, predictor, tmp_path):
    """A folder with the record of the tests' TorchServe: without the record it is as if that had been stopped."""
    record = tmp_path / "server.json"
    shutil.copyfile(server.dir / "server.json", record)
    with demo("--dir", str(tmp_path)) as url:
        seen = open_page(url)
        with seen.asking():
            seen.draw()
        check(seen, predictor, seen.sent[-1])
        assert f"TorchServe at 127.0.0.1:{server.ports['inference']}" in seen.page.locator(".facts").inner_text()
        record.unlink()
        with seen.asking():
            seen.pick(0)
        assert seen.page.locator("#reason").inner_text() == "TorchServe is not running; `make serve` starts it."
        seen.complaints.clear()  # Chromium notes every answer 503 in its console
        shutil.copyfile(server.dir / "server.json", record)
        with seen.asking():
            seen.page.click("#again")
        check(seen, predictor, seen.sent[-1])


def test_when_the_page_s_own_server_ends_the_page_says_so(open_page, handmade):
    with demo("--bundle", str(handmade)) as url:
        seen = open_page(url)
    seen.draw()
    seen.page.wait_for_selector("#problem:not([hidden])")
    assert "own server does not answer; make demo starts it" in seen.page.locator("#reason").inner_text()
    seen.complaints.clear()
