"""How much faster two processes train than one: the same batch shared by both, and a batch for each.

Every process computes with one thread, so that a second process brings a second core. Images are random and made
beforehand: what is measured is the step, with the gradients' exchange in it.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from okkhor.benchmarks.rounds import Figure, Side, Tick, alternate
from okkhor.benchmarks.setting import Setting
from okkhor.errors import JobFailedError

WARM_UP = 3  # steps


def measure(setting: Setting, tick: Tick) -> list[Figure]:
    """Images per second of two processes and of one, in turn; 2 is what a second core can bring."""
    batch = setting.config().data.batch_size
    rates = alternate(
        {
            "alone": lambda: rate(setting.root, 1, batch, setting.steps),
            "shared": lambda: rate(setting.root, 2, batch // 2, setting.steps),
            "each": lambda: rate(setting.root, 2, batch, setting.steps),
        },
        setting.rounds,
        tick,
        "scaling",
    )
    alone = Side(f"1 process, batch {batch}", "images/s", rates["alone"])
    shared = Side(f"2 processes, batch {batch // 2} each", "images/s", rates["shared"])
    each = Side(f"2 processes, batch {batch} each", "images/s", rates["each"])
    return [
        Figure("scaling", f"2 processes share batch {batch} / 1", shared, alone),
        Figure("scaling", f"2 processes, batch {batch} each / 1", each, alone),
    ]


def rate(root: Path, processes: int, batch: int, steps: int) -> float:
    """Images per second of all processes together, after the warm-up; root: of the project; batch: of one process."""
    words = [str(batch), str(steps)]
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    with tempfile.TemporaryDirectory(prefix="okkhor-scaling-") as folder:
        out = Path(folder) / "rate.json"
        done = subprocess.run(
            [sys.executable, *launch, "-m", __name__, str(out), *words],
            env={**os.environ, "OMP_NUM_THREADS": "1", "OKKHOR_ROOT": str(root)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise JobFailedError(f"scaling: {(done.stderr.strip().splitlines() or ['no word'])[-1]}")
        return float(json.loads(out.read_text(encoding="utf-8")))


def rank(out: str, batch: int, steps: int) -> None:
    """What each process does: train the default net on one batch again and again; the first writes the rate."""
    import torch
    from torch import distributed
    from torch.nn.parallel import DistributedDataParallel

    from okkhor.heads import Heads
    from okkhor.training.build import build_module

    config: Any = Setting(Path(os.environ["OKKHOR_ROOT"]), Path(out).parent).config(["data=bengali"])
    heads = Heads.from_config(config.data.heads)
    torch.set_num_threads(1)
    torch.manual_seed(config.seed)
    distributed.init_process_group("gloo")
    module = build_module(config, heads, total_steps=WARM_UP + steps)
    optimizer = module.configure_optimizers()["optimizer"]
    net = DistributedDataParallel(module.net) if distributed.get_world_size() > 1 else module.net
    images = torch.randint(0, 256, (batch, 1, *config.data.size), dtype=torch.uint8)
    labels = torch.stack([torch.randint(0, head.classes, (batch,)) for head in heads], 1)
    started = 0.0
    for step in range(WARM_UP + steps):
        if step == WARM_UP:
            distributed.barrier()
            started = time.perf_counter()
        optimizer.zero_grad()
        module.loss(net(images), labels).backward()
        optimizer.step()
    distributed.barrier()
    seconds = time.perf_counter() - started
    if distributed.get_rank() == 0:
        found = distributed.get_world_size() * batch * steps / seconds
        Path(out).write_text(json.dumps(found), encoding="utf-8")
    distributed.destroy_process_group()


if __name__ == "__main__":
    rank(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
