"""Make a SageMaker endpoint of a run or a bundle, update it while it answers, or take it down.

python scripts/deploy.py RUN --target sagemaker --role ARN --bucket NAME                 # or --stack NAME for both
python scripts/deploy.py RUN --target sagemaker --mode serverless --memory 3072 --stack okkhor
python scripts/deploy.py RUN --target sagemaker --mode async --scale 0,4 --load 5 --stack okkhor
python scripts/deploy.py a=RUN b=RUN --target sagemaker --mode multi-model --format torchscript --stack okkhor
python scripts/deploy.py RUN --target sagemaker --name okkhor --capture 10               # there already: updated
python scripts/deploy.py --target sagemaker --name okkhor --delete
python scripts/deploy.py RUN --target sagemaker --accelerator inf2                       # writes the compile step

--dry-run prints the requests and sends nothing. An endpoint with instances costs money from the first minute until it
is deleted, whether it is asked or not.
"""

import argparse
import json
import os
import re
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from okkhor.serving.sagemaker.wanted import Wanted

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("OKKHOR_ROOT", str(ROOT))
sys.path.insert(0, str(ROOT / "serve"))  # choosing.py: what a RUN and a --format mean


def main() -> None:
    arguments = _parser().parse_args()

    from okkhor.errors import InputError
    from okkhor.serving.sagemaker.wanted import check_accelerator

    if arguments.accelerator is not None:
        check_accelerator(arguments.accelerator)
    wanted = _wanted(arguments)
    wanted.check()
    if arguments.delete and arguments.models:
        raise InputError(f"--delete: takes --name, no RUN such as {arguments.models[0]}")
    if not (arguments.delete or arguments.models or arguments.archive):
        raise InputError("no RUN; expected a run directory or a bundle, see --help")
    if arguments.accelerator is not None and arguments.archive is None:
        _write_compile_step(arguments)
    elif arguments.dry_run:
        _print_requests(arguments, wanted)
    else:
        _talk_to_aws(arguments, wanted)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("models", nargs="*", metavar="RUN", help="a run directory or a bundle; of several models NAME=RUN …")
    add("--target", required=True, choices=["sagemaker"], help="where to")
    add("--name", default="okkhor", help="of the endpoint; default: okkhor")
    add("--mode", help="real-time (default), serverless, async, multi-model; of an existing endpoint it stays")
    add("--format", default="onnx", help="of the bundle; a run's is exported if need be; default: onnx")
    add("--trust", action="store_true", help="take formats that are code, of a bundle that you made")
    add("--role", help="ARN or name of the role that the endpoint takes on")
    add("--bucket", help="for archives and captured data: NAME, or s3://NAME/PREFIX")
    add("--stack", help="a CloudFormation stack of infra/cloudformation.yaml that says both")
    add("--region", help="default: as AWS_REGION or your AWS profile says")
    add("--image", help="of the container; default: Amazon's for PyTorch 2.6 and the instance type")
    add("--archive", type=Path, help="a model.tar.gz that is made already, in place of the RUN's")
    add("--instance-type", help="default: ml.m5.large")
    add("--count", type=int, help="instances; default: 1, or MIN of --scale")
    add("--workers", type=int, help="processes an instance that answer; default: one a processor")
    add("--memory", type=int, help="of serverless, in MB: 1024, 2048 … 6144; default: 3072")
    add("--concurrency", type=int, help="of serverless: requests at a time, 1 to 200; default: 5")
    add(
        "--capture",
        type=int,
        metavar="PERCENT",
        help="keep this share of questions and answers in the bucket; 0 ends it",
    )
    add("--scale", metavar="MIN,MAX", help="auto scaling between so many instances; from 0 with --mode async")
    add("--load", type=float, help="requests a minute for one instance; of async: requests that wait")
    add(
        "--shift", default="all", help="of an update: all, canary:PERCENT:SECONDS, linear:PERCENT:SECONDS; default: all"
    )
    add("--bake", type=int, default=0, metavar="SECONDS", help="that an update keeps the old instances; default: 0")
    add("--subnets", default="", help="comma-separated, for an endpoint in your VPC")
    add("--security-groups", default="", help="comma-separated, with --subnets")
    add("--kms-key", help="encrypts the instances' disks")
    add(
        "--isolated",
        action="store_true",
        help="no network in the container; needs an --image of your own, or torchscript",
    )
    add("--tag", action="append", default=[], metavar="KEY=VALUE", help="on all that is made; repeatable")
    add("--accelerator", help="inf2: writes what compiles the model for it (not run here; see docs/sagemaker.md)")
    add("--out", type=Path, help="folder of that step; default: archives/neuron")
    add("--dry-run", action="store_true", help="print the requests, checked; send nothing")
    add("--delete", action="store_true", help="remove the endpoint, and all that was made for it")
    return parser


