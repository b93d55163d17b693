"""`trainer=smddp`: Lightning's DDP over SageMaker's data-parallel library, on P4d and P4de instances.

https://docs.aws.amazon.com/sagemaker/latest/dg/data-parallel-modify-sdp-pt-lightning.html
"""

import os
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec

from pytorch_lightning.plugins.environments import ClusterEnvironment
from pytorch_lightning.strategies import DDPStrategy

from okkhor.errors import InputError

MODULE = "smdistributed.dataparallel.torch.torch_smddp"  # importing it registers the process group back end
# what torchrun and smddprun set, and what the mpirun below smddprun sets
NAMES = {
    "RANK": ("RANK", "OMPI_COMM_WORLD_RANK"),
    "LOCAL_RANK": ("LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_RANK"),
    "WORLD_SIZE": ("WORLD_SIZE", "OMPI_COMM_WORLD_SIZE"),
    "NODE_RANK": ("GROUP_RANK", "SM_CURRENT_HOST_RANK"),
    "ADDRESS": ("MASTER_ADDR", "SM_MASTER_ADDR"),
    "PORT": ("MASTER_PORT", "SM_MASTER_PORT"),
}


class SageMakerEnvironment(ClusterEnvironment):
    """Where a rank stands, read from what SageMaker's launchers (torchrun, or smddprun over mpirun) set.

    environment: the process's own by default. Raises InputError for what none of them has set.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.environment = os.environ if environment is None else environment
        for what in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "ADDRESS"):
            self._value(what)

    @staticmethod
    def detect() -> bool:
        return "SM_CURRENT_HOST" in os.environ and any(name in os.environ for name in NAMES["RANK"])

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        return self._value("ADDRESS")

    @property
    def main_port(self) -> int:
        return int(self._value("PORT", "7777"))  # the port SageMaker's own toolkit takes

    def world_size(self) -> int:
        return int(self._value("WORLD_SIZE"))

    def global_rank(self) -> int:
        return int(self._value("RANK"))

    def local_rank(self) -> int:
        return int(self._value("LOCAL_RANK"))

    def node_rank(self) -> int:
        return int(self._value("NODE_RANK", "0"))

    def set_world_size(self, size: int) -> None:
        """The launcher has said how many there are; Lightning asks for the same number or is wrong."""
        if size != self.world_size():
            raise InputError(
                f"trainer.devices: {size} processes in all are wanted, but the launcher started {self.world_size()}; "
                "expected trainer.devices × trainer.num_nodes to be that number"
            )

    def set_global_rank(self, rank: int) -> None:
        assert rank == self.global_rank(), f"rank {rank} was started as {self.global_rank()}"

    def _value(self, what: str, default: str | None = None) -> str:
        for name in NAMES[what]:
            if name in self.environment:
                return self.environment[name]
        if default is not None:
            return default
        raise InputError(
            f"trainer=smddp: none of {', '.join(NAMES[what])} is set; expected to be started by SageMaker, by torchrun "
            "or by trainer.devices of at least 2"
        )


def check_smddp() -> None:
    """Raise InputError where the library is not installed."""
    try:
        found = find_spec(MODULE)
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise InputError(
            "trainer=smddp: smdistributed.dataparallel is not installed, which only Amazon's training images for P4d "
            "and P4de hold (up to PyTorch 2.5); use trainer=ddp"
        )


def smddp_strategy() -> DDPStrategy:
    """DDP with the process group back end `smddp`; raises InputError where the library is not installed."""
    check_smddp()
    import_module(MODULE)
    return DDPStrategy(process_group_backend="smddp", cluster_environment=SageMakerEnvironment())
