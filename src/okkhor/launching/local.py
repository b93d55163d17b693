"""Contract 5 on this machine: the jobs of a sweep, each in a fresh process, several at a time."""

import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from omegaconf import OmegaConf

from okkhor.errors import InputError, JobFailedError
from okkhor.launching.backend import Backend, Status
from okkhor.launching.exits import ERROR_FILE, REFUSED, STOPPED
from okkhor.launching.opening import processes
from okkhor.runs import COMMAND, Run, typed_command
from okkhor.tether import PARENT

ENTRY = "train.py"


@dataclass
class LocalJob:
    """One started process."""

    run: Run
    process: subprocess.Popen
    slot: int
    error_file: Path
    asked_to_stop: bool = False


class LocalBackend(Backend):
    """Processes on this machine.

    n_jobs: jobs at a time. One alone prints here; several print into logs/output.log of their run directories,
    share the processors, and each takes its own of the GPUs where there are enough.
    """

    in_place = here = True

    def __init__(self, n_jobs: int = 1) -> None:
        self.at_once = n_jobs
        self.silent = n_jobs > 1
        self.jobs: dict[str, LocalJob] = {}
        self.folder: tempfile.TemporaryDirectory | None = None  # made with the first job, not for a look at options

    def submit(self, run: Run) -> str:
        """Start the process; its environment says what was typed, who its parent is and which devices it has."""
        taken = {job.slot for job in self.jobs.values() if job.process.poll() is None}
        slot = next(n for n in range(self.at_once or 1) if n not in taken)
        self.folder = self.folder or tempfile.TemporaryDirectory(prefix="okkhor-jobs-")
        error_file = Path(self.folder.name) / f"{len(self.jobs)}.txt"
        environment = {
            COMMAND: typed_command(),
            **os.environ,
            PARENT: str(os.getpid()),
            ERROR_FILE: str(error_file),
            **self._share(run, slot),
        }
        output: IO[bytes] | None = (run.logs / "output.log").open("ab") if self.silent else None
        try:
            process = subprocess.Popen(
                [sys.executable, str(entry()), f"resume={run.path}"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT if output else None,
                start_new_session=True,  # Ctrl-C comes to this process alone, which asks each job to stop, once
            )
        finally:
            if output:
                output.close()
        name = str(process.pid)
        self.jobs[name] = LocalJob(run, process, slot, error_file)
        return name

    def status(self, job: str) -> Status:
        state = self.jobs[job]
        code = state.process.poll()
        if code is None:
            return Status.RUNNING
        if code == STOPPED or (code < 0 and state.asked_to_stop):  # asked before it had begun to train
            return Status.STOPPED
        return Status.DONE if code == 0 else Status.FAILED

    def result(self, job: str) -> float:
        """The objective in metrics.json; raises JobFailedError with the process's last words."""
        state = self.jobs[job]
        code = state.process.wait()
        if code == 0:
            return state.run.metrics()["objective"]
        if state.error_file.is_file():
            message = state.error_file.read_text(encoding="utf-8")
        else:
            message = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        if code == REFUSED:
            state.run.discard_if_untrained()
        raise JobFailedError(message, code if code > 0 else 1)

    def stop(self, job: str) -> None:
        """SIGTERM, on which train.py saves and ends; the second time SIGKILL."""
        state = self.jobs[job]
        if state.process.poll() is None:
            state.process.send_signal(signal.SIGKILL if state.asked_to_stop else signal.SIGTERM)
            state.asked_to_stop = True

    def close(self) -> None:
        for state in self.jobs.values():
            if state.process.poll() is None:
                state.process.kill()
                state.process.wait()
        if self.folder:
            self.folder.cleanup()

    def _share(self, run: Run, slot: int) -> dict[str, str]:
        """The part of this machine that a job gets: threads, and GPUs where every slot can have its own."""
        at_once = self.at_once or 1
        if at_once == 1:
            return {}
        ranks = processes(run.config())
        share: dict[str, str] = {}
        if "OMP_NUM_THREADS" not in os.environ:
            share["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // (at_once * ranks)))
        visible = gpus() if OmegaConf.select(run.config(), "trainer.accelerator") != "cpu" else []
        if len(visible) >= at_once * ranks:
            share["CUDA_VISIBLE_DEVICES"] = ",".join(visible[slot * ranks : (slot + 1) * ranks])
        return share


def gpus() -> list[str]:
    """The CUDA devices that this process may use, by the names that CUDA_VISIBLE_DEVICES takes."""
    if (named := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name for name in named.split(",") if name]
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]


def entry() -> Path:
    """train.py, which every job runs; raises InputError where the project's folder is not known."""
    path = Path(os.environ.get("OKKHOR_ROOT", ".")) / ENTRY
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected OKKHOR_ROOT to name the project's folder, with {ENTRY} in it")
    return path.resolve()
