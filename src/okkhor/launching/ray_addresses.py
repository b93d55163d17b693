"""Where a Ray cluster is, where the machines of a job meet, and what Ray says when one is not there."""

import socket

from okkhor.errors import InputError

CONNECT_SECONDS = 5


def check_listening(address: str) -> None:
    """Raise InputError where nothing answers at HOST:PORT: Ray itself would go on asking for minutes."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or "/" in host:
        return  # auto, local, ray://…: Ray says at once what is wrong with it
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise no_cluster(address, read_error(error)) from None


def no_cluster(address: str | None, why: str) -> InputError:
    return InputError(
        f"launcher.address={address}: no Ray cluster there ({why}); expected HOST:6379, auto on a machine of the "
        "cluster, or null to start Ray here"
    )


def meeting_point() -> tuple[str, int]:
    """Address of this machine and a port that is free on it."""
    import ray

    address = ray.util.get_node_ip_address()
    with socket.socket() as probe:
        probe.bind((address, 0))
        return address, probe.getsockname()[1]


def read_error(error: Exception) -> str:
    """One of Ray's errors in one line: that of the task itself where it had one, without Ray's colors and traceback."""
    cause = getattr(error, "cause", None) or error
    line = (str(cause).strip().splitlines() or [""])[0]
    return f"{type(cause).__name__}: {line}" if line else type(cause).__name__
