"""Contract 5 on a Slurm cluster, by submitit: sbatch, requeue after preemption and time limits, one task a machine.

submitit carries a job to its machine as a pickle that it writes and reads itself, in <run>/logs/slurm; all that is in
it is one `SlurmTask`, plain words. How a job ended is read from text files, never from submitit's pickled results.
"""

import contextlib
import fcntl
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Any

from omegaconf import DictConfig

from okkhor.errors import InputError, JobFailedError
from okkhor.launching.backend import Backend, Status
from okkhor.launching.exits import STOPPED
from okkhor.launching.node import GRACE_SECONDS, POLL_SECONDS, Ending, Letters, Node, read_result, read_status, worst
from okkhor.launching.opening import processes
from okkhor.runs import Run

CLUSTERS = ("auto", "slurm", "local")
WAITING = ("PENDING", "REQUEUED", "CONFIGURING", "PREEMPTED", "SUSPENDED")
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE")
ENDED_HERE = ("FINISHED", "INTERRUPTED")  # submitit's words for its local executor
LETTERS_SECONDS = 20  # a shared disk may show a file that late
KILL_WAIT_SECONDS = 60  # after SIGTERM Slurm kills or requeues: SIGTERM alone does not say which


@dataclass
class SlurmJob:
    """One submitted job."""

    run: Run
    job: Any  # submitit.Job
    letters: Letters
    stops: int = 0
    ended_since: float | None = None


