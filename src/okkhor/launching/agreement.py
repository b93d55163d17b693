"""Ranks that a person's own torchrun started agree on one run directory: the first makes it, the others take it.

torchrun --nproc-per-node=2 train.py trainer=ddp_sim
"""

import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from okkhor.atomic import write_atomically
from okkhor.errors import InputError
from okkhor.runs import Run

WAIT_SECONDS = 300
UNDER_MPI = "OMPI_COMM_WORLD_RANK"


def is_rank() -> bool:
    """Whether torchrun, the agent here or mpirun (which SageMaker's smddprun is) started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ or UNDER_MPI in os.environ


def agreed_run(make: Callable[[], Run]) -> Run:
    """The one run of all ranks of this torchrun. make: creates it, on the first rank alone.

    The ranks meet in the store that torchrun's agent keeps; after a restart they find the same run there. On a
    machine that does not share the first one's disk its directory is made again, with the same configuration.
    Raises InputError under mpirun, whose ranks have no such store.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        raise InputError("resume: under mpirun the ranks cannot agree on a new run; expected resume=<run directory>")
    from torch.distributed import PrefixStore, TCPStore

    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    kept_by_agent = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    first = int(os.environ["RANK"]) == 0
    tcp = TCPStore(
        address, port, is_master=first and not kept_by_agent, timeout=timedelta(seconds=WAIT_SECONDS), multi_tenant=True
    )
    store = PrefixStore("okkhor/run", tcp)
    if first and not store.check(["path"]):
        run = make()
        store.set("config", (run.path / "config.yaml").read_text(encoding="utf-8"))
        store.set("path", str(run.path))
    path = Path(store.get("path").decode())
    if int(os.environ["LOCAL_RANK"]) == 0 and not (path / "config.yaml").is_file():
        for folder in ("checkpoints", "logs", "report"):
            (path / folder).mkdir(parents=True, exist_ok=True)
        write_atomically(path / "config.yaml", store.get("config").decode())
    deadline = time.monotonic() + WAIT_SECONDS
    while not (path / "config.yaml").is_file() and time.monotonic() < deadline:
        time.sleep(0.05)
    return Run.open(path)
