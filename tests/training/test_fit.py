import json

import numpy as np
import pytest
import torch

from okkhor.data.sampling import EpochBatches
from okkhor.errors import NonFiniteLossError, StoppedError
from okkhor.runs import Run
from okkhor.training.callbacks import GracefulStop
from okkhor.training.fit import fit
from okkhor.training.scoring import read, score


def started(config, name="run"):
    run = Run.create(config.paths.runs, name)
    run.write_config(config)
    return run


def weights(run, which="last"):
    path = run.last if which == "last" else run.best
    return torch.load(path, weights_only=True)["state_dict"]


def assert_same_weights(a, b):
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a), "weights differ"


def test_a_run_leaves_what_contract_one_says_and_its_score_is_that_of_the_best_checkpoint(compose):
    config = compose("callbacks.report=true")
    run = started(config)
    objective = fit(run, config)
    metrics = run.metrics()
    assert {"config.yaml", "metrics.json", "provenance.yaml", "checkpoints", "logs", "report"} <= {
        path.name for path in run.path.iterdir()
    }
    assert {"val/score", "val/loss", "val/recall_root", "val/recall_vowel", "val/recall_consonant"} <= set(metrics)
    assert metrics["objective"] == metrics["val/score"] == objective
    assert metrics["images/training"] == torch.load(run.last, weights_only=True)["global_step"] * config.data.batch_size
    assert "resumed" not in metrics
    best = torch.load(run.best, weights_only=True)["callbacks"]
    watched = [state["best_model_score"] for name, state in best.items() if name.startswith("ModelCheckpoint")]
    assert watched[0].item() == pytest.approx(objective, abs=1e-6)
    assert (run.report / "index.html").is_file()
    assert json.loads((run.path / "metrics.json").read_text())["epochs"] == 2


@pytest.mark.parametrize("split", ["fold", "unseen"])
def test_combinations_that_training_lacked_are_scored_apart(compose, split):
    config = compose("trainer.max_epochs=1", f"data.split={split}")
    run = started(config)
    fit(run, config)
    metrics = run.metrics()
    assert metrics["val/images_seen"] + metrics["val/images_unseen"] == metrics["images/validation"]
    for part in ("seen", "unseen"):
        assert (f"val/score_{part}" in metrics) == (metrics[f"val/images_{part}"] > 0)
    if split == "unseen":
        assert metrics["val/images_seen"] == 0
        assert metrics["val/score_unseen"] == metrics["val/score"]


def test_scores_of_the_two_parts_are_those_of_their_images_alone(compose):
    from okkhor.training.build import build_data, build_module

    config = compose()
    data = build_data(config)
    module = build_module(config, data.heads)
    rows = data.rows("all")
    probabilities, labels = read(module, data.loader_of(rows), torch.device("cpu"), ""), data.labels_of(rows)
    seen = np.arange(len(rows)) % 3 > 0
    whole = score(module, probabilities, labels, seen)
    for part, chosen in (("seen", seen), ("unseen", ~seen)):
        alone = score(module, [p[chosen] for p in probabilities], labels[chosen])
        assert whole[f"score_{part}"] == alone["score"]
        assert whole[f"images_{part}"] == chosen.sum()
    assert whole["score"] == score(module, probabilities, labels)["score"]


def test_same_seed_same_loss_and_another_seed_another(compose):
    def last_losses(name, *options):
        config = compose(*options)
        run = started(config, name)
        fit(run, config)
        return (run.logs / "metrics.csv").read_text()

    first = last_losses("a")
    assert first == last_losses("b")
    assert first != last_losses("c", "seed=1")


@pytest.mark.parametrize("workers", [0, 2])
def test_every_epoch_has_an_order_of_its_own(compose, workers, monkeypatch):
    config = compose("trainer.max_epochs=3", f"data.workers={workers}")
    drawn = []
    plain = EpochBatches.__iter__

    def recorded(self):
        for items in plain(self):
            if self.shuffle:
                drawn.append(items[0][0])
            yield items

    monkeypatch.setattr(EpochBatches, "__iter__", recorded)
    fit(started(config), config)
    assert list(dict.fromkeys(drawn)) == [0, 1, 2]


def test_checkpoints_hold_tensors_and_primitives_only(compose):
    config = compose("model.compile=false", "trainer.max_epochs=1")
    run = started(config)
    fit(run, config)
    state = torch.load(run.last, weights_only=True)
    assert not any("_orig_mod" in name for name in state["state_dict"])


@pytest.mark.serial
@pytest.mark.parametrize(
    ("stop_at", "workers"), [(2, 0), (6, 0), (9, 0), (9, 2), (6, 2), (2, 2)]
)  # within an epoch, at an epoch's last batch, within the next
def test_a_stopped_run_goes_on_to_the_very_same_weights(compose, stop_at, workers, monkeypatch):
    options = ["trainer.max_epochs=3", "model.dropout=0.3", "aug=cutmix", "aug.batch.p=0.7", f"data.workers={workers}"]
    config = compose(*options)
    whole = started(config, "whole")
    fit(whole, config)

    steps = {"taken": 0}

    def asked(self, trainer):
        return trainer.global_step >= stop_at and steps["taken"] == 0

    cut = started(config, "cut")
    monkeypatch.setattr(GracefulStop, "_agreed", asked)
    with pytest.raises(StoppedError, match="resume="):
        fit(cut, config)
    assert not (cut.path / "metrics.json").exists()
    steps["taken"] = 1
    fit(cut, config)
    assert_same_weights(weights(whole), weights(cut))
    assert_same_weights(weights(whole, "best"), weights(cut, "best"))
    assert cut.metrics()["val/score"] == whole.metrics()["val/score"]
    # every epoch stands in the log once
    rows = (cut.logs / "metrics.csv").read_text().splitlines()
    assert len([row for row in rows if "val/score" not in row and row]) == len(set(rows)) - 1


def test_a_loss_that_is_none_ends_the_run_and_names_the_batch(compose, monkeypatch):
    config = compose("optimizer.lr=1e30", "scheduler=constant")
    with pytest.raises(NonFiniteLossError, match=r"epoch \d+, batch \d+ .*store rows \d+"):
        fit(started(config), config)


def test_scores_do_not_depend_on_batches_or_padding(compose):
    from okkhor.training.build import build_data, build_module

    config = compose()
    data = build_data(config)
    module = build_module(config, data.heads)
    rows = data.rows("val")
    one = read(module, data.loader_of(rows), torch.device("cpu"), "")
    data.batch_size = 5
    other = read(module, data.loader_of(rows), torch.device("cpu"), "")
    assert all(len(p) == len(rows) for p in one)
    assert all(abs(a - b).max() < 1e-5 for a, b in zip(one, other, strict=True))
    labels = data.store.labels[rows]
    assert score(module, one, labels)["score"] == pytest.approx(score(module, other, labels)["score"], abs=1e-6)
