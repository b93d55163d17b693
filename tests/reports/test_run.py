import csv
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import recall_score

from okkhor.heads import Head, Heads
from okkhor.reports.run import PICTURES, Readings, report_images, write_report

METRICS = "epoch,step,train/loss,val/score,val/loss\n0,9,1.0,,\n0,9,,0.5,0.9\n1,19,0.5,,\n1,19,,0.7,0.6\n"


def readings_of(heads, count, *, accuracy=0.6, present=None, size=(12, 20), seed=0):
    """Made-up readings: right with the given probability, labels from the first `present` classes of each head."""
    rng = np.random.default_rng(seed)
    labels = np.stack([rng.integers(0, min(present or h.classes, h.classes), count) for h in heads], axis=1)
    probabilities = []
    for k, head in enumerate(heads):
        wrong = (labels[:, k] + rng.integers(1, head.classes, count)) % head.classes
        answer = np.where(rng.random(count) < accuracy, labels[:, k], wrong)
        p = rng.random((count, head.classes), dtype=np.float32)
        p[np.arange(count), answer] += 1 + rng.random(count)
        probabilities.append(p / p.sum(axis=1, keepdims=True))
    images = np.broadcast_to(rng.integers(0, 256, (count, 1, 1), dtype=np.uint8), (count, *size))
    return Readings(images, labels.astype(np.int64), probabilities)


def heads_of(*classes):
    return Heads(Head(f"head{k}", f"column{k}", n, weight=2.0 if k == 0 else 1.0) for k, n in enumerate(classes))


def run_with_metrics(path):
    (path / "logs").mkdir(parents=True)
    (path / "logs" / "metrics.csv").write_text(METRICS)
    return path


