"""What a person wants of an endpoint, checked before anything is sent.

What is None is not said: a new endpoint takes the default, an update leaves what is there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from okkhor.aws.calling import split_uri
from okkhor.errors import InputError

MODES = ("real-time", "serverless", "async", "multi-model")
INSTANCE_TYPE = "ml.m5.large"  # two virtual processors: the smallest that auto scaling takes
MEMORY, CONCURRENCY = 3072, 5  # of serverless: a bundle with ONNX Runtime takes under 1 GB, processors come with memory
NAME_LENGTH = 45  # of 63: models and configurations add a stamp
PREFIX = "okkhor/endpoints"

RETIRED = {
    "eia": "Amazon Elastic Inference is retired by AWS",
    "eia1": "Amazon Elastic Inference is retired by AWS",
    "eia2": "Amazon Elastic Inference is retired by AWS",
    "inf1": "AWS Neuron supports Inferentia 1 no longer",
}


@dataclass(frozen=True)
class Store:
    """A place in S3 for what belongs to one endpoint: s3://bucket/prefix/name/."""

    bucket: str
    prefix: str

    @classmethod
    def of(cls, bucket: str, name: str) -> Store:
        """bucket: a name, or s3://name/prefix. Raises InputError."""
        plain = bucket.removeprefix("s3://").strip("/")
        place, _, prefix = plain.partition("/")
        if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", place):
            raise InputError(f"--bucket={bucket}: expected the name of a bucket, or s3://bucket/prefix")
        return cls(place, f"{prefix or PREFIX}/{name}")

    @classmethod
    def at(cls, uri: str) -> Store:
        """The store that an endpoint's tag names."""
        bucket, prefix = split_uri(uri)
        return cls(bucket, prefix.strip("/"))

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"


@dataclass(frozen=True)
class Scaling:
    """Between how many instances an endpoint moves. load: requests a minute, or of an asynchronous endpoint requests
    that wait, which one instance is to have."""

    least: int
    most: int
    load: float

    @classmethod
    def read(cls, typed: str, load: float | None) -> Scaling:
        """typed: MIN,MAX. Raises InputError."""
        found = re.fullmatch(r"(\d+),(\d+)", typed)
        if not found:
            raise InputError(f"--scale={typed}: expected MIN,MAX, as in 1,4")
        if load is None:
            raise InputError(
                "--scale: --load is missing, the requests a minute that one instance is to take; measure them"
            )
        if not 0 < load < 1e9:
            raise InputError(f"--load={load:g}: expected more than 0")
        least, most = int(found[1]), int(found[2])
        if not least <= most or most < 1:
            raise InputError(f"--scale={typed}: expected MIN at most MAX, and MAX at least 1")
        return cls(least, most, load)


@dataclass(frozen=True)
class Wanted:
    """An endpoint as it was asked for; see `scripts/deploy.py --help` for what each means."""

    name: str
    mode: str | None = None
    instance_type: str | None = None
    count: int | None = None
    memory: int | None = None
    concurrency: int | None = None
    capture: int | None = None
    scaling: Scaling | None = None
    shift: str = "all"
    bake: int = 0
    workers: int | None = None
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    kms_key: str | None = None
    isolated: bool = False
    tags: dict[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Raise InputError for what cannot be, whatever the endpoint is now."""
        if not re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*", self.name) or len(self.name) > NAME_LENGTH:
            raise InputError(f"--name={self.name}: expected letters, digits and single hyphens, at most {NAME_LENGTH}")
        if self.mode is not None and self.mode not in MODES:
            raise InputError(f"--mode={self.mode}: expected one of {', '.join(MODES)}")
        if self.capture is not None and not 0 <= self.capture <= 100:
            raise InputError(f"--capture={self.capture}: expected a percentage of the requests, 0 to 100")
        for option, value in {"--count": self.count, "--workers": self.workers}.items():
            if value is not None and value < 1:
                raise InputError(f"{option}={value}: expected at least 1")
        if not 0 <= self.bake <= 3600:
            raise InputError(f"--bake={self.bake}: expected 0 to 3600 seconds")
        if bool(self.subnets) != bool(self.security_groups):
            raise InputError("--subnets and --security-groups: expected both or neither")
        read_shift(self.shift)

    def check_mode(self, mode: str) -> None:
        """Raise InputError for what this kind of endpoint does not have."""
        said = {
            "--instance-type": self.instance_type, "--count": self.count, "--capture": self.capture,
            "--scale": self.scaling, "--subnets": self.subnets or None, "--isolated": self.isolated or None,
        }  # fmt: skip
        without = {"serverless": tuple(said), "async": ("--capture",)}.get(mode, ())
        for option in without:
            if said[option] is not None:
                raise InputError(f"{option}: AWS has none of it for --mode={mode}; leave it out, or take another mode")
        for option, value in {"--memory": self.memory, "--concurrency": self.concurrency}.items():
            if value is not None and mode != "serverless":
                raise InputError(f"{option}: of --mode=serverless alone; this endpoint is {mode}")
        if self.scaling and self.scaling.least == 0 and mode != "async":
            raise InputError(f"--scale=0,{self.scaling.most}: down to 0 with --mode=async alone; expected at least 1")
        if self.scaling and (self.instance_type or "").startswith("ml.t2."):
            raise InputError(f"--scale: AWS does not scale burstable instances such as {self.instance_type}")


def check_accelerator(accelerator: str) -> None:
    """Raise InputError unless it is one that there is a compile step for."""
    if accelerator in RETIRED:
        raise InputError(
            f"--accelerator={accelerator}: {RETIRED[accelerator]}; expected inf2, or --instance-type ml.g5.xlarge"
        )
    if accelerator != "inf2":
        raise InputError(f"--accelerator={accelerator}: expected inf2; GPUs are chosen with --instance-type")


def read_shift(typed: str) -> tuple[str, int, int]:
    """How traffic moves to what is new: kind, percent of the instances, seconds between steps. Raises InputError.

    all; canary:10:300 (10% first, all after 300 seconds); linear:25:120 (another 25% each 120 seconds).
    """
    if typed == "all":
        return "ALL_AT_ONCE", 100, 0
    found = re.fullmatch(r"(canary|linear):(\d{1,2}):(\d{1,4})", typed)
    if not found:
        raise InputError(f"--shift={typed}: expected all, canary:PERCENT:SECONDS or linear:PERCENT:SECONDS")
    kind, percent, seconds = found[1].upper(), int(found[2]), int(found[3])
    if not (1 <= percent <= 50 and seconds <= 3600):
        raise InputError(f"--shift={typed}: expected 1 to 50 percent, and at most 3600 seconds")
    if kind == "LINEAR" and percent < 10:
        raise InputError(f"--shift={typed}: expected at least 10 percent a step")
    return kind, percent, seconds
