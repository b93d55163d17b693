"""What the hosts of a job of the local AWS find, and the process that they run in.

A double of the agent on Amazon's machines: it lays out /opt/ml and starts the container; see `machine.py` for the rest.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlparse

ROOT = Path(__file__).resolve().parents[2]
MACHINE = Path(__file__).with_name("machine.py")
UNSHARE = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]


class Account(Protocol):
    """What a job needs of the local AWS that it runs in."""

    grace: float
    url: str
    socket: Path
    container_environment: dict[str, str]

    def client(self, service: str) -> Any: ...


def lay_out(request: dict[str, Any], host: str, hosts: list[str], place: Path) -> None:
    """A host's /opt/ml without its data, and the files that `machine.py` needs beside it.

    https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
    """
    ml = place / "ml"
    for name in ("input/config", "input/data", "model", "output/data", "checkpoints"):
        (ml / name).mkdir(parents=True)
    (place / "stage").mkdir()
    (place / "hosts").write_text(f"127.0.0.1 localhost {' '.join(hosts)}\n")
    channels = {
        channel["ChannelName"]: {
            "TrainingInputMode": mode(request, channel),
            "S3DistributionType": channel["DataSource"]["S3DataSource"].get(
                "S3DataDistributionType", "FullyReplicated"
            ),
            "RecordWrapperType": "None",
        }
        for channel in request.get("InputDataConfig") or []
    }
    group = {"instance_group_name": "homogeneousCluster", "instance_type": request["ResourceConfig"]["InstanceType"]}
    resources = {
        "current_host": host,
        "current_instance_type": group["instance_type"],
        "current_group_name": group["instance_group_name"],
        "hosts": hosts,
        "instance_groups": [{**group, "hosts": hosts}],
        "network_interface_name": "lo",
    }
    written = {
        "hyperparameters": request.get("HyperParameters") or {},
        "inputdataconfig": channels,
        "resourceconfig": resources,
    }
    for name, content in written.items():
        (ml / "input" / "config" / f"{name}.json").write_text(json.dumps(content))


def mode(request: dict[str, Any], channel: dict[str, Any]) -> str:
    """File or FastFile, of a channel."""
    return channel.get("InputMode") or request["AlgorithmSpecification"]["TrainingInputMode"]


def start(
    account: Account, request: dict[str, Any], arn: str, hosts: dict[str, Path], folder: Path
) -> subprocess.Popen:
    """Start the containers; the process takes `stop` and `kill`, and tells how each host ended."""
    algorithm, name = request["AlgorithmSpecification"], request["TrainingJobName"]
    own = {"TRAINING_JOB_NAME": name, "TRAINING_JOB_ARN": arn, **(request.get("Environment") or {})}
    channels = request.get("InputDataConfig") or []
    description = {
        "hosts": {host: str(place) for host, place in hosts.items()},
        # without an entry point a request means what its image runs: in Amazon's, sagemaker-training's `train`
        "command": [*algorithm.get("ContainerEntrypoint", ["train"]), *algorithm.get("ContainerArguments", [])],
        "environment": {**account.container_environment, **own},
        "grace": account.grace,
        "read_only": [f"input/data/{one['ChannelName']}" for one in channels if mode(request, one) == "FastFile"],
        "hidden": hidden_folders(),
        "kept": kept_folders(),
        "endpoint": {"port": urlparse(account.url).port, "socket": str(account.socket)},
    }
    if request.get("EnableNetworkIsolation"):
        description["endpoint"] = None
    path = folder / "job.json"
    path.write_text(json.dumps(description))
    return subprocess.Popen(
        [*UNSHARE, sys.executable, str(MACHINE), str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd="/",
    )


def hidden_folders() -> list[str]:
    """Folders of this computer that no container sees: this checkout and where files are for a while; those last."""
    places = [ROOT, Path("/tmp"), Path(tempfile.gettempdir()).resolve()]
    outer = [one for one in places if not any(one != other and one.is_relative_to(other) for other in places)]
    return [str(one) for one in dict.fromkeys(outer)]


def kept_folders() -> list[str]:
    """What of those a container does see: the environments of Python, in place of its image."""
    servers = ROOT / ".servers"
    candidates = {Path(sys.prefix), Path(sys.base_prefix), servers.resolve()}
    return sorted(str(path) for path in candidates if path.is_dir())


def container_path() -> str:
    """The PATH of a container: this environment, then Amazon's toolkit where it is installed."""
    toolkit = ROOT / ".servers" / "training" / "bin"
    return os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin", str(toolkit)])


def can_unshare() -> str | None:
    """Why jobs cannot run here, None where they can."""
    if not sys.platform.startswith("linux") or shutil.which("unshare") is None:
        return "the local AWS runs jobs in namespaces of Linux, with `unshare`; there is none here"
    words = ["unshare", "--net", "--pid", "--fork", "--mount", "--uts", "--mount-proc", "true"]
    tried = subprocess.run(words, capture_output=True, text=True, check=False)
    return None if tried.returncode == 0 else f"the local AWS needs namespaces: {tried.stderr.strip()}"
