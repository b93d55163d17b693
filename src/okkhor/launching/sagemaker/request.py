"""From a run to CreateTrainingJob, through the SDK's ModelTrainer: the same call for a job and for a dry run."""

import re
import uuid
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

from okkhor.aws.service_model import check
from okkhor.errors import InputError
from okkhor.launching.opening import processes
from okkhor.launching.sagemaker import contract
from okkhor.launching.sagemaker.account import Account, quiet, sdk_session
from okkhor.launching.sagemaker.options import Options
from okkhor.runs import Run

REQUIREMENTS = "requirements-job.txt"  # in the packed source
CONSTRAINTS = "constraints-job.txt"
NAME_LENGTH = 48  # of 63 that a job's name may have; the SDK adds the time, to the second
SINCE_AMAZON_LINUX = (2, 11)  # images of these versions have another name in the SDK
METRICS = 40  # definitions that a job may have


@dataclass(frozen=True)
class JobPlan:
    """What is particular to one run's job.

    config: as the job has it; base_name: of the job, unique; source: URI of the archive; words: more of its command
    line, where things lie; checkpoints, run_files, init_files: folders in S3, what the job keeps, what it begins with,
    what of another run.
    """

    run: Run
    config: DictConfig
    base_name: str
    source: str
    words: tuple[str, ...]
    checkpoints: str
    run_files: str
    init_files: str

    @property
    def init_from(self) -> Run | None:
        """The run whose weights this one begins with, as long as it has none of its own."""
        named = self.config.model.get("init_from")
        return Run.open(named) if named is not None and not self.run.last.is_file() else None


def plan_job(account: Account, run: Run, config: DictConfig, source: str, words: tuple[str, ...] = ()) -> JobPlan:
    """Names and places of a run's next job. words: more of its command line, where things lie."""
    name = base_name(run.id)
    return JobPlan(
        run,
        config,
        name,
        source,
        words,
        checkpoints=account.uri("runs", name, "checkpoints"),
        run_files=account.uri("runs", name, contract.RUN_CHANNEL) + "/",
        init_files=account.uri("runs", name, contract.INIT_CHANNEL) + "/",
    )


def base_name(run_id: str) -> str:
    """A job's name without the time that the SDK adds, the same for no two jobs, even in one second."""
    tail = re.sub(r"[^a-zA-Z0-9]+", "-", run_id)[-(NAME_LENGTH - len("okkhor--123456")) :].strip("-")
    return "-".join(part for part in ("okkhor", tail, uuid.uuid4().hex[:6]) if part)


def run_parts(run: Run) -> tuple[str, ...]:
    """The parts of a run's path that its id is made of, without what a command line would read otherwise.

    Below a folder `runs` the run has the same id, but for such characters.
    """
    parts = run.path.parts
    kept = parts[parts.index("runs") + 1 :] if "runs" in parts else parts[-2:]
    return tuple(re.sub(r"[^a-zA-Z0-9._-]", "_", part) for part in kept)


def job_command(options: Options, plan: JobPlan) -> tuple[str, list[str]]:
    """What the container runs: words for its shell, where $SM_… are its own, and arguments that no shell changes."""
    ranks = job_processes(plan.config)
    hosts = options.hosts(plan.config)
    start = "python"
    if ranks != 1 or hosts > 1:
        start = contract.TORCHRUN.format(processes=ranks)
        if restarts := plan.config.trainer.get("max_restarts", 0):
            start += f" --max_restarts={restarts}"
    arguments = [f"resume={contract.run_in_job(run_parts(plan.run))}", "launcher=local"]
    if options.store_uri(plan.config) is not None:
        arguments.append(f"data.store={contract.channel(contract.DATA_CHANNEL)}")
    return f"exec {contract.ENTRY} {start} train.py", [*arguments, *plan.words]


def job_processes(config: DictConfig) -> int | str:
    """Processes on each machine of a job; `gpu`: one for each GPU that it has."""
    devices, accelerator = config.trainer.get("devices", 1), config.trainer.get("accelerator", "auto")
    if devices == "auto":
        return 1 if accelerator == "cpu" else "gpu"
    return processes(config)


def build_trainer(options: Options, account: Account, plan: JobPlan, session: Any) -> Any:
    """The SDK's ModelTrainer for a run. Raises InputError for an image that there is none of."""
    quiet()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sagemaker.core.training.configs import (
            CheckpointConfig,
            Compute,
            MetricDefinition,
            Networking,
            OutputDataConfig,
            SourceCode,
            StoppingCondition,
            Tag,
        )
        from sagemaker.train import ModelTrainer
    command, arguments = job_command(options, plan)
    given = {
        "sagemaker_session": session,
        "role": account.role,
        "base_job_name": plan.base_name,
        "input_s3_key_prefix": "jobs",
        "training_image": training_image(options, account.region),
        "source_code": SourceCode(
            source_dir=plan.source,
            command=command,
            args=arguments,
            requirements=REQUIREMENTS if options.installs else None,
        ),
        "compute": Compute(
            instance_type=options.instance_type,
            instance_count=options.hosts(plan.config),
            volume_size_in_gb=options.volume_gb,
            volume_kms_key_id=options.volume_key,
            keep_alive_period_in_seconds=options.keep_alive,
            enable_managed_spot_training=options.spot,
        ),
        "stopping_condition": StoppingCondition(
            max_runtime_in_seconds=options.max_run,
            max_wait_time_in_seconds=max_wait(options),
        ),
        "networking": Networking(
            subnets=list(account.subnets) or None,
            security_group_ids=list(account.security_groups) or None,
            enable_network_isolation=options.isolated,
            enable_inter_container_traffic_encryption=options.encrypt_traffic,
        ),
        "checkpoint_config": CheckpointConfig(s3_uri=plan.checkpoints),
        "output_data_config": OutputDataConfig(s3_output_path=account.uri("jobs"), kms_key_id=options.output_key),
        "environment": environment(options, plan.config),
        "tags": [Tag(key=str(key), value=str(value)) for key, value in tags(options, plan.run).items()],
    }
    found = metric_definitions(plan.config)
    with _one_line():
        trainer = ModelTrainer(**{name: value for name, value in given.items() if value is not None})
        return trainer.with_metric_definitions([MetricDefinition(name=n, regex=r) for n, r in found.items()])


