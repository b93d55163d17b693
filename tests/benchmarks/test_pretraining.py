import json
from pathlib import Path

import pytest

from okkhor.benchmarks.pretraining import KINDS, Budget, run_stages, stages, table, unlabelled_images
from okkhor.errors import InputError, JobFailedError
from okkhor.runs import Run

# a train.py that makes a run and notes how it was called; fails where it is told to
TRAIN = """
import json, os, sys
from pathlib import Path
words = dict(word.partition("=")[::2] for word in sys.argv[1:])
runs = Path(os.environ["OKKHOR_RUNS"])
with (runs.parent / "calls").open("a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")
run = Path(words["resume"]) if "resume" in words else runs / words["name"] / "2026-01-01_00-00-00"
(run / "checkpoints").mkdir(parents=True, exist_ok=True)
(run / "config.yaml").write_text("name: x")
if os.environ.get("FAILS") == run.parent.name:
    sys.exit(3)
knn = run.parent.name in ("simclr", "byol")
recalls = {"val/recall_root": 0.1, "val/recall_vowel": 0.2, "val/recall_consonant": 0.3}
metrics = {"objective": 0.25, "seconds": 90, "val/knn_score" if knn else "val/score": 0.25, **recalls}
(run / "metrics.json").write_text(json.dumps(metrics))
"""


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "train.py").write_text(TRAIN)
    return tmp_path / "root"


def calls(out):
    return (out / "calls").read_text().splitlines() if (out / "calls").exists() else []


def test_all_kinds_get_the_same_budget_and_start_from_their_own_pretraining():
    made = {stage.name: stage for stage in stages(Budget(Path("/data"), passes=96_000, seeds=2), 12_000)}
    assert "trainer.max_epochs=4" in made["simclr"].words  # two views of each image
    assert "trainer.max_epochs=4" in made["byol"].words
    assert "trainer.max_epochs=6" in made["synthetic"].words  # 16,000 of 20,000 train
    tuned = [made[f"{kind}-tuned-{seed}"] for kind in KINDS for seed in (0, 1)]
    assert [stage.start for stage in tuned] == [
        None,
        None,
        "simclr",
        "simclr",
        "byol",
        "byol",
        "synthetic",
        "synthetic",
    ]
    assert all(tuned[0].words == stage.words for stage in tuned[::2])
    assert "data.label_fraction=0.1" in tuned[0].words


def test_what_is_done_is_not_done_again_and_what_failed_goes_on(root, tmp_path, monkeypatch):
    made, out = stages(Budget(Path("/data")), 12_000), tmp_path / "out"
    out.mkdir()
    monkeypatch.setenv("FAILS", "synthetic")
    with pytest.raises(JobFailedError, match="ended with status 3"):
        run_stages(root, out, made, print)
    assert [line.rpartition("name=")[2] for line in calls(out)] == ["simclr", "byol", "synthetic"]
    monkeypatch.setenv("FAILS", "")
    done = run_stages(root, out, made, print)
    assert len(calls(out)) == 3 + 5
    assert calls(out)[3].startswith("resume=")
    assert f"model.init_from={done['byol'].path}" in calls(out)[6]
    assert "init_from" not in calls(out)[4]
    run_stages(root, out, made, print)
    assert len(calls(out)) == 8
    lines = table(Budget(Path("/data")), done).splitlines()
    assert len(lines) == 2 + len(KINDS)
    assert len({line.count("|") for line in lines}) == 1
    assert "0.250 (k-NN) | 1.5 | **0.250** | 0.100 / 0.200 / 0.300 | 1.5 |" in lines[3]
    with pytest.raises(InputError, match="was started with other words"):
        run_stages(root, out, stages(Budget(Path("/data"), epochs=7), 12_000), print)


def test_images_without_labels_are_counted_from_the_files(synthetic_dir):
    assert unlabelled_images(synthetic_dir) == 400 + 36


@pytest.mark.slow
def test_the_script_runs_every_kind_and_writes_the_table(command, synthetic_dir, tmp_path, tiny):
    options = [o for o in tiny if o.startswith(("data.size", "data.workers", "model.", "callbacks"))]
    done = command(
        "scripts/compare_pretraining.py", str(synthetic_dir), "--out", str(tmp_path / "out"), "--passes", "400",
        "--epochs", "1", "--synthetic", "300", "debug=limit", "data.batch_size=16", *options, timeout=900,
        OKKHOR_DATA=str(tmp_path / "data"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "out" / "pretraining.md").read_text(encoding="utf-8").splitlines()
    assert [line.split(" | ")[0].strip("| ") for line in lines[2:]] == list(KINDS.values())
    assert "model.init_from: the backbone and the heads root, vowel, consonant" in done.stdout
    tuned = Run.open(next((tmp_path / "out" / "runs" / "simclr-tuned-0").glob("*/config.yaml")).parent)
    assert json.loads((tuned.path / "metrics.json").read_text())["val/score"] >= 0
    assert "simclr" in tuned.config().model.init_from
