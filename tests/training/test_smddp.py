"""SageMaker's data-parallel library cannot exist here: a stand-in module registers a back end `smddp` over gloo."""

import os
from pathlib import Path

import pytest

from okkhor.errors import InputError
from okkhor.runs import Run
from okkhor.training.smddp import SageMakerEnvironment, check_smddp

STAND_IN = """
import os
from pathlib import Path

import torch.distributed as dist


def group(store, rank, size, timeout):
    (Path(os.environ["STAND_IN_SEEN"]) / f"{rank}-of-{size}").touch()
    return dist.ProcessGroupGloo(store, rank, size, timeout=timeout)


dist.Backend.register_backend("smddp", group, devices=["cpu"])
"""
TORCHRUN = {
    "RANK": "5", "LOCAL_RANK": "1", "WORLD_SIZE": "8", "GROUP_RANK": "2",
    "MASTER_ADDR": "algo-1", "MASTER_PORT": "29500",
}  # fmt: skip
SMDDPRUN = {
    "OMPI_COMM_WORLD_RANK": "5", "OMPI_COMM_WORLD_LOCAL_RANK": "1", "OMPI_COMM_WORLD_SIZE": "8",
    "SM_CURRENT_HOST_RANK": "2", "SM_MASTER_ADDR": "algo-1",
}  # fmt: skip


@pytest.mark.parametrize(("variables", "port"), [(TORCHRUN, 29500), (SMDDPRUN, 7777)])
def test_the_environment_is_read_as_either_launcher_sets_it(variables, port):
    place = SageMakerEnvironment(variables)
    assert (place.global_rank(), place.local_rank(), place.world_size(), place.node_rank()) == (5, 1, 8, 2)
    assert (place.main_address, place.main_port) == ("algo-1", port)
    assert place.creates_processes_externally


def test_another_number_of_processes_than_were_started_is_refused():
    place = SageMakerEnvironment(TORCHRUN)
    place.set_world_size(8)
    with pytest.raises(InputError, match="16 processes in all are wanted, but the launcher started 8"):
        place.set_world_size(16)


@pytest.mark.parametrize("missing", ["RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR"])
def test_what_no_launcher_has_set_is_named(missing):
    with pytest.raises(InputError, match=f"none of {missing}, "):
        SageMakerEnvironment({name: value for name, value in TORCHRUN.items() if name != missing})


def test_absent_is_one_line_before_any_data_is_read(command, tiny, tmp_path):
    with pytest.raises(InputError, match=r"smdistributed.dataparallel is not installed.*; use trainer=ddp"):
        check_smddp()
    done = command("train.py", *tiny, "trainer=smddp", "data.dir=/nowhere/at/all")
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: trainer=smddp: smdistributed.dataparallel is not installed")
    assert not list((tmp_path / "runs").glob("*/*"))


@pytest.mark.serial
def test_two_processes_train_over_the_back_end_and_get_what_gloo_gets(command, tiny, tmp_path):
    module = tmp_path / "packages" / "smdistributed" / "dataparallel" / "torch"
    module.mkdir(parents=True)
    (module / "torch_smddp.py").write_text(STAND_IN)
    seen = tmp_path / "seen"
    seen.mkdir()
    paths = os.pathsep.join(filter(None, [str(tmp_path / "packages"), os.environ.get("PYTHONPATH", "")]))
    on_cpu = ["trainer.accelerator=cpu", "trainer.devices=2", "+trainer.limit_train_batches=6", "trainer.max_epochs=2"]
    words = [word for word in tiny if "trainer" not in word]
    done = command(
        "train.py", *words, "trainer=smddp", *on_cpu, "trainer.sync_batchnorm=false", "name=smddp",
        PYTHONPATH=paths, STAND_IN_SEEN=str(seen),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in seen.iterdir()) == ["0-of-2", "1-of-2"]
    gloo = command("train.py", *words, "trainer=ddp_sim", *on_cpu[1:], "name=gloo")
    assert gloo.returncode == 0, gloo.stderr
    assert curve(tmp_path / "runs" / "smddp") == curve(tmp_path / "runs" / "gloo")


def curve(folder: Path) -> str:
    (path,) = folder.iterdir()
    return (Run.open(path).logs / "metrics.csv").read_text()