def channels(options: Options, plan: JobPlan) -> list[Any]:
    """The job's inputs besides the source, as the SDK takes them."""
    from sagemaker.core.shapes import Channel, DataSource, S3DataSource

    def of(name: str, uri: str, mode: str) -> Any:
        source = S3DataSource(s3_data_type="S3Prefix", s3_uri=uri, s3_data_distribution_type="FullyReplicated")
        return Channel(channel_name=name, data_source=DataSource(s3_data_source=source), input_mode=mode)

    made = [of(contract.RUN_CHANNEL, plan.run_files, "File")]
    if plan.init_from is not None:
        made.append(of(contract.INIT_CHANNEL, plan.init_files, "File"))
    if (store := options.store_uri(plan.config)) is not None:
        made.append(of(contract.DATA_CHANNEL, store.rstrip("/") + "/", options.input_mode))
    return made


def request(options: Options, account: Account, plan: JobPlan) -> dict[str, Any]:
    """The CreateTrainingJob request of a job, as boto3 takes it, made and checked without any call to AWS.

    Raises InputError with everything that the service's model refuses.
    """
    trainer = build_trainer(options, account, plan, sdk_session(account, offline=True))
    try:
        with _one_line():
            made = trainer._create_training_job_args(input_data_config=channels(options, plan), boto3=True)
    finally:
        tidy(trainer)
    check_request(made)
    return made


def tidy(trainer: Any) -> None:
    """Remove the SDK's scripts from this machine, where it did not get as far as doing so."""
    if trainer._temp_code_dir is not None:
        trainer._temp_code_dir.cleanup()


def check_request(made: Mapping[str, Any]) -> None:
    """Raise InputError for a request that SageMaker would refuse."""
    check("sagemaker", "CreateTrainingJob", made)


def max_wait(options: Options) -> int | None:
    """Seconds that a spot job may wait and compute; None for another."""
    if not options.spot:
        return None
    return options.max_wait if options.max_wait is not None else 2 * options.max_run


def training_image(options: Options, region: str) -> str:
    """The container's image: an own one, or Amazon's for a version of PyTorch."""
    if options.image is not None:
        return options.image
    version = str(options.pytorch) if options.pytorch is not None else pytorch_here()
    numbers = tuple(map(int, version.split(".")))
    from sagemaker.core import image_uris

    framework = "pytorch-amzn2023" if numbers >= SINCE_AMAZON_LINUX else "pytorch"
    try:
        return image_uris.retrieve(
            framework, region, version=version, instance_type=options.instance_type, image_scope="training"
        )
    except (ValueError, KeyError) as error:
        raise InputError(
            f"launcher.pytorch={version}: Amazon has no training image of it for {options.instance_type} in {region} "
            f"({str(error).splitlines()[0]}); expected another version, or launcher.image=… of your own"
        ) from error


def pytorch_here() -> str:
    """PyTorch's version on this machine, as 2.14."""
    from importlib.metadata import version

    return ".".join(version("torch").split("+")[0].split(".")[:2])


def environment(options: Options, config: DictConfig) -> dict[str, str]:
    """The variables of the job's container. No value of them is a secret, but the name of one may be."""
    made = {"PYTHONPATH": str(contract.CODE / "src"), "NO_ALBUMENTATIONS_UPDATE": "1", "PYTHONUNBUFFERED": "1"}
    made |= {str(name): str(value) for name, value in (options.environment or {}).items()}
    if config.trainer.get("max_restarts", 0):  # a store of its own for each start, as okkhor.launching.agent has it
        made["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    if options.wandb_secret is not None:
        made[contract.WANDB_SECRET] = options.wandb_secret
    return made


def tags(options: Options, run: Run) -> dict[str, Any]:
    return {"project": "okkhor", "okkhor:run": tag_value(run.id), **(options.tags or {})}


def tag_value(text: str) -> str:
    """A text with what a tag may not hold replaced."""
    return re.sub(r"[^\w .:/=+@-]", "_", text)[:256]


def metric_definitions(config: DictConfig) -> dict[str, str]:
    """Name -> regular expression that finds it in a job's log, for the metrics that a line of an epoch tells."""
    number = r"([0-9.]+(?:e[+-]?[0-9]+)?|nan)"
    found = {
        "val/loss": rf"epoch [0-9]+/[0-9]+  .*val/loss {number}",
        "val/score": rf"epoch [0-9]+/[0-9]+  .*val/(?:knn_)?score {number}",
        "images_per_second": rf"epoch [0-9]+/[0-9]+  .* {number} images/s",
    }
    for head in config.data.get("heads", {}):
        found[f"val/recall_{head}"] = rf"epoch [0-9]+/[0-9]+  .*[(, ]{re.escape(str(head))} {number}[,)]"
    return dict(list(found.items())[:METRICS])


@contextmanager
def _one_line() -> Iterator[None]:
    """Say what the SDK's own classes refuse in one line."""
    try:
        yield
    except ValueError as error:
        if not hasattr(error, "errors"):  # pydantic's
            raise
        first = error.errors()[0]
        raise InputError(f"launcher: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
