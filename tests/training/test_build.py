import pytest
import torch
from omegaconf import OmegaConf

from okkhor.build import build
from okkhor.errors import InputError
from okkhor.heads import Heads
from okkhor.training.build import build_module, build_net


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({"_target_": "torch.optim.SGD", "lrr": 1}, "optimizer.lrr.*did you mean optimizer.lr"),
        ({"_target_": "torch.optim.SGD", "lr": -1}, "optimizer: Invalid learning rate"),
        ({"_target_": "torch.optim.Nothing"}, "optimizer._target_.*Nothing"),
        ({"_target_": "nowhere.Thing"}, "optimizer._target_.*nowhere"),
    ],
)
def test_mistakes_are_said_with_their_key(node, said):
    parameters = [torch.nn.Parameter(torch.zeros(1))]
    with pytest.raises(InputError, match=said):
        build(OmegaConf.create(node), "optimizer", parameters)


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize("scheduler", ["one_cycle", "cosine", "plateau", "constant"])
def test_every_optimizer_goes_with_every_scheduler(compose, optimizer, scheduler):
    config = compose(f"optimizer={optimizer}", f"scheduler={scheduler}")
    module = build_module(config, Heads.from_config(config.data.heads), total_steps=10)
    made = module.make_optimizer([{"params": list(module.net.parameters())}])
    schedule = module.make_scheduler(made)
    made.step()
    schedule.step(0.5) if scheduler == "plateau" else schedule.step()
    assert made.param_groups[0]["lr"] > 0
    assert module.schedule["interval"] in ("step", "epoch")


def test_compiled_network_keeps_the_names_of_its_weights(compose):
    config = compose("model.compile=true")
    heads = Heads.from_config(config.data.heads)
    names = set(build_net(config, heads).state_dict())
    assert names == set(build_net(compose(), heads).state_dict())
    assert not any("_orig_mod" in name for name in names)
