"""What the launcher and the container of a training job agree on: names of channels, places, variables, the command.

The launcher has the job's container run, in the folder of the unpacked source:

    exec python -m okkhor.launching.sagemaker.container COMMAND … train.py resume=/opt/ml/checkpoints/runs/<run> …

COMMAND is `python`, or `torchrun` with the job's hosts, address and processes. `exec` makes the container's entry
process 1, which is the only one that SageMaker tells when a job is stopped or a spot machine is taken away.

The run directory lies where SageMaker keeps checkpoints: it brings what a job writes there to S3 while it runs, and
back to a job that starts again, so that what goes on is the whole run, its curves too. The channel `run` holds the
files that a new run begins with, config.yaml and COMMAND_FILE; what the checkpoints' folder has already is newer.

Imports the standard library alone: the container reads it before anything is installed.
"""

from pathlib import PurePosixPath

ML = PurePosixPath("/opt/ml")
CHANNELS = ML / "input" / "data"
CODE = CHANNELS / "code"  # the SDK's own channel; the source is unpacked in it
RUNS = ML / "checkpoints" / "runs"
MODEL = ML / "model"  # comes back as model.tar.gz
OUTPUT = ML / "output" / "data"  # comes back as output.tar.gz
FAILURE = ML / "output" / "failure"  # its text is the job's failure reason

RUN_CHANNEL = "run"
DATA_CHANNEL = "store"  # a packed store, as `scripts/prepare.py upload` sends it: data.store=/opt/ml/input/data/store
INIT_CHANNEL = "init"  # what of another run `model.init_from` reads
COMMAND_FILE = "command"  # in the channel `run`: what was typed, for provenance.yaml

ENTRY = "python -m okkhor.launching.sagemaker.container"
TORCHRUN = (
    "torchrun --nnodes=$SM_HOST_COUNT --node_rank=$SM_CURRENT_HOST_RANK "
    "--master_addr=$SM_MASTER_ADDR --master_port=$SM_MASTER_PORT --nproc_per_node={processes}"
)

WANDB_SECRET = "OKKHOR_WANDB_SECRET"  # in the request's environment: name or ARN of the secret that holds the key


def channel(name: str) -> str:
    """Where a channel's files lie in the container."""
    return str(CHANNELS / name)


def run_in_job(parts: tuple[str, ...]) -> str:
    """Where a run lies in the container. parts: of its path, below a folder `runs`: its `Run.id` is the same there."""
    return str(RUNS.joinpath(*parts))
