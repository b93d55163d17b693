import csv
from html.parser import HTMLParser

import pytest
from PIL import Image

from okkhor.reports.comparison.page import write_comparison
from okkhor.reports.comparison.reading import read_runs
from okkhor.reports.comparison.standing import standings
from okkhor.reports.naming import Naming
from okkhor.reports.style import WIDTH


class Page(HTMLParser):
    """Addresses that a page refers to, and the tags left open."""

    def __init__(self):
        super().__init__()
        self.addresses, self.open = [], []

    def handle_starttag(self, tag, attrs):
        self.addresses += [value for key, value in attrs if key in ("src", "href")]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def written(make_run, tmp_path):
    def write(*paths):
        runs, _ = read_runs(paths)
        found = standings(runs, runs[0], 100)
        files = write_comparison(tmp_path / "out", found, Naming({"vowel": ["<a>", "ি", "$x$", "漢"]}), 100)
        return found, {path.name: path for path in files}

    return write


def test_the_page_needs_nothing_from_elsewhere_and_the_files_say_the_same(written, make_run, tmp_path):
    found, files = written(
        make_run("base/x", 0.6, "aug=light"), make_run("a<b>/x", 0.8, "aug=<cutmix>", seed=1), make_run("c/x", images=3)
    )
    assert set(files) == {path.name for path in (tmp_path / "out").iterdir()}
    assert set(files) == {"scores.png", "changes.png", "curves.png", "scores.csv", "classes.csv", "index.html"}
    page, text = Page(), files["index.html"].read_text(encoding="utf-8")
    page.feed(text)
    assert page.open == []
    assert len(page.addresses) == 3
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    assert "<cutmix>" not in text
    assert "<b>" not in text
    for name in ("scores.png", "changes.png", "curves.png"):
        with Image.open(files[name]) as image:
            assert image.size[0] == WIDTH * 144
    rows = {row["run"]: row for row in rows_of(files["scores.csv"])}
    for standing in found:
        assert float(rows[standing.name]["score_low"]) == pytest.approx(standing.score.low, abs=1e-6)
    assert rows["base"]["reference"] == "1"
    assert rows["c"]["difference"] == ""
    best = next(standing for standing in found if standing.name == "a<b>")
    for result in best.results:
        gained = [row for row in rows_of(files["classes.csv"]) if row["head"] == result.head.name]
        assert sum(int(row["right_rival"]) for row in gained) == result.hits.sum()
        changes = [float(row["recall_change"]) for row in gained]
        assert changes == sorted(changes, reverse=True)


def test_runs_that_cannot_be_paired_get_no_classes_and_leave_none_of_before(written, make_run):
    base = make_run("base/x", 0.6)
    written(base, make_run("near/x", 0.8))
    _, files = written(base, make_run("far/x", 0.8, images=3))
    assert "classes.csv" not in files
    assert not (files["index.html"].parent / "classes.csv").exists()
    assert not (files["index.html"].parent / "changes.png").exists()


def test_more_equal_runs_than_are_drawn_are_all_in_the_table(written, make_run):
    _, files = written(*(make_run(f"run{k}/x", 0.7, count=40) for k in range(26)))
    assert len(rows_of(files["scores.csv"])) == 26
