import torch

from okkhor.heads import Heads
from okkhor.models.classifier import MultiHeadClassifier
from okkhor.models.losses import CrossEntropy
from okkhor.models.module import ClassifierModule, mix_seed, parameter_groups

HEADS = Heads.from_config({"root": {"classes": 6, "weight": 2}, "vowel": {"classes": 4}})
OPTIONS = {"widths": [8, 16], "blocks": [1, 0]}


def test_one_batch_is_learned_by_heart():
    torch.manual_seed(0)
    net = MultiHeadClassifier(HEADS, options=OPTIONS)
    module = ClassifierModule(HEADS, net, CrossEntropy(), lambda groups: torch.optim.AdamW(groups, 1e-2))
    optimizer = torch.optim.AdamW(parameter_groups(net, 0.0), 1e-2)
    images = torch.randint(0, 256, (8, 1, 16, 24), dtype=torch.uint8)
    labels = torch.stack([torch.arange(8) % 6, torch.arange(8) % 4], 1)
    for _ in range(120):
        loss = module.loss(net(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.02


def test_norms_biases_and_single_numbers_are_not_decayed():
    net = MultiHeadClassifier(HEADS, options=OPTIONS)
    decayed, free = parameter_groups(net, 0.05)
    assert decayed["weight_decay"] == 0.05
    assert free["weight_decay"] == 0
    assert all(p.ndim > 1 for p in decayed["params"])
    free_ids = {id(p) for p in free["params"]}
    assert {id(net.pool.exponent), id(net.head_layers["root"].bias)} <= free_ids
    assert len(decayed["params"]) + len(free["params"]) == len(list(net.parameters()))


def test_seeds_of_steps_do_not_meet():
    seeds = {mix_seed(seed, step, role) for seed in range(4) for step in range(500) for role in range(3)}
    assert len(seeds) == 4 * 500 * 3
    assert all(0 <= seed < 2**63 for seed in seeds)