def _wanted(arguments: argparse.Namespace) -> "Wanted":
    from okkhor.errors import InputError
    from okkhor.serving.sagemaker.wanted import Scaling, Wanted

    if arguments.load is not None and arguments.scale is None:
        raise InputError(f"--load={arguments.load:g}: goes with --scale MIN,MAX")
    tags = dict(tag.partition("=")[::2] for tag in arguments.tag)
    for tag in arguments.tag:
        if not re.fullmatch(r"[^=]+=.*", tag):
            raise InputError(f"--tag={tag}: expected KEY=VALUE")
    scaling = Scaling.read(arguments.scale, arguments.load) if arguments.scale is not None else None
    same = ("name", "mode", "instance_type", "count", "memory", "concurrency", "capture", "workers", "kms_key",
            "isolated", "shift", "bake")  # fmt: skip
    listed = {key: tuple(filter(None, getattr(arguments, key).split(","))) for key in ("subnets", "security_groups")}
    said = {key: getattr(arguments, key) for key in same}
    if arguments.accelerator is not None:
        said["instance_type"] = said["instance_type"] or "ml.inf2.xlarge"
    return Wanted(**said, **listed, scaling=scaling, tags=tags)


def _print_requests(arguments: argparse.Namespace, wanted: "Wanted") -> None:
    from okkhor.aws.calling import open_session
    from okkhor.errors import InputError
    from okkhor.serving.sagemaker import endpoint, requests
    from okkhor.serving.sagemaker.wanted import INSTANCE_TYPE

    if arguments.delete or arguments.stack:
        option = "--delete" if arguments.delete else "--stack"
        raise InputError(f"{option}: needs calls to AWS, and --dry-run makes none; expected --role and --bucket")
    mode = wanted.mode or "real-time"
    wanted.check_mode(mode)
    region = open_session(arguments.region).region_name
    image = _image(arguments, region, None if mode == "serverless" else wanted.instance_type or INSTANCE_TYPE)
    placed = _placed(arguments, wanted, mode, image, _full_role(arguments.role), arguments.bucket)
    sent = [vars(call) for call in endpoint.planned(placed, mode)]
    update = requests.update(placed, mode, scaled=False).check()
    told = {"if_it_is_new": sent, "in_place_of_CreateEndpoint_if_it_exists": vars(update)}
    _check_format(arguments, placed, mode)
    print(json.dumps(told, indent=2, ensure_ascii=False))


def _talk_to_aws(arguments: argparse.Namespace, wanted: "Wanted") -> None:
    from okkhor.aws.calling import one_line, open_session
    from okkhor.serving.sagemaker import endpoint, existing
    from okkhor.serving.sagemaker.image import untried
    from okkhor.serving.sagemaker.wanted import INSTANCE_TYPE

    session = open_session(arguments.region)
    with one_line(f"--name={wanted.name}"):
        if arguments.delete:
            endpoint.delete(session, wanted.name, say=_say)
            return
        there = existing.find(session, wanted.name)
        mode = wanted.mode or (there.mode if there else "real-time")
        wanted.check_mode(mode)
        if there:
            endpoint.check_there(there, mode)
            wanted = existing.carried(wanted, there)
        role, bucket = _account(arguments, session, there)
        kind = (
            None if mode == "serverless" else wanted.instance_type or (there and there.instance_type) or INSTANCE_TYPE
        )
        same = there and kind == there.instance_type and not arguments.image
        image = there.container["Image"] if same else _image(arguments, session.region_name, kind)
        placed = _placed(arguments, wanted, mode, image, role, bucket)
        if there:
            placed = replace(placed, store=there.store, archive=endpoint.archive_of(there.store, placed.stamp, mode))
        with tempfile.TemporaryDirectory(prefix="okkhor-deploy-") as scratch:
            _check_format(arguments, placed, mode)
            if note := untried(placed.image, mode):
                _say(note)
            archives = _archives(arguments, mode, Path(scratch))
            endpoint.deploy(session, placed, mode, there, archives, say=_say)
    how = {"async": " --async", "multi-model": f" --model {next(iter(archives))}"}.get(mode, "")
    _say(f"{wanted.name} is in service; python scripts/invoke.py image.png --endpoint {wanted.name}{how}")


