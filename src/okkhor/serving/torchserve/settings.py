"""How TorchServe is set up here: the numbers that make it quick, and the bounds that make it safe."""

import ipaddress
import os
import socket
from dataclasses import dataclass, field
from pathlib import Path

from okkhor.errors import InputError

LOOPBACK = "127.0.0.1"
PORTS = {"inference": 8080, "management": 8081, "metrics": 8082, "grpc_inference": 7070, "grpc_management": 7071}
MAX_REQUEST = 8 << 20  # bytes; a full queue of them must fit into the memory below
QUEUE = 100  # requests that wait for a worker, of each model version; one more is answered 503
MEMORY = "1g"  # of the Java process
RESPONSE_SECONDS = 120  # a worker that takes longer is killed; the handler bounds its work to much less
TOKEN_MINUTES = 30 * 24 * 60


def usable_cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Settings:
    """What can be chosen.

    host: an address that inference listens on; management, metrics and gRPC stay on loopback, and another host wants
    tokens; ports: of each service, 0 is a free one; workers: processes of a model version, each computes with one
    thread; batch_size, max_batch_delay: requests that go through the network together, milliseconds to wait for them.
    """

    host: str = LOOPBACK
    ports: dict[str, int] = field(default_factory=lambda: dict(PORTS))
    workers: int = field(default_factory=usable_cores)
    batch_size: int = 8
    max_batch_delay: int = 1

    def __post_init__(self) -> None:
        try:
            ipaddress.IPv4Address(self.host)
        except ValueError as error:
            expected = "expected an IPv4 address such as 127.0.0.1, or 0.0.0.0 for all of this machine's"
            raise InputError(f"--host={self.host}: {expected}") from error
        for name, value, least, most in (
            ("workers", self.workers, 1, 1024),
            ("batch-size", self.batch_size, 1, 64),
            ("max-batch-delay", self.max_batch_delay, 1, 10_000),
        ):
            if not least <= value <= most:
                raise InputError(f"--{name}={value}: expected a whole number from {least} to {most}")

    @property
    def tokens(self) -> bool:
        """Whether requests need a token: where others can reach the server."""
        return not ipaddress.IPv4Address(self.host).is_loopback

    def free(self) -> "Settings":
        """The same with a free port for every 0; raises InputError when a port is taken."""
        held: list[socket.socket] = []
        found: dict[str, int] = {}
        try:
            for name, port in self.ports.items():
                if not 0 <= port < 65536:
                    raise InputError(f"port {port}: expected a number from 0 to 65535")
                held.append(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
                held[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    held[-1].bind((self.host if name == "inference" else LOOPBACK, port))
                except OSError as error:
                    reason = f"{self.host}:{port} ({name}) cannot be listened on: {error.strerror}"
                    raise InputError(f"{reason}; --port 0 takes free ones") from error
                found[name] = held[-1].getsockname()[1]
        finally:
            for one in held:
                one.close()
        return Settings(self.host, found, self.workers, self.batch_size, self.max_batch_delay)

    def url(self, service: str) -> str:
        """Where this machine finds a service."""
        host = self.host if service == "inference" and self.host != "0.0.0.0" else LOOPBACK
        return f"http://{host}:{self.ports[service]}"


def properties(settings: Settings, store: Path, metrics: Path) -> str:
    """TorchServe's configuration file; store: of model archives; metrics: what it counts."""
    chosen = {
        "inference_address": f"http://{settings.host}:{settings.ports['inference']}",
        "management_address": f"http://{LOOPBACK}:{settings.ports['management']}",
        "metrics_address": f"http://{LOOPBACK}:{settings.ports['metrics']}",
        "grpc_inference_address": LOOPBACK,
        "grpc_management_address": LOOPBACK,
        "grpc_inference_port": settings.ports["grpc_inference"],
        "grpc_management_port": settings.ports["grpc_management"],
        "model_store": store,  # serve/start.py registers models, and waits for their workers
        # archives from elsewhere run code here: CVE-2023-43654
        "allowed_urls": f"file://{_literally(store)}/[A-Za-z0-9_.-]+",
        "use_env_allowed_urls": "false",
        "enable_envvars_config": "false",
        "enable_model_api": "true",
        "disable_token_authorization": str(not settings.tokens).lower(),
        "token_expiration_min": TOKEN_MINUTES,
        "install_py_dep_per_model": "false",
        "decode_input_request": "false",  # our own reading of JSON says what is wrong with it
        "max_request_size": MAX_REQUEST,
        "max_response_size": 64 << 20,
        "job_queue_size": QUEUE,
        "default_workers_per_model": settings.workers,
        "default_response_timeout": RESPONSE_SECONDS,
        "default_startup_timeout": RESPONSE_SECONDS,
        "unregister_model_timeout": RESPONSE_SECONDS,
        "metrics_config": metrics,
        "metrics_mode": "prometheus",
        "disable_system_metrics": "true",  # else another process is started every minute
        "number_of_gpu": 0,
    }
    # backslashes are escapes in this format
    lines = (f"{key}={value!s}".replace("\\", "\\\\") for key, value in chosen.items())
    return "# written by serve/start.py\n" + "\n".join(lines) + "\n"


def _literally(path: Path) -> str:
    """A path as a regular expression of Java that matches nothing else."""
    return "".join(letter if letter.isalnum() or letter in "/_-" else f"\\{letter}" for letter in str(path))
