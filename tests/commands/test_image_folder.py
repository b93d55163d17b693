"""The same template on class folders: one head, names from the folders."""

import json

import numpy as np
import pytest
from PIL import Image

from okkhor.runs import Run


@pytest.fixture
def folders(tmp_path):
    """Three classes that a small net tells apart at once: dark above, below, or left."""
    rng = np.random.default_rng(0)
    for name, part in {"above": np.s_[:10], "below": np.s_[22:], "left": np.s_[:, :10]}.items():
        folder = tmp_path / "shapes" / name
        folder.mkdir(parents=True)
        for number in range(30):
            image = rng.integers(200, 256, (32, 32), np.uint8)
            image[part] //= 4
            Image.fromarray(image).save(folder / f"{number}.png")
    return tmp_path / "shapes"


@pytest.mark.slow
def test_class_folders_train_and_score(command, folders, tmp_path):
    done = command(
        "train.py", "data=image_folder", f"data.dir={folders}", "data.raw_size=[32,32]", "data.size=[32,32]",
        "data.batch_size=12", "data.workers=0", "model.options.widths=[8,8,8,8]", "trainer=cpu", "trainer.max_epochs=8",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "runs" / "default").iterdir()
    run = Run.open(path)
    assert run.metrics()["val/recall_label"] > 0.9
    assert "recall label" in done.stdout
    with (run.report / "recall.csv").open(encoding="utf-8") as file:
        assert {"above", "below", "left"} <= set(file.read().replace(",", " ").split())
    again = command("scripts/evaluate.py", str(path), "--json", "val.json")
    assert again.returncode == 0, again.stderr
    score = json.loads((tmp_path / "val.json").read_text())["val/score"]
    assert score == pytest.approx(run.metrics()["val/score"], abs=1e-6)
