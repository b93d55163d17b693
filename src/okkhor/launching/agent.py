"""Several devices: one process each, started and watched by torchrun's elastic agent in this process.

Each rank is `train.py resume=<run>`. When one dies the others are ended and, where `trainer.max_restarts` allows,
all start again from last.ckpt. Several machines: the same command on each, which meet at one address.
"""

import logging
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from okkhor.errors import InputError, JobFailedError, StoppedError
from okkhor.launching.exits import ERROR_FILE, RANK_ERROR_FILE, REFUSED, SPOKEN_FOR, STOPPED, under_nohup
from okkhor.launching.reaper import Reaper
from okkhor.runs import COMMAND, Run, typed_command
from okkhor.tether import PARENT

NODES, NODE_RANK, ADDRESS, PORT = "OKKHOR_NODES", "OKKHOR_NODE_RANK", "OKKHOR_MAIN_ADDRESS", "OKKHOR_MAIN_PORT"
GRACE_SECONDS = 30  # ranks that are asked to end and do not are killed: the job ends within a minute
STOPS = ("SIGTERM", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2")  # the last two: a scheduler's warning
MEET_SECONDS = 600  # how long a machine waits for the others
CONNECT_SECONDS = 5


@dataclass(frozen=True)
class Meeting:
    """Where the machines of one job find each other; alone: one machine."""

    nodes: int = 1
    node_rank: int = 0
    address: str = "localhost"
    port: int = 0  # 0: any that is free, for one machine

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], nodes: int) -> "Meeting":
        """What a place has set for this machine, for a run of `nodes` machines; raises InputError where it lacks."""
        if nodes == 1:
            return cls()
        try:
            meeting = cls(nodes, int(environment[NODE_RANK]), environment[ADDRESS], int(environment.get(PORT, "29400")))
        except (KeyError, ValueError):
            raise InputError(
                f"trainer.num_nodes: {nodes} machines have to meet; expected {ADDRESS} (the first machine's name) and "
                f"{NODE_RANK} (0 to {nodes - 1}) in the environment of `python train.py resume=<run>` on each, "
                "or launcher=slurm, ray or sagemaker, which set them"
            ) from None
        if int(environment.get(NODES, nodes)) != nodes or not 0 <= meeting.node_rank < nodes:
            raise InputError(
                f"trainer.num_nodes: the run wants {nodes} machines, but {NODES}={environment.get(NODES)} and "
                f"{NODE_RANK}={meeting.node_rank}"
            )
        return meeting