CASES = {
    "three heads": (heads_of(30, 11, 7), 120, {"accuracy": 0.97}),
    "one head of two classes": (heads_of(2), 20, {}),
    "a thousand classes": (heads_of(1200), 40, {"accuracy": 0.8}),
    "three tall images": (heads_of(168, 11), 3, {"accuracy": 0.0, "size": (60, 10)}),
    "more heads than are shown": (heads_of(*[2] * 14), 7, {}),
    "one class present, nothing misread": (heads_of(9, 4), 50, {"accuracy": 1.1, "present": 1}),
    "no image": (heads_of(9, 4), 0, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_set_gets_a_whole_report(case, tmp_path):
    heads, count, how = CASES[case]
    run = run_with_metrics(tmp_path / "run")
    written = write_report(run, readings_of(heads, count, **how), heads)
    assert {path.name for path in written} == {p.name for p in (run / "report").iterdir()}
    left_out = {"gradcam"} if count else {"gradcam", "calibration"}
    assert list(report_images(run)) == [name for name in PICTURES if name not in left_out]
    for path in report_images(run).values():
        with Image.open(path) as image:
            image.load()
            assert image.size[0] == 1440
    with (run / "report" / "recall.csv").open(newline="") as file:
        assert sum(1 for _ in csv.DictReader(file)) == sum(heads.classes)


def test_any_class_name_is_drawn_without_a_warning(tmp_path):
    names = [
        "ক্ট্র",
        "$x^2$ with _ and \\alpha",
        "naïve",
        "漢字",
        "",
        "a name longer than any picture has room for, the 1st",
    ]
    heads = Heads([Head("অক্ষর", "letter", len(names))])
    write_report(tmp_path, readings_of(heads, 12), heads, {"অক্ষর": names})
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert all(name in page for name in names)


def test_whole_labels_are_named_or_shown_as_numbers(tmp_path):
    heads = heads_of(5, 4)
    asked = []

    def compose(labels):
        asked.append(tuple(labels))
        if labels[0] % 2:
            raise ValueError("no such grapheme")
        return "র্টি"

    write_report(tmp_path, readings_of(heads, 16), heads, compose=compose)
    assert {labels[0] % 2 for labels in asked} == {0, 1}
    assert all(type(label) is int for labels in asked for label in labels)


def test_no_metrics_means_no_curves_but_the_rest(tmp_path):
    heads = heads_of(5)
    write_report(tmp_path, readings_of(heads, 8), heads)
    assert list(report_images(tmp_path)) == ["misread", "recall", "confusion", "calibration"]
    assert "learning_curves" not in (tmp_path / "report" / "index.html").read_text()


def test_writing_again_replaces_and_changes_nothing(tmp_path):
    heads, run = heads_of(3, 2), run_with_metrics(tmp_path / "run")
    first = {path: path.read_bytes() for path in write_report(run, readings_of(heads, 9), heads)}
    second = {path: path.read_bytes() for path in write_report(run, readings_of(heads, 9), heads)}
    assert first == second


def test_votes_of_neighbors_are_no_probabilities_of_a_network(tmp_path):
    heads = heads_of(5, 3)
    made = replace(readings_of(heads, 20), image_ids=[str(k) for k in range(20)])
    write_report(tmp_path, made, heads)
    assert (tmp_path / "report" / "calibration.png").is_file()
    assert (tmp_path / "report" / "predictions.parquet").is_file()
    assert "calibration error" in text_of(tmp_path)
    write_report(tmp_path, made, heads, by_neighbors=True)
    assert not (tmp_path / "report" / "calibration.png").exists()
    assert "alibration" not in text_of(tmp_path)


def test_only_the_images_shown_are_read(tmp_path):
    heads = heads_of(6)
    made = readings_of(heads, 500, accuracy=0.2)

    class Counting:
        read = 0

        def __getitem__(self, index):
            Counting.read += len(index)
            return made.images[index]

    write_report(tmp_path, Readings(Counting(), made.labels, made.probabilities), heads)
    assert 0 < Counting.read <= 30


def text_of(run):
    """The page's words, without tags."""
    words = []

    class Words(HTMLParser):
        def handle_data(self, data):
            words.append(data.strip())

    Words().feed((run / "report" / "index.html").read_text(encoding="utf-8"))
    return " ".join(word for word in words if word)


def test_combinations_that_training_lacked_are_scored_apart(tmp_path):
    heads = heads_of(5, 3)
    made = readings_of(heads, 60)
    seen = np.arange(60) < 45
    write_report(tmp_path, replace(made, seen=seen), heads)
    rows = []
    for name, chosen in (("seen in training", seen), ("never seen", ~seen)):
        recalls = [
            recall_score(made.labels[chosen, k], p[chosen].argmax(1), average="macro", zero_division=0)
            for k, p in enumerate(made.probabilities)
        ]
        numbers = [np.average(recalls, weights=[2, 1]), *recalls]
        rows.append(f"{name} {chosen.sum()} " + " ".join(f"{number:.4f}" for number in numbers))
    assert " ".join(rows) in text_of(tmp_path)


def test_a_set_without_new_combinations_says_so_and_one_that_cannot_be_told_says_nothing(tmp_path):
    heads = heads_of(5, 3)
    made = readings_of(heads, 20)
    write_report(tmp_path / "a", replace(made, seen=np.ones(20, bool)), heads)
    assert "never seen 0 no such image in this set" in text_of(tmp_path / "a")
    write_report(tmp_path / "b", made, heads)
    assert "combination" not in text_of(tmp_path / "b")


class Page(HTMLParser):
    """Addresses that a page refers to, its ids, and the tags left open."""

    def __init__(self):
        super().__init__()
        self.addresses, self.ids, self.open = [], [], []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.addresses += [attributes[key] for key in ("src", "href") if key in attributes]
        self.ids += [attributes["id"]] if "id" in attributes else []
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_page_is_self_contained_and_whole(tmp_path):
    heads = Heads([Head("a<b", "a", 4), Head("other", "b", 3)])
    run = run_with_metrics(tmp_path / "run <1>")
    made = replace(readings_of(heads, 10), seen=np.arange(10) < 6)
    write_report(run, made, heads, {"a<b": ["<script>", "&", "x", "y"]})
    text = (run / "report" / "index.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert page.open == []
    for address in page.addresses:
        assert address[1:] in page.ids if address.startswith("#") else (run / "report" / address).is_file()
    assert "<script" not in text
    assert text.count("url(") == text.count('url("data:font/woff;base64,') == 2
    assert "prefers-color-scheme: dark" in text