class SlurmBackend(Backend):
    """Slurm jobs; cluster=local runs the same on this machine, to try it out.

    n_jobs: submitted at a time. minutes: the time limit; a job that reaches it saves, is requeued and goes on, at most
    `requeues` times (preemption is not counted). cpus_per_node, gpus_per_node: null: as many as the run's trainer
    starts processes on a machine and loader workers for them; GPUs where trainer.accelerator is gpu. memory: as 32GB.
    signal_delay: seconds before its end in which a job is told to save. setup: shell lines before the job;
    sbatch: any other options of sbatch, as {mail-user: me}.
    Stopping a job is `scancel`: it has Slurm's KillWait (30 s unless the site changed it) to save.
    Raises InputError where submitit is not installed or sbatch is not there.
    """

    def __init__(
        self,
        cluster: str = "auto",
        n_jobs: int = 100,
        partition: str | None = None,
        account: str | None = None,
        qos: str | None = None,
        constraint: str | None = None,
        minutes: int = 1440,
        requeues: int = 10,
        signal_delay: int = 120,
        cpus_per_node: int | None = None,
        gpus_per_node: int | None = None,
        memory: str | None = None,
        setup: list[str] | None = None,
        sbatch: dict[str, Any] | None = None,
    ) -> None:
        self.cluster = choose_cluster(cluster)
        self.here = self.cluster == "local"
        self.at_once = n_jobs
        self.minutes, self.requeues, self.signal_delay = minutes, requeues, signal_delay
        self.cpus_per_node, self.gpus_per_node, self.memory = cpus_per_node, gpus_per_node, memory
        self.setup = setup or []
        self.flags = {"partition": partition, "account": account, "qos": qos, "constraint": constraint}
        self.sbatch = sbatch or {}
        self.jobs: dict[str, SlurmJob] = {}
        self.alive: IO[bytes] | None = None
        if self.cluster == "local":  # held as long as this process lives: its jobs end when they get it
            self.alive = tempfile.NamedTemporaryFile(prefix="okkhor-slurm-")  # noqa: SIM115 - closed by close()
            fcntl.flock(self.alive, fcntl.LOCK_EX)

    def submit(self, run: Run) -> str:
        """Hand the run to sbatch; raises JobFailedError with sbatch's own words where it refuses."""
        import submitit
        from submitit.core.utils import FailedSubmissionError

        config = run.config()
        letters = Letters(str(run.logs / "slurm"), uuid.uuid4().hex[:8], config.trainer.get("num_nodes", 1))
        task = SlurmTask(Node.of(run, letters, self.passed_on), self.alive.name if self.alive else None)
        executor = submitit.SlurmExecutor if self.cluster == "slurm" else submitit.LocalExecutor
        with _signals_ignored():
            try:
                place = executor(letters.folder, max_num_timeout=self.requeues)
                place.update_parameters(**self.parameters(run, config))
                job = place.submit(task)
            except (FailedSubmissionError, ValueError, RuntimeError) as error:
                raise JobFailedError(f"launcher=slurm: {_last_line(error)}") from error
        self.jobs[str(job.job_id)] = SlurmJob(run, job, letters)
        return str(job.job_id)

    def parameters(self, run: Run, config: DictConfig) -> dict[str, Any]:
        """What submitit is asked for, in the words of the executor in use."""
        nodes = config.trainer.get("num_nodes", 1)
        gpus = self.gpus_per_node
        if gpus is None:
            gpus = processes(config) if config.trainer.get("accelerator") in ("gpu", "cuda") else 0
        if self.cluster == "local":
            here = {"timeout_min": self.minutes, "tasks_per_node": nodes, "gpus_per_node": gpus}
            return {**here, "signal_delay_s": self.signal_delay, "setup": self.setup}
        cpus = self.cpus_per_node
        if cpus is None:
            workers = config.data.workers if isinstance(config.data.workers, int) else 4
            cpus = processes(config) * (1 + workers)
        asked = {"job_name": f"okkhor-{run.id}", "time": self.minutes, "nodes": nodes, "ntasks_per_node": 1}
        asked |= {"cpus_per_task": cpus, "gpus_per_node": gpus or None, "mem": self.memory}
        asked |= {"signal_delay_s": self.signal_delay, "setup": self.setup or None}
        asked |= {**self.flags, "additional_parameters": self.sbatch or None}
        return {name: value for name, value in asked.items() if value is not None}

    def status(self, job: str) -> Status:
        """From what the job has written; where it cannot have written, from Slurm."""
        state = self.jobs[job]
        asked = state.stops > 0
        if ending := state.letters.outcome():
            return read_status(ending, asked)
        word = state.job.state.upper().split()[0]  # CANCELLED is followed by who did it
        if word not in (*ENDED, *ENDED_HERE):
            return Status.QUEUED if word in WAITING or not state.letters.begun else Status.RUNNING
        now = time.monotonic()
        state.ended_since = state.ended_since or now
        if now - state.ended_since < (LETTERS_SECONDS if self.cluster == "slurm" else 1):
            return Status.RUNNING
        return Status.STOPPED if asked else Status.FAILED

    def result(self, job: str) -> float:
        """The objective in metrics.json; raises JobFailedError with the job's last words, or Slurm's."""
        state = self.jobs[job]
        ending = state.letters.outcome()
        if ending is None and (endings := state.letters.endings()):
            ending = worst(endings)
            ending = ending if ending.code != 0 else None
        if ending is None:
            word = state.job.state.lower()
            ending = Ending(1, f"job {job} ended without a word ({word}); see {state.job.paths.stderr}")
            if state.stops:
                ending = Ending(STOPPED, f"stopped; go on with: python train.py resume={state.run.path}")
        self._wait_for_end(state)
        return read_result(state.run, ending)

    def stop(self, job: str) -> None:
        """scancel, on which train.py saves and ends; the second time SIGKILL."""
        state = self.jobs[job]
        state.letters.ask_to_stop()
        state.stops += 1
        if self.cluster == "slurm":
            hard = ["--signal=KILL"] if state.stops > 1 else []
            subprocess.run(["scancel", *hard, job], check=False, capture_output=True)
        elif state.stops > 1:
            self._kill(state)

    def close(self) -> None:
        """End what runs on this machine; jobs on a cluster that were not stopped stay there."""
        if self.alive is not None:
            for state in self.jobs.values():
                self._kill(state)
            self.alive.close()
        self.jobs.clear()  # submitit's own objects tidy up as they go, and fail at it when all of Python goes

    def _kill(self, state: SlurmJob) -> None:
        """End a job of this machine at once: with its tasks, whose children die with them."""
        import psutil

        with contextlib.suppress(psutil.NoSuchProcess):
            controller = psutil.Process(int(state.job.job_id))
            for process in [*controller.children(recursive=True), controller]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        if (started := state.job._process) is not None:
            started.wait()

    def _wait_for_end(self, state: SlurmJob) -> None:
        """Wait until submitit's own process is gone from this machine: it still writes into the run's folder."""
        if self.cluster == "local":
            with contextlib.suppress(Exception):
                state.job._process.wait(timeout=GRACE_SECONDS)


