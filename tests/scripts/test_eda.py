"""scripts/eda.py as a user types it."""

import csv
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from okkhor.data.module import ImageData
from okkhor.runs import Run
from okkhor.training.build import build_module

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture
def class_folders(tmp_path) -> Path:
    """Three classes of 12 drawings, one of them twice and once under another class."""
    rng = np.random.default_rng(0)
    for name in ("daisy", "rose", "<tulip>"):
        (tmp_path / "flowers" / name).mkdir(parents=True)
        for k in range(12):
            image = np.full((40, 60), 250, np.uint8)
            cv2.polylines(image, [rng.integers(9, 31, (6, 2)).astype(np.int32)], False, 20, 2)
            cv2.imwrite(str(tmp_path / "flowers" / name / f"{k}.png"), image)
    shutil.copy(tmp_path / "flowers" / "rose" / "0.png", tmp_path / "flowers" / "daisy" / "again.png")
    return tmp_path / "flowers"


def self_contained(page: str) -> bool:
    """Whether everything that the page shows or runs is in it."""
    markup = re.sub(r"<script.*?</script>", "", page, flags=re.S)
    named = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')>\s]+)""", markup)
    return all(name.startswith(("data:", "#")) for name in named) and "<link" not in page and "@import" not in page


def test_rendered_images_with_what_a_network_makes_of_them(command, compose, synthetic_dir, tmp_path):
    config = compose("data.raw_size=[137,236]")
    run = Run.create(tmp_path / "runs", "small")
    run.write_config(config)
    data = ImageData(source="competition", dir=str(synthetic_dir), heads=config.data.heads, raw_size=(137, 236),
                     size=(24, 40))  # fmt: skip
    run.write_provenance({"identity": data.store.key})
    torch.manual_seed(0)
    torch.save({"state_dict": build_module(config, data.heads).state_dict()}, run.best)
    out = tmp_path / "new" / "eda"
    out.mkdir(parents=True)
    (out / "duplicates.csv").write_text("of an earlier look")
    done = command("scripts/eda.py", "--run", str(run.path), "--out", str(out), "--read", "150", "--points", "40")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{out}/index.html")
    page = (out / "index.html").read_text(encoding="utf-8")
    assert self_contained(page)
    assert "500 labeled images" in page
    assert "small/" in page
    assert "read 150 images" in page
    assert "40 images, placed by the features" in page
    pictures = {path.stem for path in out.glob("*.png")}
    assert {"samples", "distributions", "cooccurrence", "ink", "folds", "projection"} <= pictures
    assert not (out / "duplicates.csv").exists()
    with (out / "distributions.csv").open(encoding="utf-8", newline="") as file:
        counted = list(csv.DictReader(file))
    assert len(counted) == sum(data.heads.classes)
    assert sum(int(row["images"]) for row in counted) == 3 * 500


def test_class_folders(command, class_folders, tmp_path):
    out = tmp_path / "eda"
    words = ["data=image_folder", f"data.dir={class_folders}", "data.raw_size=[40,60]", "data.folds=3"]
    done = command("scripts/eda.py", *words, "--out", str(out))
    assert done.returncode == 0, done.stderr
    page = (out / "index.html").read_text(encoding="utf-8")
    assert self_contained(page)
    assert "A look at the data: flowers" in page
    assert "&lt;tulip&gt;" in page
    assert "<tulip>" not in page
    with (out / "duplicates.csv").open(encoding="utf-8", newline="") as file:
        first = next(iter(csv.DictReader(file)))
    assert first == {"image_id": "daisy/again.png", "image_id of the copy": "rose/0.png", "likeness": "1.000",
                     "same labels": "no"}  # fmt: skip
    assert not (out / "cooccurrence.png").exists()


@pytest.mark.serial
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here; on Debian: apt-get install chromium")
def test_a_browser_draws_the_charts_and_fetches_nothing(command, class_folders, tmp_path):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    out = tmp_path / "eda"
    words = ["data=image_folder", f"data.dir={class_folders}", "data.raw_size=[40,60]"]
    assert command("scripts/eda.py", *words, "--out", str(out)).returncode == 0
    complaints, asked = [], []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            page = browser.new_page(viewport={"width": 390, "height": 844})
            page.on("console", lambda message: complaints.append(message.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("request", lambda request: asked.append(request.url))
            page.goto((out / "index.html").as_uri())
            page.wait_for_selector("html[data-charts=drawn]", timeout=60_000)
            bars = page.locator("#classes-0 .bars .point").count()
            hidden = page.locator("#distributions .still").is_visible()
            page.click("#distributions button.log")
            wide = page.evaluate("document.documentElement.scrollWidth")
        finally:
            browser.close()
    assert bars == 3
    assert not hidden
    assert wide == 390
    assert complaints == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["data=bengalli"], "data=bengalli: no such choice"),
        (["--run", "nowhere"], "nowhere: no such run directory"),
        (["data=bengali"], "data.dir: expected the folder with the data files"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(command, words, said):
    done = command("scripts/eda.py", *words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert said in done.stderr
