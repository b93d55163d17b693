"""Contract 5 on this machine: one process in place, several through torchrun, sweep jobs each in a fresh one."""

import os
import subprocess
import sys
from pathlib import Path

from omegaconf import DictConfig

from okkhor.errors import InputError
from okkhor.runs import COMMAND, Run, typed_command


def open_run(config: DictConfig, overrides: list[str], job: str | None, sweep: str | None) -> tuple[Run, DictConfig]:
    """The run that a command line means: a new one, or with `resume=` an old one with its own configuration.

    overrides: the command line; with `resume=` only machine paths may stand beside it (`paths.*`, `data.dir`,
    `data.store`), anything else raises InputError. job, sweep: of a sweep's job, its number and folder.
    """
    if config.resume is None:
        run = Run.create(config.paths.runs, config.name, job, sweep)
        run.write_config(config)
        return run, config
    run = Run.open(config.resume)
    kept = run.config()
    for override in overrides:
        key, _, value = override.lstrip("+").partition("=")
        if key == "resume":
            continue
        if not (key.startswith("paths.") or key in ("data.dir", "data.store")):
            raise InputError(
                f"{key}: cannot be changed together with resume=, a run goes on with its own options; "
                f"expected resume={config.resume} alone, or a new run with {override}"
            )
        group, _, name = key.partition(".")
        kept[group][name] = value
    return run, kept


def processes(config: DictConfig) -> int:
    """Processes that this machine should start for a run: one for each device of a distributed strategy."""
    devices, accelerator = config.trainer.get("devices", 1), config.trainer.get("accelerator", "auto")
    if config.trainer.get("strategy", "auto") == "auto" and config.trainer.get("num_nodes", 1) == 1 and devices == 1:
        return 1
    if isinstance(devices, int):
        return devices
    if devices == "auto":
        import torch

        return 1 if accelerator == "cpu" else max(1, torch.cuda.device_count())
    return len(devices)


def is_rank() -> bool:
    """Whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def run_elsewhere(run: Run, entry: Path, ranks: int) -> None:
    """Run `train.py resume=<run>` in fresh processes and wait; leaves with their status where it is not 0.

    Ctrl-C reaches the children by themselves, since they share the terminal; here it is only waited for.
    """
    command = [sys.executable, str(entry), f"resume={run.path}"]
    environment = {COMMAND: typed_command(), **os.environ}
    if ranks > 1:
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
        command = [sys.executable, *launcher, str(entry), f"resume={run.path}"]
        environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // ranks)))
    process = subprocess.Popen(command, env=environment)
    while True:
        try:
            status = process.wait()
        except KeyboardInterrupt:
            continue
        if status:
            raise SystemExit(status)
        return
