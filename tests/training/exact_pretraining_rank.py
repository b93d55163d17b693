"""One process of test_pretraining_exactness.py: SimCLR on a net without batch norm in float64, every step noted.

torchrun --nproc-per-node=2 exact_pretraining_rank.py config.yaml notes.npz
"""

import sys

import numpy as np
import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf
from pytorch_lightning.strategies import DDPStrategy
from torch import nn

from okkhor.models.pretraining.module import PretrainModule
from okkhor.models.pretraining.simclr import SimCLR
from okkhor.training.build import build_data
from okkhor.training.fit import quiet


class PlainNet(nn.Module):
    """Raw pixels (B, 1, H, W) -> 12 features."""

    def __init__(self, heads, pixels):
        super().__init__()
        self.backbone = nn.Linear(pixels, 12)
        self.head_layers = nn.ModuleDict({head.name: nn.Linear(12, head.classes) for head in heads})

    def features(self, images):
        return torch.tanh(self.backbone(1 - images.to(self.backbone.weight.dtype).flatten(1) / 255))


class Notes(pl.Callback):
    def __init__(self):
        self.losses, self.gradients = [], []

    def on_after_backward(self, trainer, module):
        gradients = [p.grad.flatten() for p in module.parameters() if p.requires_grad]
        self.gradients.append(torch.cat(gradients).numpy().copy())

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        self.losses.append(float(trainer.strategy.reduce(outputs["loss"].detach().clone(), reduce_op="mean")))


def main(config_path, notes_path):
    config = OmegaConf.load(config_path)
    quiet()
    torch.set_num_threads(1)
    pl.seed_everything(3, verbose=False)
    data = build_data(config)
    net = PlainNet(data.heads, data.size[0] * data.size[1])
    method = SimCLR(net, temperature=0.2)
    method.projection = nn.Sequential(nn.Linear(12, 12), nn.Tanh(), nn.Linear(12, 6))
    module = PretrainModule(data.heads, net, method, lambda groups: torch.optim.SGD(groups, lr=0.3), neighbors=7)
    notes = Notes()
    ranks = config.trainer.devices
    trainer = pl.Trainer(
        accelerator="cpu", devices=ranks, precision="64-true", max_epochs=2, callbacks=[notes], logger=False,
        strategy=DDPStrategy(process_group_backend="gloo") if ranks > 1 else "auto", enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False, num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(module, datamodule=data)
    weights = torch.cat([p.detach().flatten() for p in module.parameters()]).numpy()
    metrics = {name.replace("/", "_"): float(value) for name, value in trainer.callback_metrics.items()}
    if trainer.is_global_zero:
        metrics.pop("train_loss_step")
        np.savez(notes_path, losses=notes.losses, gradients=notes.gradients, weights=weights, **metrics)


if __name__ == "__main__":
    main(*sys.argv[1:])