def _account(arguments: argparse.Namespace, session: Any, there: Any) -> tuple[str, str]:
    """Role and bucket: as they were named, as a stack says, as they are."""
    from okkhor.errors import InputError
    from okkhor.serving.sagemaker import account

    role, bucket = arguments.role, arguments.bucket
    if arguments.stack:
        said = account.of_stack(session, arguments.stack)
        role, bucket = role or said.role, bucket or said.bucket
    if there:
        if bucket and not there.store.uri.startswith(f"s3://{bucket.removeprefix('s3://').strip('/')}/"):
            raise InputError(f"--bucket={bucket}: {there.name} has its files below {there.store.uri}; leave it out")
        role, bucket = role or there.model["ExecutionRoleArn"], there.store.bucket
    for option, value in {"--role": role, "--bucket": bucket}.items():
        if not value:
            raise InputError(f"{option}: missing; expected it, or --stack NAME of a stack of infra/cloudformation.yaml")
    return account.role_arn(session, role), bucket


def _full_role(role: str | None) -> str:
    from okkhor.errors import InputError

    if not (role or "").startswith("arn:"):
        raise InputError(f"--role={role}: expected with --dry-run the whole ARN, arn:aws:iam::123456789012:role/NAME")
    return str(role)


def _placed(
    arguments: argparse.Namespace, wanted: "Wanted", mode: str, image: str, role: str, bucket: str | None
) -> Any:
    from okkhor.errors import InputError
    from okkhor.serving.sagemaker import endpoint
    from okkhor.serving.sagemaker.requests import Placed
    from okkhor.serving.sagemaker.wanted import Store

    if not bucket:
        raise InputError("--bucket: missing; expected the name of a bucket, or s3://bucket/prefix")
    store, at = Store.of(bucket, wanted.name), endpoint.stamp()
    return Placed(wanted, store, at, image, role, endpoint.archive_of(store, at, mode))


def _image(arguments: argparse.Namespace, region: str, instance_type: str | None) -> str:
    from okkhor.serving.sagemaker.image import image_for

    return arguments.image or image_for(region, instance_type)


def _check_format(arguments: argparse.Namespace, placed: Any, mode: str) -> None:
    from okkhor.serving.sagemaker.image import check_format

    if arguments.archive is None:
        check_format(arguments.format, placed.image, mode=mode, isolated=placed.wanted.isolated)


def _archives(arguments: argparse.Namespace, mode: str, scratch: Path) -> dict[str, Path]:
    """A model.tar.gz for each model, by its name; of the only one that does not matter."""
    from choosing import chosen_bundle

    from okkhor.errors import InputError
    from okkhor.serving.archives.sagemaker import write_sagemaker

    named = _names(arguments.models, mode)
    if arguments.archive is not None:
        if not arguments.archive.is_file():
            raise InputError(f"--archive={arguments.archive}: no such file; expected a model.tar.gz")
        if len(named) > 1:
            raise InputError(f"--archive={arguments.archive}: one model, and {len(named)} are named")
        return {next(iter(named), "model"): arguments.archive}
    bundles = {name: chosen_bundle(path, arguments.format, trust=arguments.trust) for name, path in named.items()}
    return {name: write_sagemaker(bundle, arguments.format, scratch / name) for name, bundle in bundles.items()}


def _names(typed: list[str], mode: str) -> dict[str, Path]:
    """NAME=RUN; the name is the folder's where there is none."""
    from okkhor.errors import InputError

    found: dict[str, Path] = {}
    if len(typed) > 1 and mode != "multi-model":
        raise InputError(f"{len(typed)} models: one an endpoint, unless --mode multi-model")
    for word in typed:
        name, _, path = word.partition("=") if "=" in word and not Path(word).exists() else ("", "", word)
        name = name or Path(path).expanduser().resolve().name
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,99}", name, re.ASCII):
            raise InputError(f"{word}: {name!r} is no name for a model; expected letters, digits, . _ and -: NAME=RUN")
        if name in found:
            raise InputError(f"{word}: two models named {name}; expected a name for each: NAME=RUN")
        found[name] = Path(path)
    return found


def _write_compile_step(arguments: argparse.Namespace) -> None:
    from choosing import chosen_bundle

    from okkhor.errors import InputError
    from okkhor.serving.sagemaker.neuron import write_compile_step

    if len(arguments.models) != 1:
        raise InputError("--accelerator: expected one RUN")
    out = arguments.out or Path("archives") / "neuron"
    bundle = chosen_bundle(arguments.models[0], "safetensors")
    print(write_compile_step(bundle, out))


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    from okkhor.launching.exits import one_line_errors

    with one_line_errors():
        main()
