"""Both sides train the same net; what is compared is the images of all processes in the same time."""

import pytest

from okkhor.benchmarks import scaling
from okkhor.errors import JobFailedError


def test_two_processes_get_half_of_the_batch_or_a_batch_each(setting, monkeypatch):
    asked = []

    def rate(root, processes, batch, steps):
        asked.append((processes, batch))
        return 100.0 * processes

    monkeypatch.setattr(scaling, "rate", rate)
    batch = setting.config().data.batch_size
    shared, each = scaling.measure(setting, lambda _: None)
    assert sorted(set(asked)) == [(1, batch), (2, batch // 2), (2, batch)]
    assert (shared.ratio.median, each.ratio.median) == (2.0, 2.0)


@pytest.mark.slow
def test_two_processes_really_train(train_py):
    assert scaling.rate(train_py.parent, 2, 2, 1) > 0


def test_a_process_that_fails_is_told_in_its_words(train_py):
    with pytest.raises(JobFailedError, match="scaling: "):
        scaling.rate(train_py.parent / "nowhere", 1, 2, 1)
