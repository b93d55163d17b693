"""docs/scaling.md: its estimate on paper follows from the network that it is about and from its own assumptions."""

import re

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from okkhor.heads import Heads
from okkhor.training.build import build_net

PIXELS = (137, 236)


@pytest.fixture(scope="module")
def page(train_py):
    return (train_py.parent / "docs" / "scaling.md").read_text(encoding="utf-8")


def number(page, pattern):
    found = re.search(pattern, page)
    assert found, pattern
    return float(found[1].replace(",", ""))


def table(page, head):
    """Rows of cells below the line that begins with `head`."""
    lines = page[page.index(head) :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_work_of_an_image_is_what_the_flop_counter_says(page, setting):
    config = setting.config(["model=resnet34", "data=bengali"])
    net = build_net(config, Heads.from_config(config.data.heads))
    images = torch.zeros(1, 1, *PIXELS, dtype=torch.uint8)
    with FlopCounterMode(display=False) as counter:
        torch.cat(net(images.expand(2, -1, -1, -1)), 1).sum().backward()
    billions = counter.get_total_flops() / 2 / 1e9
    assert number(page, r"flop counter: ([\d.]+) GFLOP an image") == pytest.approx(billions, rel=0.01)
    parameters = sum(p.numel() for p in net.parameters()) / 1e6
    assert number(page, r"([\d.]+) M parameters, gradients") == pytest.approx(parameters, rel=0.01)


def test_the_rate_and_what_is_sent_follow_from_the_work(page):
    rate = 60_000 / number(page, r"flop counter: ([\d.]+) GFLOP")
    assert number(page, r"≈ \*\*([\d,]+) images/s a GPU") == pytest.approx(rate, rel=0.02)
    assert number(page, r"= \*\*(\d+) MB a step") == pytest.approx(2 * 31 / 32 * 85.5, rel=0.01)


def test_every_efficiency_follows_from_the_rate_and_the_link(page):
    rate = number(page, r"≈ \*\*([\d,]+) images/s a GPU")
    sent = [number(cell, r"([\d.]+) ms") for _, cell in table(page, "| link between machines")]
    rows = table(page, "| batch a GPU")
    assert (len(sent), len(rows)) == (4, 3)
    for batch, computing, backward, *shares in rows:
        milliseconds = 1000 * int(batch.split()[0]) / rate
        assert number(computing, r"([\d.]+) ms") == pytest.approx(milliseconds, rel=0.01)
        assert number(backward, r"([\d.]+) ms") == pytest.approx(2 / 3 * milliseconds, rel=0.01)
        for took, share in zip(sent, shares, strict=True):
            left_over = max(0.0, took - 2 / 3 * milliseconds)
            assert number(share, r"(\d+) %") == pytest.approx(100 * milliseconds / (milliseconds + left_over), abs=0.6)


def test_the_cores_that_a_gpu_takes_follow_from_the_rate(page):
    rate = number(page, r"≈ \*\*([\d,]+) images/s a GPU")
    for _, of_a_core, cores in table(page, "| `aug` | images/s"):
        assert float(cores) == pytest.approx(rate / float(of_a_core.replace(",", "")), rel=0.1)
