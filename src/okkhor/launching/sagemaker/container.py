"""What runs inside a training job: the run directory is laid out, train.py runs and is watched, what it left is said.

    python -m okkhor.launching.sagemaker.container COMMAND … train.py resume=/opt/ml/checkpoints/runs/<run> …

COMMAND is `python`, or `torchrun` with the job's hosts; see `contract` for the places. Of several hosts the first works
in the folder of checkpoints, which SageMaker keeps in S3; the others work beside it, since each host's folder would be
brought to the same place there.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from okkhor.errors import InputError
from okkhor.launching.exits import ERROR_FILE, FAILED, RANK_ERROR_FILE, REFUSED, STOPPED
from okkhor.launching.sagemaker import contract
from okkhor.runs import COMMAND

STOPS = (signal.SIGTERM, signal.SIGINT)  # SageMaker sends SIGTERM to process 1 when a job is stopped
REASON_LENGTH = 1000  # of the 1,024 characters of a job's FailureReason


@dataclass(frozen=True)
class Place:
    """A job's container.

    ml: its /opt/ml; rank, hosts: which of how many machines this one is; main: the first; interface: the network device
    by which they see each other.
    """

    ml: Path
    rank: int = 0
    hosts: int = 1
    main: str = "algo-1"
    interface: str = "eth0"

    @classmethod
    def find(cls, ml: Path = Path(contract.ML)) -> "Place":
        """The container that this process is in; raises InputError outside of one."""
        path = ml / "input" / "config" / "resourceconfig.json"
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
            hosts = sorted(known["hosts"])
            rank, interface = hosts.index(known["current_host"]), known.get("network_interface_name", cls.interface)
            return cls(ml, rank, len(hosts), hosts[0], interface)
        except (OSError, KeyError, ValueError) as error:
            raise InputError(
                f"{path}: cannot be read ({error}); expected to run in a SageMaker training job"
            ) from error

    def at(self, path: str | os.PathLike) -> Path:
        """A path of the contract, in this container."""
        return self.ml / Path(path).relative_to(contract.ML)

    def own(self, run: Path) -> Path:
        """Where this host works on a run: the first where the contract says, the others out of SageMaker's sight."""
        return run if self.rank == 0 else self.ml / "runs" / run.relative_to(self.at(contract.RUNS))


def run_job(place: Place, words: Sequence[str], environment: Mapping[str, str] = os.environ) -> int:
    """Run a command of train.py in a container, to its end; returns the exit status that the container shall have.

    words: COMMAND … train.py resume=… …. Its last words are written to the failure file; the run directory of the
    first host is left in the output, its bundle as the model. Raises InputError for other words than the contract's.
    """
    resume = next((word for word in words if word.startswith("resume=")), None)
    if resume is None or words[0] not in ("python", "torchrun"):
        raise InputError(f"{' '.join(words)}: expected python or torchrun … train.py resume=<run directory>")
    run = Path(resume.partition("=")[2])
    own = place.own(run)
    lay_out(place, run, own)
    ending = watch([f"resume={own}" if word == resume else word for word in words], prepared(place, environment))
    if ending.code not in (0, STOPPED):
        write_reason(place, ending.message)
    if place.rank == 0 and (own / "config.yaml").is_file():
        hand_over(place, own)
    return ending.code


def lay_out(place: Place, run: Path, own: Path) -> None:
    """Put together the run directory that this host works in.

    What the folder of checkpoints holds comes first: it is what the job had when its machines were taken away. The
    channel `run` adds what is missing. Raises InputError where neither has a config.yaml.
    """
    for folder in ("checkpoints", "logs", "report"):
        (own / folder).mkdir(parents=True, exist_ok=True)
    channel = place.at(contract.channel(contract.RUN_CHANNEL))
    for source in (run, channel) if own != run else (channel,):
        if source.is_dir():
            add_missing(source, own)
    if not (own / "config.yaml").is_file():
        raise InputError(f"{own}: no config.yaml, neither there nor in the channel `{contract.RUN_CHANNEL}`")


def add_missing(source: Path, target: Path) -> None:
    """Copy the files of a folder that another one does not have, but for what was typed: it is no part of a run."""
    for path in sorted(source.rglob("*")):
        copy = target / path.relative_to(source)
        if path.is_file() and not copy.exists() and path != source / contract.COMMAND_FILE:
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)


