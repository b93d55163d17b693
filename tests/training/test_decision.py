"""Decision rule and grapheme head over a whole run: trained, fitted, stopped, resumed, restored, exported."""

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from okkhor.errors import StoppedError
from okkhor.runs import Run
from okkhor.serving.predictor import Predictor
from okkhor.training import decision
from okkhor.training.callbacks import GracefulStop
from okkhor.training.export import export
from okkhor.training.fit import fit
from okkhor.training.restore import restore
from okkhor.training.scoring import read, score

CPU = torch.device("cpu")


def trained(compose, name, *options):
    config = compose(*options)
    run = Run.create(config.paths.runs, name)
    run.write_config(config)
    fit(run, config)
    return run


def state(path):
    return torch.load(path, weights_only=True)["state_dict"]


def logged_scores(run):
    header, *rows = (line.split(",") for line in (run.logs / "metrics.csv").read_text().splitlines())
    found = [dict(zip(header, row, strict=True)).get("val/score") for row in rows]
    return [float(value) for value in found if value]


def test_fitted_powers_are_part_of_the_best_checkpoint_and_nothing_else_has_changed(compose):
    plain, run = trained(compose, "plain"), trained(compose, "corrected", "model.decision=prior_corrected")
    metrics = run.metrics()
    powers = {name: metrics[f"power/{name}"] for name in ("root", "vowel", "consonant")}
    saved = state(run.best)
    assert {name: round(float(saved[f"net.decision.of_heads.{name}.power"]), 6) for name in powers} == powers
    assert any(powers.values())
    assert not any(path.name.endswith(".part") for path in run.best.parent.iterdir())
    # what was trained, how its loss is, which epoch was best: as without the rule
    before = state(plain.best)
    assert {name for name in saved if name not in before} == {
        f"net.decision.of_heads.{name}.{part}" for name in powers for part in ("log_prior", "power")
    }
    assert all(torch.equal(saved[name], before[name]) for name in before)
    assert metrics["val/loss"] == pytest.approx(plain.metrics()["val/loss"], abs=1e-5)
    assert logged_scores(run) == logged_scores(plain)


def test_a_run_that_is_read_again_decides_as_it_was_scored_and_argmax_is_untouched(compose):
    run = trained(compose, "corrected", "model.decision=prior_corrected")
    _, data, module = restore(run)
    rows = data.rows("val")[:64]  # limit_val_batches=2
    found = score(module, read(module, data.loader_of(rows), CPU, ""), data.labels_of(rows))
    assert found["score"] == run.metrics()["val/score"]
    corrected = read(module, data.loader_of(rows), CPU, "")
    images = torch.from_numpy(data.images[rows])[:, None]
    module.net.decision = None
    logits = [x.detach() for x in module.net(images)]
    assert all(a is b for a, b in zip(module.decided(logits), logits, strict=True))
    plain = read(module, data.loader_of(rows), CPU, "")
    assert any((a != b).any() for a, b in zip(corrected, plain, strict=True))


def test_with_a_number_every_epoch_is_scored_by_the_rule(compose):
    run = trained(compose, "number", "model.decision=prior_corrected", "model.power=0.8", "callbacks.report=true")
    page = (run.report / "index.html").read_text(encoding="utf-8")
    assert "divided by the class prior to a power (root 0.8, vowel 0.8, consonant 0.8).<" in page
    assert max(logged_scores(run)) == pytest.approx(run.metrics()["val/score"], abs=1e-6)
    assert not any(name.startswith("power/") for name in run.metrics())
    powers = [value for name, value in state(run.best).items() if name.endswith(".power")]
    assert [round(float(value), 6) for value in powers] == [0.8] * 3


