"""The built site: strict, whole or not there, with nothing from elsewhere, and without errors in a browser."""

import http.server
import re
import shutil
import subprocess
import sys
import threading
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import pytest

from okkhor.errors import InputError
from okkhor.site.building import build_site

pytest.importorskip("material", reason="the site is mkdocs-material's: pip install -e '.[docs]'")

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The whole guide, by the command that make docs calls."""
    out = tmp_path_factory.mktemp("guide") / "site"
    words = [sys.executable, ROOT / "scripts" / "build_docs.py", "--no-drawing", "--out", out]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return out


class _Fetched(HTMLParser):
    """Addresses that a browser fetches by itself when it shows a page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        fetching = tag in ("script", "img", "iframe", "source", "video", "audio", "embed", "object")
        if tag == "link":
            fetching = not {"canonical", "next", "prev", "alternate"} & set((given.get("rel") or "").split())
        self.addresses += [given[name] for name in ("src", "href", "data") if fetching and given.get(name)]


def test_no_page_fetches_anything_from_elsewhere(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 8
    for page in pages:
        parser = _Fetched()
        parser.feed(page.read_text(encoding="utf-8"))
        assert parser.addresses
        assert [a for a in parser.addresses if re.match(r"(https?:)?//", a)] == [], page.name
    for sheet in site.rglob("*.css"):
        found = re.findall(r"url\(\s*[\"']?((?:https?:)?//[^)]*)|@import[^;]*//", sheet.read_text(encoding="utf-8"))
        assert found == [], sheet.name


def test_what_links_name_is_there(site):
    """mkdocs looks at pages; this looks at what they became, the linked sources and the fonts among it."""
    for page in sorted(site.rglob("*.html")):
        if page.name == "404.html":  # is shown at any address, so its links begin with /
            continue
        for target in re.findall(r"(?:href|src)=\"?([^\"\s>]+)", page.read_text(encoding="utf-8")):
            path = target.partition("#")[0].partition("?")[0]
            if path and not re.match(r"[a-z]+:|//", path):
                assert (page.parent / path).exists(), f"{page.relative_to(site)}: {target}"
    assert (site / "fonts" / "hind-siliguri-400.woff").read_bytes()[:4] == b"wOFF"


def test_markdown_means_the_same_as_on_a_git_host(site):
    """As many lists' items, tables' rows, blocks of code and pictures as CommonMark finds in the page."""
    from markdown_it import MarkdownIt

    from okkhor.site.places import AT_THE_ROOT, place

    host = MarkdownIt("commonmark").enable("table")
    pages = [path for path in AT_THE_ROOT if (ROOT / path).is_file()]
    pages += [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").rglob("*.md"))]
    for path in pages:
        expected = host.render((ROOT / path).read_text(encoding="utf-8"))
        name = place(path).replace("README.md", "index.md").removesuffix(".md") + ".html"
        html = (site / name).read_text(encoding="utf-8")
        made = html.partition('<article class="md-content__inner')[2].partition("</article>")[0]
        for tag in ("li", "tr", "pre", "img", "h2", "h3"):
            counted = [len(re.findall(rf"<{tag}[\s>]", text)) for text in (expected, made)]
            assert counted[0] == counted[1], f"{path}: <{tag}>"


def small(root: Path, index: str) -> Path:
    """A repository of one page."""
    (root / "docs").mkdir()
    (root / "README.md").write_text(index, encoding="utf-8")
    (root / "mkdocs.yml").write_text(
        f"site_name: small\nhooks: [{ROOT}/src/okkhor/site/hooks.py]\nnav: [{{Home: index.md}}, {{Gone: gone.md}}]\n"
        "not_in_nav: /source/\nvalidation: {links: {anchors: warn}}\nplugins: []\n"
    )
    return root


@pytest.mark.parametrize(
    ("page", "said"),
    [("[a](docs/gone.md)", "gone.md"), ("[a](#gone)", "gone")],
    ids=["file", "anchor"],
)
def test_a_link_that_leads_nowhere_leaves_the_old_site(tmp_path, page, said):
    root = small(tmp_path, "# Home\n\nold")
    out = build_site(root, tmp_path / "site")
    (root / "README.md").write_text(f"# Home\n\nnew {page}", encoding="utf-8")
    with pytest.raises(InputError, match=said):
        build_site(root, out)
    assert "old" in (out / "index.html").read_text()
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_a_site_takes_an_older_ones_place_with_the_drawing_page(tmp_path):
    root = small(tmp_path, "# Home\n\n[code](tool.py) [folder](docs)")
    (root / "tool.py").write_text("print(`x`)  # ``` ````\n")
    out = build_site(root, tmp_path / "site")
    assert not (out / "draw").exists()
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "index.html").write_text("draws")
    (out / "left.html").touch()
    build_site(root, out, tmp_path / "page")
    assert (out / "draw" / "index.html").read_text() == "draws"
    home = (out / "index.html").read_text()
    assert "draw/index.html" in home
    assert "gone.md" not in home
    assert not (out / "left.html").exists()
    assert "# ``` ````" in re.sub(r"<[^>]+>", "", next(out.glob("source/tool.py/*.html")).read_text())


def test_a_folder_of_something_else_is_not_replaced(tmp_path):
    root = small(tmp_path, "# Home")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(InputError, match="something else"):
        build_site(root, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").exists()


@pytest.mark.serial
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here; on Debian: apt-get install chromium")
def test_pages_open_without_errors_and_are_found_by_the_search(site):
    from playwright.sync_api import sync_playwright

    handler = partial(type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None}),
                      directory=str(site))  # fmt: skip
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    home = f"http://127.0.0.1:{server.server_port}/"
    said, asked = [], []
    try:
        with sync_playwright() as started:
            browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 390, "height": 800})
            page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("request", lambda request: asked.append(request.url))
            for name in ("index.html", "architecture.html"):
                page.goto(home + name)
                page.wait_for_load_state("networkidle")
                wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                assert wide <= 0, f"{name} is wider than a phone"
                loaded = "[...document.images].every(image => image.naturalWidth > 0)"
                page.wait_for_function(loaded, timeout=20_000)
                assert page.evaluate("document.fonts.check('16px \"Hind Siliguri\"')")
            page.set_viewport_size({"width": 1280, "height": 800})
            page.goto(home + "index.html")
            page.wait_for_load_state("networkidle")
            page.click("input[name=query]")
            page.keyboard.type("contracts")
            page.wait_for_selector(".md-search-result__link", state="attached", timeout=60_000)
            browser.close()
    finally:
        server.shutdown()
        server.server_close()
    assert said == []
    assert [address for address in asked if not address.startswith((home, "data:", "blob:"))] == []
