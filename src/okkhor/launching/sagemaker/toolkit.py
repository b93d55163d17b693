"""The classic way into a training job: SageMaker's training toolkit hands hyperparameters over as `--key value`.

https://github.com/aws/sagemaker-training-toolkit. It reads each value as JSON and writes it as Python does: `true`
comes as True, `null` as nothing. The words become those of train.py, the run is made where a job that
`launcher=sagemaker` starts has its own, under the job's name; from there on it is the same container.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import DictConfig

from okkhor.errors import InputError
from okkhor.launching.opening import processes
from okkhor.launching.sagemaker import contract
from okkhor.launching.sagemaker.container import Place, run_job
from okkhor.launching.words import as_group
from okkhor.runs import Run
from okkhor.training.options import check_options

PORT = 7777  # where the hosts of a job meet; the SDK's own choice
# channel -> what it is to train.py; `training` is the name that the SDK gives to data without one
DATA_CHANNELS = {contract.DATA_CHANNEL: "data.store", "training": "data.dir"}


def run_from_toolkit(root: Path, arguments: Sequence[str], place: Place) -> int:
    """Train what a job's hyperparameters say; returns the container's exit status.

    root: the project's folder, with train.py and configs; arguments: `--key value` for each hyperparameter. Raises
    InputError for what train.py would refuse.
    """
    words = to_words(arguments)
    run = place.at(contract.RUNS) / "toolkit" / os.environ.get("TRAINING_JOB_NAME", "job")
    own = place.own(run)
    config = Run.open(run).config() if (run / "config.yaml").is_file() else composed(root, words, place)
    if not (own / "config.yaml").is_file():
        own.mkdir(parents=True, exist_ok=True)
        Run(own).write_config(config)
    where = [word for word in data_words(place) if word.partition("=")[0] not in {w.partition("=")[0] for w in words}]
    return run_job(place, [*command(config, place), str(root / "train.py"), f"resume={run}", "launcher=local", *where])


def to_words(arguments: Sequence[str]) -> list[str]:
    """`--key value` pairs as words of train.py; a value that Hydra would not read as one is quoted.

    Raises InputError for what is no such pair.
    """
    keys, values = arguments[::2], arguments[1::2]
    wrong = [key for key in keys if not key.startswith("--") or len(key) == 2]
    if wrong or len(keys) != len(values):
        raise InputError(f"{' '.join(arguments)}: expected --key value for each hyperparameter, as --model resnet18")
    parser = OverridesParser.create()
    return [to_word(parser, key[2:], value) for key, value in zip(keys, values, strict=True)]


def to_word(parser: OverridesParser, key: str, value: str) -> str:
    """One hyperparameter as Hydra reads it. value: nothing means null, as the toolkit writes it."""
    word = as_group(f"{key}={value or 'null'}")
    try:
        read = parser.parse_override(word)
        if not read.is_sweep_override() and (value == "" or not isinstance(read.value(), str) or read.value() == value):
            return word
    except HydraException:
        pass
    return f"{key}={QuotedString(value, Quote.single).with_quotes()}"


def composed(root: Path, words: Sequence[str], place: Place) -> DictConfig:
    """The configuration that the words mean, checked; raises InputError where several hosts cannot compute it."""
    with initialize_config_dir(str(root / "configs"), version_base="1.3"):
        config = compose("train", [*words])
    check_options(config)
    if place.hosts > 1:
        if config.trainer.get("strategy", "auto") == "auto":
            raise InputError(f"trainer: {place.hosts} hosts have to train together; expected trainer=ddp or ddp_sim")
        config.trainer.num_nodes = place.hosts
    return config


def data_words(place: Place) -> list[str]:
    """Where the data lies that came as a channel."""
    folders = {key: place.at(contract.channel(name)) for name, key in DATA_CHANNELS.items()}
    return [f"{key}={folder}" for key, folder in folders.items() if folder.is_dir()]


def command(config: DictConfig, place: Place) -> list[str]:
    """What starts train.py on this host: once, or as so many ranks as it has devices."""
    ranks = processes(config)
    if ranks == 1 and place.hosts == 1:
        return ["python"]
    meeting = [f"--nnodes={place.hosts}", f"--node_rank={place.rank}", f"--master_addr={place.main}"]
    return ["torchrun", *meeting, f"--master_port={PORT}", f"--nproc_per_node={ranks}"]
