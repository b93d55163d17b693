"""Contract 5 on Ray: a task on each machine of a job; one whose machine or worker dies starts again from last.ckpt."""

import contextlib
import importlib.util
import os
import secrets
import signal
import tempfile
import uuid
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from okkhor.errors import InputError, JobFailedError
from okkhor.launching.backend import Backend, Status
from okkhor.launching.exits import FAILED, REFUSED, STOPPED
from okkhor.launching.node import GRACE_SECONDS, Ending, Letters, Node, read_result, read_status, worst
from okkhor.launching.opening import processes
from okkhor.launching.ray_addresses import check_listening, meeting_point, no_cluster, read_error
from okkhor.runs import Run

if TYPE_CHECKING:
    from okkhor.launching.reaper import Reaper

STRATEGIES = ("STRICT_SPREAD", "SPREAD", "PACK", "STRICT_PACK")


@dataclass
class RayJob:
    """One submitted job: a task for each of its machines."""

    run: Run
    letters: Letters
    config: DictConfig
    tasks: list[Any] = field(default_factory=list)  # ray.ObjectRef, by rank
    group: Any = None  # the placement group of several machines
    starts: int = 0
    stops: int = 0
    ending: Ending | None = None


class RayBackend(Backend):
    """Ray tasks, in a cluster or in a Ray that is started on this machine and ended with this process.

    address: of a cluster that shares a disk with this machine; auto: the one it belongs to; null: Ray is started
    here. n_jobs: submitted at a time; Ray queues what finds no room. cpus_per_node, gpus_per_node,
    memory: what a job takes of each machine; null: a processor for each process and loader worker that the trainer
    starts there, as far as a Ray of this machine has them; GPUs where trainer.accelerator is gpu. retries: times that
    a job whose machine or worker died goes on from last.ckpt. strategy: of Ray, how several machines of a job are
    chosen; PACK allows them to be one.
    Raises InputError where Ray is not installed or not to be reached.
    """

    def __init__(
        self,
        address: str | None = None,
        n_jobs: int = 16,
        cpus_per_node: int | None = None,
        gpus_per_node: int | None = None,
        memory: str | None = None,
        retries: int = 3,
        strategy: str = "STRICT_SPREAD",
    ) -> None:
        if importlib.util.find_spec("ray") is None:
            raise InputError("launcher=ray: Ray is not installed; expected pip install -e '.[ray]'")
        if strategy not in STRATEGIES:
            raise InputError(f"launcher.strategy: expected one of {', '.join(STRATEGIES)}, got {strategy!r}")
        self.at_once = n_jobs
        self.address, self.strategy, self.retries = address, strategy, retries
        self.here = address is None
        self.cpus_per_node, self.gpus_per_node = cpus_per_node, gpus_per_node
        self.memory = read_memory(memory)
        self.jobs: dict[str, RayJob] = {}
        self.reaper: Reaper | None = None  # of the Ray of this machine
        self.joined = False

    def submit(self, run: Run) -> str:
        """Queue the run's tasks; raises JobFailedError where no machine could ever take them."""
        self._join()
        config = run.config()
        name = uuid.uuid4().hex[:8]
        letters = Letters(str(run.logs / "ray"), name, config.trainer.get("num_nodes", 1))
        Path(letters.folder).mkdir(parents=True, exist_ok=True)
        job = RayJob(run, letters, config)
        self._start(job)
        self.jobs[name] = job
        return name

    def status(self, job: str) -> Status:
        """From what its tasks gave back; one whose worker or machine died is started again."""
        state = self.jobs[job]
        if state.ending is None:
            self._look(state)
        if state.ending is None:
            return Status.RUNNING if state.letters.begun else Status.QUEUED
        return read_status(state.ending, state.stops > 0)

    def result(self, job: str) -> float:
        """The objective in metrics.json; raises JobFailedError with the last words of the machine that failed."""
        state = self.jobs[job]
        assert state.ending is not None
        return read_result(state.run, state.ending)

    def stop(self, job: str) -> None:
        """A letter, on which each machine has train.py save and end; the second time Ray kills the workers."""
        import ray

        state = self.jobs[job]
        state.letters.ask_to_stop()
        state.stops += 1
        if state.stops > 1 or not state.letters.begun:
            for task in state.tasks:
                with contextlib.suppress(Exception):
                    ray.cancel(task, force=True)

    def close(self) -> None:
        """End the tasks that still run, and the Ray of this machine with all its processes and files."""
        if not self.joined:
            return
        import ray

        for state in self.jobs.values():
            if state.ending is None:
                for task in state.tasks:
                    with contextlib.suppress(Exception):
                        ray.cancel(task, force=True)
            self._free(state)
        ray.shutdown()
        self.joined = False
        if self.reaper is not None:
            self.reaper.finish()

    def _join(self) -> None:
        """Start a Ray on this machine, or enter a cluster."""
        if self.joined:
            return
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # a task without GPUs keeps the variable
        if self.address is None and "RAY_AUTH_MODE" not in os.environ:
            # a token of this Ray's own, in place of one in the home folder; Ray reads it when it is imported
            os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        import ray

        from okkhor.launching.reaper import Reaper

        options: dict[str, Any] = {"log_to_driver": False, "logging_level": "error", "configure_logging": False}
        if self.address is None:
            # the sockets' paths may have 107 bytes in all, which the system's own temporary folder may use up
            folder = tempfile.mkdtemp(prefix="okkhor-ray-", dir="/tmp")
            options |= {"address": "local", "include_dashboard": False, "_temp_dir": folder}
            self.reaper = Reaper(folder)
        else:
            check_listening(self.address)
            options |= {"address": self.address}
        before = signal.getsignal(signal.SIGTERM)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ray.init(**options)
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            if self.reaper is not None:
                self.reaper.finish()
            raise no_cluster(self.address, read_error(error)) from None
        finally:
            if callable(before):
                signal.signal(signal.SIGTERM, before)  # Ray's own would end this process with its jobs unsaved
        self.joined = True

    def _start(self, state: RayJob) -> None:
        """Queue a task for each machine; a job of several gets them all or waits."""
        import ray
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        asked = self._resources(state.config)
        state.starts += 1
        state.letters.clear()
        node = Node.of(state.run, state.letters, self.passed_on)
        count = state.letters.nodes
        options: dict[str, Any] = {"max_retries": 0, "num_cpus": asked["CPU"], "num_gpus": asked.get("GPU", 0)}
        if "memory" in asked:
            options["memory"] = asked["memory"]
        if count == 1:
            state.tasks = [ray.remote(run_node).options(**options).remote(node, 0, None)]
            return
        state.group = ray.util.placement_group([asked] * count, strategy=self.strategy)
        at = [PlacementGroupSchedulingStrategy(state.group, placement_group_bundle_index=n) for n in range(count)]
        meeting = ray.remote(meeting_point).options(num_cpus=0, scheduling_strategy=at[0]).remote()
        state.tasks = [
            ray.remote(run_node).options(**options, scheduling_strategy=at[rank]).remote(node, rank, meeting)
            for rank in range(count)
        ]

    def _look(self, state: RayJob) -> None:
        """Read the tasks that have ended; when all have, the job has, unless it is to start again."""
        import ray
        from ray.exceptions import RayError

        ready, running = ray.wait(state.tasks, num_returns=len(state.tasks), timeout=0)
        if running and not self._lost(ready):
            return
        if running:  # what is left of a job that has lost a machine
            for task in running:
                with contextlib.suppress(Exception):
                    ray.cancel(task, force=True)
            ray.wait(running, num_returns=len(running), timeout=GRACE_SECONDS)
        endings, lost = {}, ""
        for rank, task in enumerate(state.tasks):
            try:
                endings[rank] = Ending(*ray.get(task, timeout=GRACE_SECONDS))
            except RayError as error:
                lost = lost or f"machine {rank}: {read_error(error)}"
        self._free(state)
        goes_on = f"go on with: python train.py resume={state.run.path}"
        if not lost:
            state.ending = worst(endings)
        elif state.stops:
            state.ending = Ending(STOPPED, f"stopped; {goes_on}")
        elif state.starts > self.retries:
            state.ending = Ending(FAILED, f"{lost}; lost {state.starts} times; {goes_on}")
        else:
            self._start(state)

    def _lost(self, tasks: list[Any]) -> bool:
        """Whether a worker or its machine has died under one of these ended tasks."""
        import ray
        from ray.exceptions import RayError

        for task in tasks:
            try:
                ray.get(task)
            except RayError:
                return True
        return False

    def _free(self, state: RayJob) -> None:
        if state.group is not None:
            import ray

            with contextlib.suppress(Exception):
                ray.util.remove_placement_group(state.group)
            state.group = None

    def _resources(self, config: DictConfig) -> dict[str, float]:
        """What one machine of a job takes; raises JobFailedError where a Ray of this machine never has as much."""
        import ray

        ranks = processes(config)
        here = ray.cluster_resources() if self.address is None else None
        workers = config.data.workers if isinstance(config.data.workers, int) else 1
        cpus = self.cpus_per_node or ranks * (1 + workers)
        if self.cpus_per_node is None and here is not None:
            cpus = min(cpus, max(1, int(here.get("CPU", 1)) // config.trainer.get("num_nodes", 1)))
        gpus = self.gpus_per_node
        if gpus is None:
            gpus = ranks if config.trainer.get("accelerator") in ("gpu", "cuda") else 0
        asked: dict[str, float] = {"CPU": cpus}
        if gpus:
            asked["GPU"] = gpus
        if self.memory:
            asked["memory"] = self.memory
        for name, wanted in asked.items() if here is not None else ():
            if wanted > here.get(name, 0):
                raise JobFailedError(
                    f"launcher=ray: a job asks for {wanted:g} {name}, this machine has {here.get(name, 0):g}; expected "
                    "less in launcher.cpus_per_node, launcher.gpus_per_node, launcher.memory, or launcher.address",
                    REFUSED,
                )
        return asked


def run_node(node: Node, rank: int, meeting: tuple[str, int] | None) -> tuple[int, str]:
    """What Ray runs on each machine: train.py to its end; returns its status and last words."""
    node.start(rank, *(meeting or ("localhost", 0)))
    try:
        ending = node.wait()
    except BaseException:  # this worker is told to go: its machine is taken away
        node.stop_and_wait(GRACE_SECONDS)
        raise
    return ending.code, ending.message


def read_memory(text: str | int | None) -> int | None:
    """Bytes of 8GB, 500MB or a number of bytes; raises InputError for anything else."""
    if text is None or isinstance(text, int):
        return text
    number, unit = text.upper().removesuffix("B").strip(), 1
    if number and number[-1] in "KMGT":
        number, unit = number[:-1], 1024 ** ("KMGT".index(number[-1]) + 1)
    try:
        return int(float(number) * unit)
    except ValueError:
        raise InputError(f"launcher.memory: expected a size such as 8GB, got {text!r}") from None