def run_ranks(
    run: Run, entry: Path, ranks: int, *, meeting: Meeting, max_restarts: int = 0, words: Sequence[str] = ()
) -> None:
    """Start `entry resume=<run>` `ranks` times and wait for all; what they print comes here.

    words: more of the ranks' command line. Raises InputError for what the ranks refused, StoppedError after a stop
    that was asked for, JobFailedError with the words of the rank that failed first otherwise.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous.api import RendezvousError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    _quiet()
    own = _own_address(meeting)
    with tempfile.TemporaryDirectory(prefix="okkhor-ranks-") as folder, _environment(ranks, own, meeting, max_restarts):
        config = LaunchConfig(
            min_nodes=meeting.nodes,
            max_nodes=meeting.nodes,
            nproc_per_node=ranks,
            run_id=run.id,
            rdzv_backend="c10d",
            rdzv_endpoint=f"{meeting.address}:{meeting.port}",
            rdzv_configs={"is_host": meeting.node_rank == 0, "join_timeout": MEET_SECONDS},
            local_addr=own,
            max_restarts=max_restarts,
            logs_specs=DefaultLogsSpecs(log_dir=folder),
            shutdown_timeout=GRACE_SECONDS,
            signals_to_handle=",".join(STOPS if under_nohup() else (*STOPS, "SIGHUP")),
        )
        if meeting.nodes > 1 and meeting.node_rank == 0:
            print(
                f"waiting for {meeting.nodes - 1} other machines; on each: {ADDRESS}={meeting.address} "
                f"{PORT}={meeting.port} {NODE_RANK}=<1 to {meeting.nodes - 1}> python train.py resume={run.path}",
                flush=True,
            )
        if meeting.node_rank > 0:
            _await_first(meeting)
        # ranks are tethered to this process, their loaders' workers to them; but a worker may hang in its fork, as
        # Python 3.11's sometimes do beside threads, before it could be tethered
        reaper = Reaper(folder)
        try:
            elastic_launch(config, sys.executable)(str(entry), f"resume={run.path}", *words)
        except ChildFailedError as error:
            rank, failure = error.get_first_failure()
            if isinstance(failure.message, dict):
                print(failure.message["extraInfo"]["py_callstack"], end="", file=sys.stderr, flush=True)
            raise _of_rank(rank, failure, run) from None
        except SignalException as error:
            name = signal.Signals(error.sigval).name
            raise StoppedError(f"stopped by {name}; go on with: python train.py resume={run.path}") from None
        except RendezvousError as error:
            raise JobFailedError(
                f"the job's {meeting.nodes} machines lost each other, or did not all come to "
                f"{meeting.address}:{meeting.port} within {MEET_SECONDS} s ({type(error).__name__}); "
                f"go on with: python train.py resume={run.path}"
            ) from None
        finally:
            reaper.finish()


def _of_rank(rank: int, failure: Any, run: Run) -> Exception:
    message = failure.message["message"] if isinstance(failure.message, dict) else str(failure.message)
    if failure.exitcode == REFUSED:
        return InputError(message)
    if failure.exitcode == STOPPED:
        return StoppedError(message)
    if failure.exitcode < 0:
        message = f"killed by {failure.signal_name()}"
    elif not isinstance(failure.message, dict):
        message = f"ended with status {failure.exitcode} and no word"
    goes_on = f"; go on with: python train.py resume={run.path}" if run.last.is_file() else ""
    return JobFailedError(f"rank {rank}: {message}{goes_on}")


def _quiet() -> None:
    """What torchrun's agent knows is said here, in other words; its loggers have their own levels each."""
    for name, logger in logging.root.manager.loggerDict.items():
        if name.startswith("torch.distributed.elastic") and isinstance(logger, logging.Logger):
            logger.setLevel(logging.CRITICAL)


@contextmanager
def _environment(ranks: int, own: str, meeting: Meeting, max_restarts: int) -> Iterator[None]:
    """What the ranks shall find in their environment, which the agent passes on."""
    before = dict(os.environ)
    os.environ.setdefault(COMMAND, typed_command())
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // ranks)))
    os.environ[SPOKEN_FOR] = "1"
    os.environ[PARENT] = str(os.getpid())  # a rank that has only just begun when this process is killed must know, too
    if max_restarts:  # a store of its own for each start: in the agent's, ranks would find the dead ones' addresses
        os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    if meeting.nodes > 1 and (interface := _interface(own)):
        os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)  # gloo would take the one that the host's name has
    for name in (ERROR_FILE, RANK_ERROR_FILE):
        os.environ.pop(name, None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _own_address(meeting: Meeting) -> str:
    """The address that the other machines reach this one by: that of the route to the meeting point."""
    if meeting.nodes == 1:
        return "localhost"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((meeting.address, meeting.port))  # a datagram socket sends nothing by this
        except OSError as error:
            raise InputError(
                f"{ADDRESS}={meeting.address}: not to be reached from here ({error.strerror}); "
                "expected the name or address of the first machine"
            ) from None
        return str(probe.getsockname()[0])


def _await_first(meeting: Meeting) -> None:
    """Wait until the first machine listens: torchrun's own client gives up sooner than machines are all started."""
    deadline = time.monotonic() + MEET_SECONDS
    said = False
    while True:
        try:
            socket.create_connection((meeting.address, meeting.port), timeout=CONNECT_SECONDS).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise JobFailedError(
                    f"{ADDRESS}={meeting.address} {PORT}={meeting.port}: the first machine did not listen there within "
                    f"{MEET_SECONDS} s ({error})"
                ) from None
        if not said:
            print(f"waiting for the first machine at {meeting.address}:{meeting.port}", flush=True)
            said = True
        time.sleep(CONNECT_SECONDS / 10)


def _interface(address: str) -> str | None:
    """The network interface that has an address."""
    import psutil

    for name, addresses in psutil.net_if_addrs().items():
        if any(entry.address == address for entry in addresses):
            return name
    return None
