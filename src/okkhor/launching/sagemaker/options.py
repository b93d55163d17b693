"""What `launcher=sagemaker` can be told, and what of it does not go together."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from omegaconf import DictConfig, OmegaConf

from okkhor.errors import InputError
from okkhor.training.options import BOOLEAN, POSITIVE, Check, choice, integer, optional

ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/.+")
VARIABLE = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
SECRET = re.compile(r"SECRET|PASSWORD|PASSWD|TOKEN|PRIVATE|CREDENTIAL|API_?KEY|ACCESS_?KEY", re.IGNORECASE)
VALUE_LENGTH = 512  # of a variable, by the service's model
SMDDP_INSTANCES = ("ml.p4d.24xlarge", "ml.p4de.24xlarge")
SMDDP_PYTORCH = (2, 5)  # the last whose images hold the library

TEXT: Check = (lambda v: isinstance(v, str) and v != "", "a word")
TEXTS: Check = (lambda v: isinstance(v, list) and all(isinstance(x, str) for x in v), "a list of words")
S3: Check = (lambda v: isinstance(v, str) and re.fullmatch(r"s3://[^/\s]+/\S.*", v) is not None, "s3://bucket/folder")
PRICES: Check = (
    lambda v: isinstance(v, Mapping) and all(isinstance(x, int | float) and x > 0 for x in v.values()),
    "{ml.g5.xlarge: 1.5}, dollars an hour",
)
CHECKS: dict[str, Check] = {
    "stack": optional(TEXT),
    "region": optional(TEXT),
    "role": optional((lambda v: isinstance(v, str) and ROLE.fullmatch(v) is not None, "arn:aws:iam::…:role/…")),
    "bucket": optional((lambda v: isinstance(v, str) and re.fullmatch(r"[a-z0-9.-]{3,63}", v) is not None, "a bucket")),
    "prefix": (
        lambda v: isinstance(v, str) and re.fullmatch(r"[\w.=-]+(/[\w.=-]+)*", v, re.A) is not None,
        "a folder of the bucket, as okkhor",
    ),
    "instance_type": (lambda v: isinstance(v, str) and re.fullmatch(r"ml\.[a-z0-9-]+\.\w+", v) is not None, "ml.…"),
    "instance_count": optional(integer(1)),
    "n_jobs": integer(1),
    "volume_gb": integer(1),
    "max_run": integer(1),
    "spot": BOOLEAN,
    "max_wait": optional(integer(1)),
    "keep_alive": optional(integer(1)),
    "image": optional(TEXT),
    "pytorch": optional((lambda v: re.fullmatch(r"\d+\.\d+", str(v)) is not None, "a version such as '2.14'")),
    "requirements": optional(BOOLEAN),
    "include": TEXTS,
    "max_mb": POSITIVE,
    "data": optional(S3),
    "input_mode": choice("File", "FastFile"),
    "subnets": TEXTS,
    "security_groups": TEXTS,
    "isolated": BOOLEAN,
    "encrypt_traffic": BOOLEAN,
    "volume_key": optional(TEXT),
    "output_key": optional(TEXT),
    "tags": optional((lambda v: isinstance(v, Mapping), "{project: graphemes}")),
    "environment": optional((lambda v: isinstance(v, Mapping), "{NCCL_DEBUG: INFO}")),
    "wandb_secret": optional(TEXT),
    "wait": BOOLEAN,
    "poll_seconds": POSITIVE,
    "dry_run": BOOLEAN,
    "prices": optional(PRICES),
}


@dataclass
class Options:
    """The `launcher` block; each key is told in configs/launcher/sagemaker.yaml.

    Raises InputError for what a key cannot hold, and for keys that the service does not take together.
    """

    stack: str | None = None
    region: str | None = None
    role: str | None = None
    bucket: str | None = None
    prefix: str = "okkhor"
    instance_type: str = "ml.g5.xlarge"
    instance_count: int | None = None
    n_jobs: int = 4
    volume_gb: int = 30
    max_run: int = 86_400
    spot: bool = False
    max_wait: int | None = None
    keep_alive: int | None = None
    image: str | None = None
    pytorch: str | float | None = None
    requirements: bool | None = None
    include: list[str] = field(default_factory=list)
    max_mb: float = 50
    data: str | None = None
    input_mode: str = "File"
    subnets: list[str] = field(default_factory=list)
    security_groups: list[str] = field(default_factory=list)
    isolated: bool = False
    encrypt_traffic: bool = False
    volume_key: str | None = None
    output_key: str | None = None
    tags: dict[str, Any] | None = None
    environment: dict[str, Any] | None = None
    wandb_secret: str | None = None
    wait: bool = True
    poll_seconds: float = 10
    dry_run: bool = False
    prices: dict[str, float] | None = None

    def __post_init__(self) -> None:
        for key, (holds, expected) in CHECKS.items():
            if not holds(getattr(self, key)):
                raise InputError(f"launcher.{key}: expected {expected}, got {getattr(self, key)!r}")
        for wrong, message in self._conflicts():
            if wrong:
                raise InputError(message)
        self._check_environment()

    def _conflicts(self) -> list[tuple[object, str]]:
        return [
            (
                self.max_wait is not None and not self.spot,
                "launcher.max_wait: how long a spot job may wait in all; expected launcher.spot=true beside it",
            ),
            (
                self.spot and self.max_wait is not None and self.max_wait < self.max_run,
                f"launcher.max_wait: {self.max_wait} s is less than launcher.max_run={self.max_run}; it counts both "
                "waiting and running, expected as much or more",
            ),
            (
                self.keep_alive is not None and self.spot,
                "launcher.keep_alive: SageMaker keeps no spot machines warm; expected launcher.spot=false, or no "
                "keep_alive",
            ),
            (
                bool(self.subnets) != bool(self.security_groups),
                "launcher.subnets: a VPC takes subnets and security groups; expected both launcher.subnets=[subnet-…] "
                "and launcher.security_groups=[sg-…], or none",
            ),
            (
                self.isolated and self.image is None,
                "launcher.isolated: an isolated job installs nothing, and Amazon's images lack what this project "
                "needs; expected launcher.image=… of infra/docker/training.Dockerfile",
            ),
            (
                self.isolated and self.requirements,
                "launcher.requirements: an isolated job installs nothing; expected launcher.requirements=false",
            ),
            (
                self.isolated and self.wandb_secret,
                "launcher.wandb_secret: an isolated job reaches neither the secret nor wandb; expected "
                "logger.wandb.offline=true",
            ),
            (
                self.image is not None and self.pytorch is not None,
                "launcher.pytorch: chooses one of Amazon's images; expected it or launcher.image, not both",
            ),
        ]

    def _check_environment(self) -> None:
        for name, value in (self.environment or {}).items():
            key = f"launcher.environment.{name}"
            if not VARIABLE.fullmatch(str(name)):
                raise InputError(f"{key}: expected a name of letters, digits and _")
            if SECRET.search(name):
                raise InputError(
                    f"{key}: would be read in the request and in the logs; expected the name of a secret of AWS "
                    "Secrets Manager that the job reads itself (launcher.wandb_secret=NAME for Weights & Biases)"
                )
            if len(str(value)) > VALUE_LENGTH:
                raise InputError(f"{key}: {len(str(value))} characters, SageMaker takes {VALUE_LENGTH}")

    @property
    def installs(self) -> bool:
        """Whether the job installs what its image lacks: Amazon's images lack it, an own one is taken to have it."""
        return self.image is None if self.requirements is None else self.requirements

    @property
    def has_gpu(self) -> bool:
        return re.match(r"ml\.(p|g|gr)\d", self.instance_type) is not None

    def hosts(self, config: DictConfig) -> int:
        """Machines of a job; raises InputError where `trainer.num_nodes` says another number."""
        wanted = OmegaConf.select(config, "trainer.num_nodes", default=1)
        if self.instance_count is None:
            return wanted
        if wanted not in (1, self.instance_count):
            raise InputError(
                f"launcher.instance_count={self.instance_count}: trainer.num_nodes={wanted} says otherwise; expected "
                "one of them alone"
            )
        return self.instance_count

    def check_run(self, config: DictConfig) -> None:
        """Raise InputError for a run that these machines cannot compute, or whose data they cannot read."""
        self.hosts(config)
        trainer = config.trainer
        if trainer.get("accelerator") in ("gpu", "cuda") and not self.has_gpu:
            raise InputError(
                f"launcher.instance_type={self.instance_type}: has no GPU, which the trainer wants; expected one such "
                "as ml.g5.xlarge, or trainer=cpu or ddp_sim"
            )
        if trainer.get("accelerator") == "mps":
            raise InputError("trainer=mps: SageMaker has no Apple GPUs; expected trainer=gpu, ddp or cpu")
        if OmegaConf.select(config, "trainer.strategy._target_") == "okkhor.training.smddp.smddp_strategy":
            self._check_smddp()
        self._check_data(config)

    def _check_smddp(self) -> None:
        if self.instance_type not in SMDDP_INSTANCES:
            raise InputError(
                f"trainer=smddp: runs on {' and '.join(SMDDP_INSTANCES)} alone, not on {self.instance_type}; use "
                "trainer=ddp"
            )
        version = tuple(map(int, str(self.pytorch).split("."))) if self.pytorch is not None else None
        if self.image is None and (version is None or version > SMDDP_PYTORCH):
            raise InputError(
                "trainer=smddp: Amazon's images hold it up to PyTorch 2.5, and this project wants a newer one; use "
                "trainer=ddp, or launcher.image=… of your own with the library in it"
            )

    def _check_data(self, config: DictConfig) -> None:
        data = config.data
        if self.data is not None or _is_remote(data.get("store")):
            return
        if data.get("store") is None and data.get("dir") is None:
            raise InputError(
                "launcher.data: none is named; expected launcher.data=s3://bucket/folder of a packed store "
                "(scripts/prepare.py upload), or data.dir=s3://…"
            )
        for key in ("store", "dir"):
            value = data.get(key)
            if key == "dir" and data.get("source") == "synthetic":
                continue  # rendered there
            if value is not None and not _is_remote(value):
                raise InputError(
                    f"data.{key}={value}: lies on this machine; expected launcher.data=s3://bucket/folder, where "
                    "`python scripts/prepare.py upload --to s3://bucket/folder` has sent the packed store"
                )
        remote = _is_remote(data.get("dir"))
        if self.isolated and remote:
            raise InputError(
                f"data.dir={data.dir}: an isolated job reads no S3 itself; expected launcher.data=s3://bucket/folder "
                "of a packed store (scripts/prepare.py upload)"
            )

    def store_uri(self, config: DictConfig) -> str | None:
        """Where in S3 the packed store lies that the jobs get as a channel, if there is one."""
        if self.data is not None:
            return self.data
        store = config.data.get("store")
        return store if _is_remote(store) else None


def _is_remote(path: Any) -> bool:
    return isinstance(path, str) and path.startswith("s3://")
