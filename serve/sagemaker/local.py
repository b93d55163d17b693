"""Serve a model.tar.gz with SageMaker's own inference toolkit on this machine, without Docker; Ctrl-C ends it.

make setup-servers
.servers/sagemaker/bin/python serve/sagemaker/local.py archives/sagemaker/model.tar.gz --dir FOLDER --port 8085

Without an archive it is the container of a multi-model endpoint: models are loaded by POST /models, as SageMaker does.
"""

import argparse
import os
import signal
import sys
import tarfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

LOOPBACK = "127.0.0.1"
MARK = "OKKHOR_TOOLKIT"  # in the environment of every process of this server: its folder
JAVA = "org.pytorch.serve.ModelServer"
START_SECONDS = 60
END_SECONDS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path, nargs="?", help="model.tar.gz of serve/archive.py --target sagemaker")
    parser.add_argument("--dir", type=Path, required=True, help="stands for /opt/ml of the container")
    parser.add_argument("--port", type=int, nargs="+", default=[8085], help="and three more, default: the next")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="default: one a processor")
    arguments = parser.parse_args()
    base = arguments.dir.absolute()
    for name in ("model", "run", "tmp"):
        (base / name).mkdir(parents=True, exist_ok=True)
    if arguments.archive:
        with tarfile.open(arguments.archive) as archive:
            archive.extractall(base / "model", filter="data")
    else:
        os.environ["SAGEMAKER_MULTI_MODEL"] = "true"  # SageMaker sets it; read at import
    os.chdir(base / "run")  # logs and the toolkit's own files
    ports = (arguments.port * 4)[:4] if len(arguments.port) == 4 else [arguments.port[0] + i for i in range(4)]
    os.environ.update(
        {MARK: str(base)},
        SAGEMAKER_BASE_DIR=str(base),
        SAGEMAKER_PROGRAM="inference.py",
        SAGEMAKER_BIND_TO_PORT=str(ports[0]),
        SAGEMAKER_MODEL_SERVER_WORKERS=str(arguments.workers),
        TEMP=str(base / "tmp"),
        OMP_NUM_THREADS="1",
        PIP_DISABLE_PIP_VERSION_CHECK="1",  # it looks for requirements.txt of the archive, which setup has installed
        PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",  # it calls `torchserve`
        # the environment wins over the toolkit's own file, which would listen to everybody
        TS_INFERENCE_ADDRESS=f"http://{LOOPBACK}:{ports[0]}",
        TS_MANAGEMENT_ADDRESS=f"http://{LOOPBACK}:{ports[0]}",
        TS_METRICS_ADDRESS=f"http://{LOOPBACK}:{ports[1]}",
        TS_GRPC_INFERENCE_PORT=str(ports[2]),
        TS_GRPC_MANAGEMENT_PORT=str(ports[3]),
    )

    from sagemaker_pytorch_serving_container import serving, torchserve

    torchserve.TS_CONFIG_FILE = str(base / "sagemaker-ts.properties")  # in the container: below /etc
    # it takes any TorchServe of the machine for its own, which is true in a container, and ends that one
    torchserve._retrieve_ts_server_process = lambda: started(base)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # until the toolkit has a handler of its own
    try:
        with suppress(KeyboardInterrupt):
            serving.main()
    finally:
        end(base)


def started(base: Path) -> psutil.Process:
    """The Java process of this server, which cuts loose from what started it; raises TimeoutError."""
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up:
        for process in family(base):
            with suppress(psutil.NoSuchProcess):
                if JAVA in process.cmdline():
                    return process
        time.sleep(0.1)
    raise TimeoutError("TorchServe did not start")


def end(base: Path) -> None:
    """Ask what this server started to end, and kill what does not."""
    for ask in (psutil.Process.terminate, psutil.Process.kill):
        members = family(base)
        for process in members:
            with suppress(psutil.NoSuchProcess):
                ask(process)
        psutil.wait_procs(members, END_SECONDS)


def family(base: Path) -> list[psutil.Process]:
    """The processes that this one started, and theirs."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.pid != os.getpid() and process.environ().get(MARK) == str(base):
                found.append(process)
    return found


if __name__ == "__main__":
    main()
