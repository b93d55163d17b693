"""One process of test_exactness.py: trains a net without batch norm and dropout in float64, and notes every step.

torchrun --nproc-per-node=2 exact_rank.py config.yaml notes.npz
"""

import sys

import numpy as np
import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf
from pytorch_lightning.strategies import DDPStrategy
from torch import nn

from okkhor.build import build
from okkhor.models.module import ClassifierModule
from okkhor.training.build import build_data
from okkhor.training.fit import quiet


class PlainNet(nn.Module):
    """Raw pixels (B, 1, H, W) -> logits of each head, by two linear layers."""

    def __init__(self, heads, pixels):
        super().__init__()
        self.hidden = nn.Linear(pixels, 16)
        self.out = nn.ModuleList(nn.Linear(16, head.classes) for head in heads)

    def forward(self, images):
        ink = 1 - images.to(self.hidden.weight.dtype).flatten(1) / 255
        hidden = torch.tanh(self.hidden(ink))
        return [layer(hidden) for layer in self.out]


class Notes(pl.Callback):
    def __init__(self):
        self.losses, self.gradients = [], []

    def on_after_backward(self, trainer, module):
        self.gradients.append(torch.cat([p.grad.flatten() for p in module.parameters()]).numpy().copy())

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        # what the ranks' mean is: the loss of the global batch
        self.losses.append(float(trainer.strategy.reduce(outputs["loss"].detach().clone(), reduce_op="mean")))


def main(config_path, notes_path):
    config = OmegaConf.load(config_path)
    quiet()
    torch.set_num_threads(1)
    pl.seed_everything(3, verbose=False)
    data = build_data(config)
    net = PlainNet(data.heads, data.size[0] * data.size[1])
    loss = build(config.model.loss, "model.loss")
    module = ClassifierModule(data.heads, net, loss, lambda groups: torch.optim.SGD(groups, lr=0.3))
    module.learn_labels(lambda: torch.from_numpy(data.train_labels()))
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