def test_powers_are_fitted_on_training_images_as_they_were_never_trained_on(compose, monkeypatch):
    asked = []
    from okkhor.data.module import ImageData

    plain = ImageData.loader_of

    def noted(self, rows, *ranks, augmented_as=None):
        asked.append((rows, augmented_as))
        return plain(self, rows, *ranks, augmented_as=augmented_as)

    monkeypatch.setattr(ImageData, "loader_of", noted)
    run = trained(compose, "run", "model.decision=prior_corrected")
    _, data, _ = restore(run)
    ((rows, epoch),) = [(rows, epoch) for rows, epoch in asked if epoch is not None]
    assert epoch == 2  # of epochs 0 and 1
    assert np.isin(rows, data.rows("train")).all()
    assert not np.isin(rows, data.rows("val")).any()


def test_a_checkpoint_that_cannot_be_rewritten_stays_as_it_was(compose, monkeypatch):
    run = trained(compose, "run", "model.decision=prior_corrected")
    _, _, module = restore(run)
    before = run.best.read_bytes()

    def breaks(_checkpoint, path):
        path.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(decision.torch, "save", breaks)
    with pytest.raises(OSError, match="no space"):
        decision.write_powers(module, run)
    assert run.best.read_bytes() == before
    assert [path.name for path in sorted(run.best.parent.iterdir())] == ["best.ckpt", "last.ckpt"]


def test_a_run_of_before_there_were_rules_still_loads(compose):
    run = trained(compose, "old")
    config = run.config()
    for key in ("decision", "power", "grapheme_head"):
        del config.model[key]
    OmegaConf.save(config, run.path / "config.yaml")
    _, data, module = restore(run)
    rows = data.rows("val")[:64]
    found = score(module, read(module, data.loader_of(rows), CPU, ""), data.labels_of(rows))
    assert found["score"] == run.metrics()["val/score"]
    assert export(run, formats=["safetensors"]).decision == "argmax"


@pytest.mark.parametrize(
    "options",
    [["model.decision=prior_corrected"], ["model.grapheme_head=true"],
     ["model.decision=prior_corrected", "model.grapheme_head=true", "model.power=0.7"]],
    ids=["corrected", "grapheme head", "both"],
)  # fmt: skip
def test_exported_and_served_is_what_the_run_was_scored_by(compose, options):
    run = trained(compose, "run", *options)
    _, data, module = restore(run)
    rows = data.rows("val")
    wanted = read(module, data.loader_of(rows), CPU, "")
    bundle = export(run, formats=["onnx", "torchscript", "pt2", "safetensors"])
    assert bundle.decision == ("prior_corrected" if "model.decision=prior_corrected" in options else "argmax")
    images = np.asarray(data.images[rows])[:, None]
    for format in bundle.formats:
        predictor = Predictor.load(bundle, format, trust=True)
        found, maps = predictor.run(images)
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-4)
        assert np.isfinite(maps).all()
        assert maps.std() > 0


@pytest.mark.serial
@pytest.mark.parametrize("loss", ["ohem", "class_balanced"])
def test_a_stopped_run_goes_on_with_the_counts_and_combinations_that_it_began_with(compose, monkeypatch, loss):
    options = [
        f"model/loss={loss}", "model.grapheme_head=true", "model.decision=prior_corrected",
        "aug=cutmix", "aug.batch.p=0.7",
    ]  # fmt: skip
    whole = trained(compose, "whole", *options)
    taken = []
    config = compose(*options)
    cut = Run.create(config.paths.runs, "cut")
    cut.write_config(config)
    monkeypatch.setattr(GracefulStop, "_agreed", lambda self, trainer: trainer.global_step >= 8 and not taken)
    with pytest.raises(StoppedError, match="resume="):
        fit(cut, config)
    taken.append(True)
    fit(cut, config)
    for ours, theirs in ((cut.last, whole.last), (cut.best, whole.best)):
        ours, theirs = state(ours), state(theirs)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert ("loss.of_heads.0.weight" in state(cut.last)) == (loss == "class_balanced")
    same = ("val/score", "val/loss", "power/root")
    assert [cut.metrics()[name] for name in same] == [whole.metrics()[name] for name in same]
