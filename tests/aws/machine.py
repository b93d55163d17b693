"""The machines of one job of the local AWS, in namespaces of this computer's: what Amazon's agent does on its hosts.

A double: SageMaker itself cannot be reached from a test. What it stands in for are the machines, not what runs on
them: each host's container is the real command in a real process, which is process 1 of its own process namespace,
under its own name, with its own /opt/ml, /opt and /tmp. Nothing of this checkout is to be seen in it but the
environments of Python, which are the container's image. The hosts share a network that has a loopback device and
nothing else; there they find each other by name, and the local AWS where network isolation was not asked for.

Run as process 1 of its own process and network namespace: `unshare … python machine.py JOB.json`. It reads `stop`
(SIGTERM to each container's process 1, as `docker stop` does) and `kill` from standard input and ends everything at
its end, so that a test run that is killed leaves nothing; it writes a line for each host that ended to standard output.
Only the standard library: it is a program of its own.
"""

import contextlib
import fcntl
import json
import os
import shlex
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1  # netdevice(7)
POLL_SECONDS = 0.05


class Machines:
    """All hosts of one job, as its JSON says.

    hosts: name -> folder with `ml` (its /opt/ml), `hosts` (its /etc/hosts), `stage` (empty), `log`; command and
    environment: the container's; read_only: folders of /opt/ml that it cannot write to; grace: seconds between SIGTERM
    and SIGKILL; hidden and kept: folders of this computer that the containers do not see, and those inside them that
    they do; endpoint: {port, socket} of the local AWS.
    """

    def __init__(self, job: dict) -> None:
        self.job = job
        self.containers: dict[str, subprocess.Popen] = {}
        self.kill_at: float | None = None
        self.ended: dict[str, int] = {}

    def run(self) -> None:
        loopback_up()
        if endpoint := self.job["endpoint"]:
            relay(endpoint["port"], endpoint["socket"])
        for name, folder in self.job["hosts"].items():
            self.containers[name] = self._start(name, Path(folder))
        threading.Thread(target=self._listen, daemon=True).start()
        while len(self.ended) < len(self.containers):
            for name, container in self.containers.items():
                if name not in self.ended and (code := container.poll()) is not None:
                    self.ended[name] = code
                    print(json.dumps({"host": name, "code": code}), flush=True)
                    if code != 0:  # a job fails with the first of its hosts
                        self.stop()
            if self.kill_at is not None and time.monotonic() > self.kill_at:
                self.kill()
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """SIGTERM to each container's process 1, SIGKILL after the grace."""
        self.kill_at = self.kill_at or time.monotonic() + self.job["grace"]
        for name in self.containers.keys() - self.ended.keys():
            for child in children(self.containers[name].pid):
                os.kill(child, signal.SIGTERM)

    def kill(self) -> None:
        for name in self.containers.keys() - self.ended.keys():
            self.containers[name].kill()  # unshare takes process 1 with it, and that the rest

    def _listen(self) -> None:
        for line in sys.stdin:
            {"stop": self.stop, "kill": self.kill}[line.strip()]()
        os._exit(1)  # who started this has ended: process 1 takes everything with it

    def _start(self, name: str, folder: Path) -> subprocess.Popen:
        script = mounts(folder, self.job["hidden"], self.job["kept"], self.job["read_only"])
        unshare = ["unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]
        with (folder / "log").open("ab") as log:
            return subprocess.Popen(
                [*unshare, "bash", "-ec", f'hostname {name}\n{script}\nexec "$@"', "bash", *self.job["command"]],
                env=self.job["environment"] | {"CURRENT_HOST": name},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )


def mounts(folder: Path, hidden: list[str], kept: list[str], read_only: list[str]) -> str:
    """A shell script that lays out a host's file system, inside its mount namespace; nothing of it is seen outside.

    Each covering folder is put together in memory, at the host's `stage`, before it covers the one that it stands for;
    the last of `hidden` may hold the stage itself.
    """
    stage = folder / "stage"
    lines = [f"mount -t tmpfs tmpfs {q(stage)}", f"mkdir -p {q(stage / 'opt/ml')}"]
    for entry in sorted(Path("/opt").glob("*")):
        if entry.name != "ml" and entry.is_dir():
            lines += [
                f"mkdir {q(stage / 'opt' / entry.name)}",
                f"mount --rbind {q(entry)} {q(stage / 'opt' / entry.name)}",
            ]
    lines += [
        f"mount --bind {q(folder / 'ml')} {q(stage / 'opt/ml')}",
        f"mount --bind {q(folder / 'hosts')} /etc/hosts",
    ]
    for name in read_only:
        inside = q(stage / "opt/ml" / name)
        lines += [f"mount --bind {inside} {inside}", f"mount -o remount,bind,ro {inside}"]
    covers = []
    for number, place in enumerate(hidden):
        cover = stage / str(number)
        lines.append(f"mkdir -p -m 1777 {q(cover)}")
        for path in map(Path, kept):
            if path.is_relative_to(place):
                lines += [f"mkdir -p {q(cover / path.relative_to(place))}"]
                lines += [f"mount --rbind {q(path)} {q(cover / path.relative_to(place))}"]
        covers.append(f"mount --rbind {q(cover)} {q(place)}")
    lines += ["mount --rbind " + f"{q(stage / 'opt')} /opt", *covers, 'mkdir -p "$HOME"', "cd /"]
    return "\n".join(lines)


def q(path: Path | str) -> str:
    return shlex.quote(str(path))


def children(process: int) -> list[int]:
    with contextlib.suppress(FileNotFoundError):
        return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return []


def loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        request = struct.pack("16sh22x", b"lo", 0)
        flags = struct.unpack("16sh22x", fcntl.ioctl(device, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(device, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | IFF_UP))


def relay(port: int, path: str) -> None:
    """Carry what comes to a port of this network to the Unix socket of the local AWS, which lies outside of it."""
    listener = socket.create_server(("127.0.0.1", port))

    def carry(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(1 << 16):
                target.sendall(piece)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def accept() -> None:
        while True:
            inside, _ = listener.accept()
            outside = socket.socket(socket.AF_UNIX)
            outside.connect(path)
            for pair in ((inside, outside), (outside, inside)):
                threading.Thread(target=carry, args=pair, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


if __name__ == "__main__":
    Machines(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))).run()
