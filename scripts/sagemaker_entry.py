"""The entry point of a SageMaker training job that is started the classic way, with hyperparameters.

Estimator(entry_point="scripts/sagemaker_entry.py", source_dir=".", hyperparameters={"model": "resnet18"}, …)

Hyperparameters are options of train.py. Data comes as the channel `store` (a packed store) or `training` (files).
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = str(ROOT / "src")
os.environ.setdefault("OKKHOR_ROOT", str(ROOT))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (SOURCE, os.environ.get("PYTHONPATH"))))  # of train.py
sys.path.insert(0, SOURCE)  # it is sent, not installed


def main() -> int:
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from okkhor.errors import InputError
    from okkhor.launching.sagemaker.container import Place, refuse
    from okkhor.launching.sagemaker.toolkit import run_from_toolkit
    from okkhor.training.options import in_one_line

    place = Place.find()
    try:
        return run_from_toolkit(ROOT, sys.argv[1:], place)
    except InputError as error:
        return refuse(place, str(error))
    except (HydraException, OmegaConfBaseException) as error:
        return refuse(place, in_one_line(error, dict))


if __name__ == "__main__":
    sys.exit(main())