def prepared(place: Place, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of train.py: what was typed, the key of wandb where the job was told the name of a secret."""
    made = dict(environment)
    typed = place.at(contract.channel(contract.RUN_CHANNEL)) / contract.COMMAND_FILE
    if typed.is_file():
        made[COMMAND] = typed.read_text(encoding="utf-8").strip()
    if place.hosts > 1:
        made.setdefault("GLOO_SOCKET_IFNAME", place.interface)
        made.setdefault("NCCL_SOCKET_IFNAME", place.interface)
    if secret := made.pop(contract.WANDB_SECRET, None):
        made["WANDB_API_KEY"] = read_secret(secret)
    return made


def read_secret(name: str) -> str:
    """The key that a secret holds: its text, or WANDB_API_KEY of its JSON. Raises InputError where it is not read."""
    try:
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError as error:
        raise InputError("launcher.wandb_secret: the job's image has no boto3, which reads it") from error
    try:
        text = boto3.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"]
    except (BotoCoreError, ClientError, KeyError) as error:
        raise InputError(f"launcher.wandb_secret: {name} cannot be read by the job's role: {error}") from error
    try:
        return json.loads(text)["WANDB_API_KEY"]
    except (ValueError, KeyError, TypeError):
        return text.strip()


@dataclass(frozen=True)
class Ending:
    """How train.py ended. code: an exit status; message: its last words, in one line."""

    code: int
    message: str


def watch(words: Sequence[str], environment: Mapping[str, str]) -> Ending:
    """Run a command to its end, with this process's output; SIGTERM and SIGINT are passed on to it."""
    ranks = words[0] == "torchrun"  # of the interpreter that runs this, where an image has several
    command = [sys.executable, *(["-m", "torch.distributed.run"] if ranks else []), *words[1:]]
    with tempfile.TemporaryDirectory(prefix="okkhor-job-") as folder:
        files = {ERROR_FILE: Path(folder) / "error.txt"}
        if ranks:
            files[RANK_ERROR_FILE] = (
                Path(folder) / "rank.json"
            )  # torchrun puts there what the rank said that failed first
        process = subprocess.Popen(command, env={**environment, **{key: str(path) for key, path in files.items()}})
        asked = False

        def pass_on(number: int, _frame: FrameType | None) -> None:
            nonlocal asked
            asked = True
            process.send_signal(number)

        before = {number: signal.signal(number, pass_on) for number in STOPS}
        try:
            code = process.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        said = of_rank(Path(folder) / "rank.json", code) or of_process(Path(folder) / "error.txt", code)
    return Ending(STOPPED, said.message) if asked and code != 0 else said


def of_process(file: Path, code: int) -> Ending:
    """How a process ended that may have left its last words in a file."""
    if file.is_file():
        return Ending(code if code >= 0 else FAILED, file.read_text(encoding="utf-8"))
    if code < 0:
        return Ending(FAILED, f"killed by {signal.Signals(-code).name}")
    return Ending(code, "" if code == 0 else f"ended with status {code} and no word")


def of_rank(file: Path, code: int) -> Ending | None:
    """How the rank ended that failed first, by the file that torchrun writes of it; None where it wrote none."""
    if code == 0 or not file.is_file():
        return None
    message = json.loads(file.read_text(encoding="utf-8"))["message"]
    if not isinstance(message, dict):
        return Ending(FAILED, " ".join(str(message).split()))
    status = message.get("errorCode", FAILED)
    return Ending(status if status > 0 else FAILED, " ".join(str(message["message"]).split()))


def hand_over(place: Place, run: Path) -> None:
    """Leave what comes back: the run directory in the output, its bundle where the model is expected."""
    bundle, model = run / "bundle", place.at(contract.MODEL)
    if bundle.is_dir():
        shutil.copytree(bundle, model, dirs_exist_ok=True)
    shutil.copytree(run, place.at(contract.OUTPUT), dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*.part"))


def refuse(place: Place, reason: str) -> int:
    """Say why nothing was trained; returns the exit status for it."""
    print(f"error: {reason}", file=sys.stderr, flush=True)
    write_reason(place, reason)
    return REFUSED


def write_reason(place: Place, reason: str) -> None:
    """Write what becomes the job's FailureReason."""
    failure = place.at(contract.FAILURE)
    failure.parent.mkdir(parents=True, exist_ok=True)
    failure.write_text(reason[:REASON_LENGTH], encoding="utf-8")


def main() -> int:
    place = Place.find()
    try:
        return run_job(place, sys.argv[1:])
    except InputError as error:
        return refuse(place, str(error))


if __name__ == "__main__":
    sys.exit(main())
