"""TorchServe's process: started, waited for, ended with all its workers."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext

import psutil

from okkhor.errors import InputError
from okkhor.serving.archives.torchserve import SERVE
from okkhor.serving.torchserve.java import find_jars, find_java, mended_classes
from okkhor.serving.torchserve.management import Management, RefusedByServerError
from okkhor.serving.torchserve.settings import MEMORY, Settings, properties
from okkhor.serving.torchserve.state import Running, ServeFolder

START_SECONDS = 60.0
STOP_SECONDS = 20.0
OUTPUT = "server.log"  # in the folder of logs: what Java itself prints


def start(
    folder: ServeFolder, settings: Settings, *, foreground: bool = False, say: Callable[[str], None] = print
) -> Running:
    """Start TorchServe without models, and wait until its management API answers.

    foreground: it dies with this process, and writes to its output what goes into the logs. say: what a person should
    know. Raises InputError when Java or TorchServe is missing, when a port is taken, when a server runs in this folder
    already, or when the server ends at once.
    """
    java, jars = find_java(), find_jars()
    folder.make()
    if found := folder.read():
        if found.process():
            raise InputError(f"a server runs already at {found.urls['inference']}; `make stop` ends it")
        folder.clear(found)
    settings = settings.free()
    scratch = tempfile.mkdtemp(prefix="okkhor-")  # short: names of sockets have at most 107 letters
    classes = folder.path / "classes"
    if not mended_classes(java, jars, classes):
        say("Java has no compiler here (a JDK has): malformed forms will be answered 500 instead of 400")
    config = folder.path / "config.properties"
    config.write_text(properties(settings, folder.store, SERVE / "metrics.yaml"), encoding="utf-8")
    words = [
        java, f"-Xmx{MEMORY}", f"-Djava.io.tmpdir={scratch}", f"-Dmodel_server_home={jars.parent.parent}",
        f"-Dlog4j.configurationFile={(SERVE / 'log4j2.xml').as_uri()}", f"-Dokkhor.logs={folder.logs}",
        f"-Dokkhor.console={'INFO' if foreground else 'ERROR'}",
        "-cp", f"{classes}:{jars}/*", "org.pytorch.serve.ModelServer",
        "--python", sys.executable, "-f", str(config), "-s", str(folder.store), "-ncs",
    ]  # fmt: skip
    if foreground:
        words = [sys.executable, "-m", "okkhor.serving.torchserve.tethered", str(os.getpid()), *words]
    with nullcontext() if foreground else (folder.logs / OUTPUT).open("wb") as output:
        process = subprocess.Popen(
            words, cwd=folder.path, env=_environment(scratch), stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT if output else None, start_new_session=True,
        )  # fmt: skip
    running = Running(
        pid=process.pid,
        created=psutil.Process(process.pid).create_time(),
        host=settings.host,
        ports=settings.ports,
        urls={name: settings.url(name) for name in ("inference", "management", "metrics")},
        tokens=str(folder.path / "key_file.json") if settings.tokens else None,
        scratch=scratch,
        workers=settings.workers,
        batch_size=settings.batch_size,
        max_batch_delay=settings.max_batch_delay,
    )
    folder.write(running)
    try:
        _wait(folder, running, process, "what it said stands above" if foreground else None)
    except BaseException:
        stop(folder)
        raise
    return running


def stop(folder: ServeFolder) -> bool:
    """End the server of this folder and its workers, and clean up; False when none ran."""
    found = folder.read()
    if found is None:
        return False
    process = found.process()
    if process is not None:
        family = [process, *_children(process)]
        _signal(family[:1], "terminate")
        psutil.wait_procs(family, timeout=STOP_SECONDS)
        family += [child for one in family if one.is_running() for child in _children(one)]
        _signal(family, "kill")
        psutil.wait_procs(family, timeout=STOP_SECONDS)
    folder.clear(found)
    return process is not None


def _wait(folder: ServeFolder, running: Running, process: subprocess.Popen, said: str | None) -> None:
    give_up = time.monotonic() + START_SECONDS
    while True:
        if process.poll() is not None:
            raise InputError(f"TorchServe ended at once: {said or _last_words(folder)}; more in {folder.logs}")
        try:
            Management(running).names()
            return
        except (InputError, RefusedByServerError):
            if time.monotonic() > give_up:
                raise
        time.sleep(0.1)


def _last_words(folder: ServeFolder) -> str:
    lines = (folder.logs / OUTPUT).read_text(encoding="utf-8", errors="replace").splitlines()
    telling = [line for line in lines if line.strip() and not line.startswith(("\tat ", "\t..."))]
    return telling[-1].strip() if telling else "it said nothing"


def _environment(scratch: str) -> dict[str, str]:
    """Of the server and its workers: one thread each, and none of the variables that change TorchServe's settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TS_")}
    return kept | {"TEMP": scratch, "TMPDIR": scratch, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _signal(processes: list[psutil.Process], how: str) -> None:
    for process in processes:
        try:
            getattr(process, how)()
        except psutil.NoSuchProcess:
            continue
