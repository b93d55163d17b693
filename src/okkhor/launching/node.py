"""What a place starts on each machine of a job: `train.py resume=<run>` as a child, watched, told to stop, heard out.

The machines share a disk with the one where the command was typed, so what both sides have to say to each other lies
in the run directory, in files named by the job's tag (`Letters`): that it has begun, that it shall stop, how it ended.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from okkhor.atomic import write_atomically
from okkhor.errors import JobFailedError
from okkhor.launching.agent import ADDRESS, NODE_RANK, NODES, PORT
from okkhor.launching.backend import Status
from okkhor.launching.exits import ERROR_FILE, FAILED, REFUSED, STOPPED
from okkhor.launching.local import entry
from okkhor.runs import COMMAND, Run, typed_command
from okkhor.tether import PARENT

POLL_SECONDS = 0.2
GRACE_SECONDS = 30  # for a machine whose job has failed elsewhere, or that was asked to stop and does not
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
# what Slurm tells its tasks: Lightning would take the child for one of them, and requeue it in its own way
OF_THE_PLACE = ("SLURM_NTASKS", "SLURM_NPROCS", "SLURM_TASKS_PER_NODE", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID")


@dataclass(frozen=True)
class Ending:
    """How train.py ended on one machine. code: its exit status, negative for a signal; message: its last words."""

    code: int
    message: str


@dataclass(frozen=True)
class Letters:
    """The files by which a job and who submitted it talk. folder: in the run directory; nodes: machines of the job."""

    folder: str
    tag: str
    nodes: int = 1

    def path(self, name: str) -> Path:
        return Path(self.folder) / f"{self.tag}.{name}"

    def ask_to_stop(self) -> None:
        self.path("stop").touch()

    @property
    def asked_to_stop(self) -> bool:
        return self.path("stop").exists()

    def begin(self, rank: int) -> None:
        """A machine's job starts, for the first time or again after it was requeued."""
        self.path(f"{rank}.ending").unlink(missing_ok=True)
        self.path(f"{rank}.begun").touch()

    @property
    def begun(self) -> bool:
        return self.path("0.begun").exists()

    def end(self, rank: int, ending: Ending) -> None:
        write_atomically(self.path(f"{rank}.ending"), json.dumps({"code": ending.code, "message": ending.message}))

    def endings(self) -> dict[int, Ending]:
        """The machines that have ended, by rank."""
        found = {}
        for rank in range(self.nodes):
            try:
                found[rank] = Ending(**json.loads(self.path(f"{rank}.ending").read_text(encoding="utf-8")))
            except FileNotFoundError:
                continue
        return found

    def outcome(self) -> Ending | None:
        """The job's ending, when every machine has ended: a refusal before a failure before a stop."""
        endings = self.endings()
        return worst(endings) if len(endings) == self.nodes else None

    def clear(self) -> None:
        """Forget what was said, but that a stop was asked for: the job starts again."""
        for rank in range(self.nodes):
            for name in ("begun", "ending"):
                self.path(f"{rank}.{name}").unlink(missing_ok=True)


def worst(endings: Mapping[int, Ending]) -> Ending:
    """The one of several machines' endings that tells most: a refusal, a failure, a stop, in this order."""

    def weight(rank: int) -> tuple[bool, bool, bool, int]:
        code = endings[rank].code
        return code != REFUSED, code in (0, STOPPED), code == 0, rank

    rank = min(endings, key=weight)
    ending = endings[rank]
    if len(endings) == 1 or ending.code in (0, STOPPED, REFUSED):
        return ending
    return Ending(ending.code, f"machine {rank}: {ending.message}")


def read_status(ending: Ending, asked: bool) -> Status:
    """What a job is that ended so. asked: whether it was asked to stop, perhaps before it could save anything."""
    if ending.code == STOPPED or (ending.code < 0 and asked):
        return Status.STOPPED
    return Status.DONE if ending.code == 0 else Status.FAILED


def read_result(run: Run, ending: Ending) -> float:
    """The objective of a job that ended so; raises JobFailedError, and removes a run that was refused untrained."""
    if ending.code == 0:
        return run.metrics()["objective"]
    if ending.code == REFUSED:
        run.discard_if_untrained()
    raise JobFailedError(ending.message, ending.code if ending.code > 0 else FAILED)


