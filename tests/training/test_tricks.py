"""Clipping, accumulation, precision, sizes that grow, rendered images: each changes the training as it says."""

import pytest
import torch
from pytorch_lightning.callbacks import Callback

from okkhor.errors import InputError, StoppedError
from okkhor.runs import Run
from okkhor.training import fit as fitting
from okkhor.training.callbacks import GracefulStop, build_callbacks
from okkhor.training.fit import fit
from okkhor.training.trainers import check_trainer


class Notes(Callback):
    """Gradients' norms as the optimizer gets them, its steps, types and sizes of what the net computes."""

    def __init__(self):
        self.norms, self.steps, self.types, self.sizes, self.validated = [], [], set(), [], set()

    def on_train_start(self, trainer, module):
        def note(backbone, inputs, output):
            if backbone.training:
                self.types.add(output.dtype)

        module.net.backbone.register_forward_hook(note)

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        self.steps.append(trainer.global_step)
        self.sizes.append(tuple(batch[0].shape[2:]))

    def on_validation_batch_start(self, trainer, module, batch, batch_idx, dataloader_idx=0):
        self.validated.add(tuple(batch[0].shape[2:]))

    def on_before_zero_grad(self, trainer, module, optimizer):
        gradients = [p.grad.flatten() for p in module.parameters() if p.grad is not None]
        if gradients:
            self.norms.append(float(torch.cat(gradients).norm()))


@pytest.fixture
def trained(compose, monkeypatch):
    def train(*options, run=None, name="run"):
        notes = Notes()
        monkeypatch.setattr(fitting, "build_callbacks", lambda *given: [*build_callbacks(*given), notes])
        config = compose(*options)
        if run is None:
            run = Run.create(config.paths.runs, name)
            run.write_config(config)
        notes.run = run
        try:
            fit(run, config)
        except StoppedError:
            notes.stopped = True
        return notes

    return train


def test_gradients_are_clipped_to_the_norm_that_was_asked_for(trained):
    free, clipped = trained("optimizer=sgd"), trained("optimizer=sgd", "trainer.gradient_clip_val=0.01")
    assert min(free.norms) > 0.02
    assert clipped.norms == pytest.approx([0.01] * len(clipped.norms), rel=1e-3)


def test_accumulation_takes_a_step_of_several_batches(trained):
    notes = trained("trainer.accumulate_grad_batches=4")
    assert notes.steps == [0, 0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 3]  # six batches an epoch: four, then the two that are left


@pytest.mark.parametrize("option", [[], ["callbacks.ema.decay=0.9"]])
def test_mixed_precision_on_a_processor_computes_in_bfloat16_and_keeps_float32(trained, option):
    notes = trained("trainer.precision=bf16-mixed", "trainer.gradient_clip_val=1", *option)
    assert notes.types == {torch.bfloat16}
    state = torch.load(notes.run.last, weights_only=True)["state_dict"]
    assert {value.dtype for value in state.values() if value.is_floating_point()} == {torch.float32}
    assert notes.run.metrics()["val/loss"] > 0


@pytest.mark.parametrize("accelerator", ["cpu", "auto"])
def test_float16_without_a_gpu_is_refused(compose, accelerator, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    config = compose("trainer.precision=16-mixed", f"trainer.accelerator={accelerator}")
    with pytest.raises(InputError, match=r"trainer\.precision=16-mixed: needs a GPU.*bf16-mixed"):
        check_trainer(config.trainer)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    if accelerator == "auto":
        check_trainer(config.trainer)


@pytest.mark.serial
@pytest.mark.parametrize(("stop_at", "workers"), [(6, 0), (9, 2)])
def test_sizes_and_rendered_images_are_the_same_after_a_resume(trained, synthetic_dir, stop_at, workers, monkeypatch):
    sizes, fraction = "data.progressive={1: [12,20], 2: [16,28]}", "data.synthetic_fraction=0.3"
    rendered = [f"data.synthetic_dir={synthetic_dir}", "data.synthetic.count=500", "+data.synthetic.files=1"]
    options = [sizes, fraction, *rendered, "trainer.max_epochs=4", f"data.workers={workers}"]
    whole = trained(*options, name="whole")
    assert whole.sizes == [(12, 20)] * 6 + [(16, 28)] * 6 + [(24, 40)] * 12
    assert whole.validated == {(24, 40)}
    pending = {"stop": True}
    monkeypatch.setattr(GracefulStop, "_agreed", lambda self, t: pending["stop"] and t.global_step >= stop_at)
    first = trained(*options, name="cut")
    assert first.stopped
    pending["stop"] = False
    second = trained(*options, run=first.run)
    assert first.sizes + second.sizes == whole.sizes
    ours, theirs = (torch.load(notes.run.last, weights_only=True)["state_dict"] for notes in (first, whole))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert "synthetic" in (first.run.path / "provenance.yaml").read_text().split("data:")[-1]
