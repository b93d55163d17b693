"""The choices of trainer=apex. apex and a GPU cannot exist here: its module is a stand-in with torch's optimizers."""

import sys
from types import ModuleType

import pytest
import torch

from okkhor.build import build
from okkhor.errors import InputError
from okkhor.training.apex import FUSED, PRECISION, check_apex, with_apex
from okkhor.training.trainers import as_trained, check_trainer

APEX = ["trainer=apex"]


@pytest.fixture
def apex(monkeypatch):
    """The names that apex.optimizers has, with the arguments of the real ones that are used here."""

    class FusedAdam(torch.optim.Adam):
        def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, adam_w_mode=True, weight_decay=0.0):
            super().__init__(params, lr, betas, eps, weight_decay)
            self.adam_w_mode = adam_w_mode

    class FusedSGD(torch.optim.SGD):
        def __init__(self, params, lr, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False):
            super().__init__(params, lr, momentum, dampening, weight_decay, nesterov)

    package, optimizers = ModuleType("apex"), ModuleType("apex.optimizers")
    package.__path__ = []
    optimizers.FusedAdam, optimizers.FusedSGD = FusedAdam, FusedSGD
    package.optimizers = optimizers
    for module in (package, optimizers):
        module.__spec__ = __import__("importlib.machinery").machinery.ModuleSpec(module.__name__, None)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return optimizers


@pytest.mark.parametrize(
    ("optimizer", "fused", "w_mode"),
    [("adam", "FusedAdam", False), ("adamw", "FusedAdam", True), ("sgd", "FusedSGD", None)],
)
def test_an_optimizer_becomes_its_fused_form_with_the_same_options(compose, apex, optimizer, fused, w_mode):
    config = compose(*APEX, f"optimizer={optimizer}")
    adapted, said = with_apex(config)
    made = build(adapted.optimizer, "optimizer", [torch.nn.Parameter(torch.zeros(2))])
    assert isinstance(made, getattr(apex, fused))
    assert getattr(made, "adam_w_mode", None) is w_mode
    group = made.param_groups[0]
    assert {name: group[name] for name in ("lr", "weight_decay")} == {
        name: config.optimizer[name] for name in ("lr", "weight_decay")
    }
    assert f"apex.optimizers.{fused}" in said
    assert config.optimizer._target_.startswith("torch.optim.")


def test_an_optimizer_without_a_fused_form_stays_and_that_is_said(compose):
    config = compose(*APEX, "optimizer._target_=torch.optim.NAdam")
    adapted, said = with_apex(config)
    assert adapted.optimizer == config.optimizer
    assert "no fused form" in said


@pytest.mark.parametrize(("level", "precision"), PRECISION.items())
def test_the_level_is_said_with_its_precision(compose, level, precision):
    _, lines = as_trained(compose(*APEX, f"trainer.opt_level={level}"), 2)
    assert lines[0].startswith(f"apex {level}: precision {precision}, apex.optimizers.FusedAdam")
    assert lines[1].startswith("scale_lr=none: ")


def test_fused_targets_are_those_that_configs_name():
    assert {"torch.optim.Adam", "torch.optim.AdamW", "torch.optim.SGD"} <= set(FUSED)


def test_no_apex_is_one_line_with_the_trainer_to_use_instead(compose, monkeypatch):
    monkeypatch.setitem(sys.modules, "apex", None)
    with pytest.raises(InputError, match=r"trainer=apex: apex is not installed; .*trainer=gpu"):
        check_trainer(compose(*APEX).trainer)


def test_another_apex_is_told(monkeypatch):
    other = ModuleType("apex")
    other.__spec__ = __import__("importlib.machinery").machinery.ModuleSpec("apex", None)
    other.__path__ = []
    monkeypatch.setitem(sys.modules, "apex", other)
    with pytest.raises(InputError, match="PyPI's apex is another project"):
        check_apex()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu_is_one_line(compose, apex):
    with pytest.raises(InputError, match="trainer=apex: no CUDA GPU here"):
        check_trainer(compose(*APEX).trainer)
