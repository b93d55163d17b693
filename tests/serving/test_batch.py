"""Parquet files and folders streamed through a Predictor: each image once, in order, answered as it is alone."""

import csv
import io

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from okkhor.data.competition import CompetitionFiles
from okkhor.errors import InputError
from okkhor.serving.answers import Answer, Refusal
from okkhor.serving.batch import image_files, parquet_files, prediction_rows, read_images, read_parquet
from okkhor.serving.predictor import AT_ONCE, Predictor


@pytest.fixture(scope="module")
def predictor(handmade_bundle):
    return Predictor.load(handmade_bundle)


def test_parquet_rows_are_answered_in_order_as_alone(predictor, synthetic_dir):
    files = parquet_files([synthetic_dir / "train_image_data_0.parquet"])[0]
    shares = []
    parts = list(read_parquet(predictor, files, shares.append))
    assert len(parts) > 2
    assert max(len(ids) for ids, _ in parts) <= AT_ONCE
    assert sum(shares) == pytest.approx(1)
    table = pq.read_table(synthetic_dir / "train_image_data_0.parquet")
    names = [name for ids, _ in parts for name in ids]
    assert names == table.column("image_id").to_pylist()
    pixels = np.stack([table.column(str(k)).to_numpy() for k in range(137 * 236)], axis=1).reshape(-1, 137, 236)
    root = np.concatenate([heads[0] for _, heads in parts])
    for row in (0, 63, 64, 200, 499):
        alone = predictor.probabilities(predictor.prepare(pixels[row])[None, None])
        assert root[row] == pytest.approx(alone[0][0], abs=1e-6)


def test_test_files_of_a_folder(predictor, synthetic_dir):
    files = CompetitionFiles.find(synthetic_dir, "test")
    ids = [name for names, _ in read_parquet(predictor, files) for name in names]
    assert len(ids) == len(set(ids)) > 0


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(InputError, match=r"other\.parquet: no such file"):
        parquet_files([tmp_path / "other.parquet"])
    with pytest.raises(InputError, match=r"neither test_image_data_0\.parquet nor images"):
        image_files(tmp_path)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "deep").mkdir()
    drawing = np.full((60, 90), 250, np.uint8)
    drawing[20:25, 20:70] = 10
    Image.fromarray(drawing).save(tmp_path / "b.png")
    Image.fromarray(255 - drawing).save(tmp_path / "deep" / "c.JPG")
    np.save(tmp_path / "a.npy", drawing)
    (tmp_path / "d.png").write_bytes(b"no image")
    (tmp_path / "notes.txt").write_text("no image either")
    (tmp_path / ".hidden.png").write_bytes(b"")
    return tmp_path


def test_folders_are_read_in_order_and_bad_files_refused(predictor, folder):
    paths = image_files(folder)
    assert [path.name for path in paths] == ["a.npy", "b.png", "d.png", "c.JPG"]
    found = list(read_images(predictor, paths))
    assert [path for path, _ in found] == paths
    assert [type(one) for _, one in found] == [Answer, Answer, Refusal, Answer]
    assert found[0][1].heads == found[1][1].heads


ABSENT = """import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision", "pytorch_lightning", "hydra", "omegaconf", "pyarrow"):
            raise ModuleNotFoundError(f"No module named {name!r}")
sys.meta_path.insert(0, Absent())
"""


def test_the_command_reads_a_bundle_where_pytorch_is_absent(command, handmade_bundle, folder, tmp_path_factory):
    place = tmp_path_factory.mktemp("absent")
    (place / "sitecustomize.py").write_text(ABSENT)
    out = place / "found.csv"
    words = ("scripts/predict.py", str(handmade_bundle), "--out", str(out), "--data")
    done = command(*words, str(folder), PYTHONPATH=str(place))
    assert (done.returncode, done.stderr) == (0, "")
    rows = list(csv.DictReader(out.read_text(encoding="utf-8").splitlines()))
    assert [bool(row["grapheme"]) for row in rows] == [True, True, False, True]
    refused = command(*words, str(folder / "a.parquet"), PYTHONPATH=str(place))
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: --data: Parquet files cannot be read here (No module named 'pyarrow")


def test_rows_of_predictions_csv(predictor, folder):
    found = [(path.name, one) for path, one in read_images(predictor, image_files(folder))]
    file = io.StringIO()
    csv.writer(file).writerows(prediction_rows(found, predictor.bundle.heads.names))
    rows = list(csv.DictReader(io.StringIO(file.getvalue())))
    assert [row["file"] for row in rows] == ["a.npy", "b.png", "d.png", "c.JPG"]
    for row, (_, one) in zip(rows, found, strict=True):
        if isinstance(one, Refusal):
            assert row["refused"] == one.message
            assert row["grapheme"] == row["root_class"] == ""
            continue
        assert row["refused"] == ""
        assert row["grapheme"] == one.grapheme
        assert float(row["confidence"]) == pytest.approx(one.confidence, abs=1e-6)
        assert int(row["vowel_class"]) == one.heads["vowel"][0].label
        assert float(row["consonant_probability"]) == pytest.approx(one.heads["consonant"][0].probability, abs=1e-6)
