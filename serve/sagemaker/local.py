"""Serve a model.tar.gz with SageMaker's own inference toolkit on this machine, without Docker; Ctrl-C ends it.

make setup-servers
.servers/sagemaker/bin/python serve/sagemaker/local.py archives/model.tar.gz --dir FOLDER --port 8085
"""

import argparse
import os
import sys
import tarfile
from pathlib import Path

LOOPBACK = "127.0.0.1"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path, help="model.tar.gz of serve/archive.py --target sagemaker")
    parser.add_argument("--dir", type=Path, required=True, help="stands for /opt/ml of the container")
    parser.add_argument("--port", type=int, nargs="+", default=[8085], help="and three more, default: the next")
    arguments = parser.parse_args()
    base = arguments.dir.absolute()
    for name in ("model", "run", "tmp"):
        (base / name).mkdir(parents=True, exist_ok=True)
    with tarfile.open(arguments.archive) as archive:
        archive.extractall(base / "model", filter="data")
    os.chdir(base / "run")  # logs and the toolkit's own files
    ports = (arguments.port * 4)[:4] if len(arguments.port) == 4 else [arguments.port[0] + i for i in range(4)]
    os.environ.update(
        SAGEMAKER_BASE_DIR=str(base),
        SAGEMAKER_PROGRAM="inference.py",
        SAGEMAKER_BIND_TO_PORT=str(ports[0]),
        SAGEMAKER_MODEL_SERVER_WORKERS=os.environ.get("SAGEMAKER_MODEL_SERVER_WORKERS", str(os.cpu_count() or 1)),
        TEMP=str(base / "tmp"),
        OMP_NUM_THREADS="1",
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
    serving.main()


if __name__ == "__main__":
    main()
