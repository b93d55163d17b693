"""What a trainer asks of the machine, said in one line before anything else is done."""

import pytest
import torch

from okkhor.errors import InputError
from okkhor.training.precision import fitting_precision
from okkhor.training.trainers import as_trained, build_trainer, check_trainer


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("name", ["gpu", "ddp"])
def test_no_gpu_is_said_with_the_trainers_to_use_instead(compose, name):
    with pytest.raises(InputError, match="no CUDA GPU here; use trainer=cpu, or trainer=ddp_sim"):
        check_trainer(compose(f"trainer={name}").trainer)


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="there is an Apple GPU")
def test_no_apple_gpu_is_said(compose):
    with pytest.raises(InputError, match="no Apple GPU here; use trainer=cpu"):
        check_trainer(compose("trainer=mps").trainer)


def test_batch_norm_over_processes_is_refused_on_a_cpu(compose):
    words = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
    with pytest.raises(InputError, match=r"trainer\.sync_batchnorm: .*expected false, or trainer=ddp_sim"):
        check_trainer(compose(*words).trainer)
    check_trainer(compose(*words, "trainer.sync_batchnorm=false").trainer)


@pytest.mark.parametrize("name", ["auto", "cpu", "ddp_sim"])
def test_what_every_machine_has_is_not_refused(compose, name):
    check_trainer(compose(f"trainer={name}").trainer)


@pytest.mark.parametrize(
    ("abilities", "precision", "why"),
    [
        ({"avx512_bf16": True}, "bf16-mixed", "avx512_bf16"),
        ({"bf16": True}, "bf16-mixed", "bf16"),
        ({"avx512_bf16": False, "avx512_f": True}, "32-true", "no bfloat16"),
    ],
)
def test_auto_precision_asks_the_processor(compose, monkeypatch, abilities, precision, why):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities)
    config = compose("trainer=cpu", "trainer.precision=auto")
    assert build_trainer(config, callbacks=[], logger=[]).precision == precision
    kept, lines = as_trained(config, 1)
    assert [line for line in lines if f"auto: {precision}" in line and why in line] == lines
    assert kept.trainer.precision == "auto"


@pytest.mark.skipif(torch.cuda.is_available() or torch.backends.mps.is_available(), reason="there is a GPU")
def test_auto_precision_of_the_best_device_is_that_of_the_processor_without_a_gpu():
    assert fitting_precision("auto") == fitting_precision("cpu")


def test_auto_precision_is_float32_where_little_is_known():
    assert fitting_precision("mps")[0] == "32-true"