class Node:
    """One machine's part of a job. Everything it holds is plain words: places pickle it to carry it there.

    run: the run directory; letters: see `Letters`; environment: what the child shall find besides this machine's own;
    words: more of its command line.
    """

    def __init__(self, run: str, letters: Letters, environment: dict[str, str], words: Sequence[str] = ()) -> None:
        self.run = run
        self.letters = letters
        self.environment = environment
        self.words = list(words)
        self.process: subprocess.Popen | None = None
        self.rank = 0

    @classmethod
    def of(cls, run: Run, letters: Letters, words: Sequence[str] = ()) -> "Node":
        """The part of a job that is submitted from here; raises InputError where the project's folder is not known."""
        environment = {COMMAND: os.environ.get(COMMAND) or typed_command(), "OKKHOR_ROOT": str(entry().parent)}
        return cls(str(run.path), letters, environment, words)

    def fresh(self) -> "Node":
        """The same words without the child, to be started again."""
        return Node(self.run, self.letters, self.environment, self.words)

    def start(self, rank: int = 0, address: str = "localhost", port: int = 0) -> None:
        """Start the child, which prints into the run's logs. address, port: of the first machine, where all meet."""
        self.rank = rank
        self.letters.begin(rank)
        self._error_file.unlink(missing_ok=True)
        environment = {name: value for name, value in os.environ.items() if name not in OF_THE_PLACE}
        environment |= {**self.environment, PARENT: str(os.getpid()), ERROR_FILE: str(self._error_file)}
        if self.letters.nodes > 1:
            meeting = {NODES: self.letters.nodes, NODE_RANK: rank, ADDRESS: address, PORT: port}
            environment |= {name: str(value) for name, value in meeting.items()}
        train = Path(self.environment["OKKHOR_ROOT"]) / "train.py"
        log = Path(self.run) / "logs" / (f"output-{rank}.log" if rank else "output.log")
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(train), f"resume={self.run}", "launcher=local", *self.words],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # whoever signals this process means it, not its child
            )

    def stop(self) -> None:
        """Ask the child to save last.ckpt and end."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def wait(self) -> Ending:
        """Wait for the child, which is stopped when that is asked for by letter or when another machine has failed."""
        assert self.process is not None
        asked, failed_since = False, None
        while self.process.poll() is None:
            if not asked and self.letters.asked_to_stop:
                asked = True
                self.stop()
            if failed_since is None and self._others_failed():
                failed_since = time.monotonic()
            if failed_since is not None and time.monotonic() - failed_since > GRACE_SECONDS:
                self.process.kill()  # it waits for a machine that will not answer
            time.sleep(POLL_SECONDS)
        return self._ending()

    def stop_and_wait(self, seconds: float = float("inf")) -> Ending:
        """Have the child save and end; it is killed after `seconds`. Safe in a signal handler that interrupts `wait`.

        The child is looked at without being reaped, since `wait` may hold the lock of its Popen object.
        """
        assert self.process is not None
        if self.process.returncode is None:
            os.kill(self.process.pid, signal.SIGTERM)
        deadline = time.monotonic() + seconds
        while self.process.returncode is None and not (state := _look(self.process.pid)):
            if time.monotonic() > deadline:
                os.kill(self.process.pid, signal.SIGKILL)
            time.sleep(POLL_SECONDS)
        if self.process.returncode is None and state:
            return self._ending(-state.si_status if state.si_code != os.CLD_EXITED else state.si_status)
        return self._ending()

    @property
    def _error_file(self) -> Path:
        return self.letters.path(f"{self.rank}.error")

    def _others_failed(self) -> bool:
        return self.letters.nodes > 1 and any(e.code != 0 for e in self.letters.endings().values())

    def _ending(self, code: int | None = None) -> Ending:
        assert self.process is not None
        code = self.process.returncode if code is None else code
        if self._error_file.is_file():
            return Ending(code, self._error_file.read_text(encoding="utf-8"))
        if -code in STOP_SIGNALS:  # it had not begun to train
            return Ending(STOPPED, f"stopped before it began; go on with: python train.py resume={self.run}")
        words = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        return Ending(code, "" if code == 0 else words)


def _look(child: int) -> "os.waitid_result | None":
    """How a child has ended, if it has, without reaping it."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT | os.WNOHANG)