class SlurmTask:
    """What submitit calls on each machine of a job; `checkpoint` is called when it is to be requeued.

    alive: a file that the process which submitted this holds a lock on, where the job shall die with it.
    """

    def __init__(self, node: Node, alive: str | None = None) -> None:
        self.node = node
        self.alive = alive
        self.told = False

    def __call__(self) -> int:
        """Run train.py to its end, which is written down; returns its status."""
        import submitit

        here = submitit.JobEnvironment()
        if self.alive:
            threading.Thread(target=_die_with_holder, args=(self.alive,), daemon=True).start()
        signal.signal(signal.SIGTERM, self._terminate)
        requeue = signal.getsignal(signal.Signals[f"SIG{here.USR_SIG}"])
        for number in (signal.SIGUSR1, signal.SIGUSR2):  # sites differ in which of the two means preemption
            signal.signal(number, requeue)
        rank = here.global_rank
        # between well-known ports and those that a system gives out; job ids of one time differ
        port = 20_000 + int(here.job_id) % 10_000
        self.node.start(rank, first_host(here), port)
        try:
            ending = self.node.wait()
            if self.told and not self.node.letters.asked_to_stop and here.cluster == "slurm":
                time.sleep(KILL_WAIT_SECONDS)  # for SIGUSR2, which requeues, or SIGKILL
        except Exception as error:  # submitit: not to be requeued any more
            ending = Ending(STOPPED, f"{error} Go on with: python train.py resume={self.node.run}")
        self.node.letters.end(rank, ending)
        return ending.code

    def checkpoint(self) -> Any:
        """Have the run saved; returns what submitit shall call after the requeue, None where there is no use in it."""
        from submitit.helpers import DelayedSubmission

        ending = self.node.stop_and_wait()
        if ending.code != STOPPED or self.node.letters.asked_to_stop:
            self.node.letters.end(self.node.rank, ending)
            return None
        return DelayedSubmission(SlurmTask(self.node.fresh(), self.alive))

    def _terminate(self, _number: int, _frame: FrameType | None) -> None:
        self.told = True
        self.node.stop()


def first_host(here: Any) -> str:
    """The name of the machine where a job's machines meet. here: submitit's environment of the task."""
    return here.hostnames[0] if here.cluster == "slurm" else "127.0.0.1"


def choose_cluster(wanted: str) -> str:
    """slurm or local, for what `launcher.cluster` says; raises InputError where that cannot be used here."""
    if wanted not in CLUSTERS:
        raise InputError(f"launcher.cluster: expected one of {', '.join(CLUSTERS)}, got {wanted!r}")
    if importlib.util.find_spec("submitit") is None:
        raise InputError("launcher=slurm: submitit is not installed; expected pip install -e '.[slurm]'")
    if wanted != "local" and not (shutil.which("sbatch") and shutil.which("srun")):
        raise InputError(
            "launcher=slurm: no sbatch here; expected a machine that submits to Slurm, "
            "or launcher.cluster=local to try it on this one (pip install -e '.[slurm]' is all that takes)"
        )
    return "local" if wanted == "local" else "slurm"


def _die_with_holder(path: str) -> None:
    """Kill this process, and with it its child, when the lock on a file is let go of: its holder has ended."""
    with contextlib.suppress(FileNotFoundError), Path(path).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
    time.sleep(POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


@contextlib.contextmanager
def _signals_ignored() -> Iterator[None]:
    """Processes started meanwhile do not hear Ctrl-C: it comes to this one alone, which asks each job to stop."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
