import numpy as np
import pytest

from okkhor.errors import InputError
from okkhor.heads import Head, Heads
from okkhor.reports.predictions import Predictions
from okkhor.reports.recall import HeadResult

HEADS = Heads([Head("অক্ষর", "x", 5, 2.0), Head("p_label", "y", 3)])


def made(count=20, seed=0):
    rng = np.random.default_rng(seed)
    probabilities = [rng.dirichlet(np.ones(head.classes), count).astype(np.float32) for head in HEADS]
    labels = [rng.integers(0, head.classes, count) for head in HEADS]
    results = [HeadResult.of(h, y, p.argmax(1)) for h, y, p in zip(HEADS, labels, probabilities, strict=True)]
    ids = [f"Train_{k}" for k in range(count)]
    return Predictions.of(ids, results, probabilities, {"parameters": 12}), labels, probabilities


def test_what_is_written_is_read_again(tmp_path):
    before, labels, probabilities = made()
    after = Predictions.read(before.write(tmp_path / "p.parquet"))
    assert after.heads == HEADS
    assert after.image_ids == before.image_ids
    assert after.about == {"parameters": 12}
    for k in range(len(HEADS)):
        assert np.array_equal(after.labels[:, k], labels[k])
        assert np.array_equal(after.predicted[:, k], probabilities[k].argmax(1))
        assert np.array_equal(after.p_label[:, k], probabilities[k][np.arange(20), labels[k]])
        assert np.array_equal(after.p_predicted[:, k], probabilities[k].max(1))


def test_a_set_without_images_is_kept_too(tmp_path):
    nothing, _, _ = made(0)
    assert Predictions.read(nothing.write(tmp_path / "p.parquet")).labels.shape == (0, 2)


@pytest.mark.parametrize("damage", ["cut", "other"])
def test_a_damaged_or_foreign_file_is_refused_by_name(tmp_path, damage):
    path = made()[0].write(tmp_path / "p.parquet")
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:300])
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(InputError, match=r"p\.parquet: not the predictions of a run"):
        Predictions.read(path)
