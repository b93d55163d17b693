"""What archives carry is enough: a bare interpreter without PyTorch answers with it, and nothing of it is too much."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from okkhor.serving.carried import carried_files
from okkhor.serving.predictor import Predictor

BLOCKED = ("torch", "torchvision", "pytorch_lightning", "hydra", "omegaconf", "pandas", "sklearn", "pyarrow", "timm")
ALONE = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}.split():
            raise ImportError(f"{{name}} is absent here")

sys.meta_path.insert(0, Blocked())
# neither the checkout nor its editable installation: okkhor comes from the archive alone
sys.path[:] = [{carried!r}] + [p for p in sys.path if "/src" not in p]
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in repr(finder).lower()]
import json
import numpy as np
import okkhor
from okkhor.serving import service
from okkhor.serving.predictor import Predictor

assert okkhor.__file__.startswith({carried!r}), okkhor.__file__
found = Predictor.load({bundle!r}).predict([np.load({image!r})], top=2)
ours = sorted(name for name in sys.modules if name.partition(".")[0] == "okkhor")
installed = [name for name, one in sys.modules.items() if "site-packages" in (getattr(one, "__file__", None) or "")]
others = sorted({{name.partition(".")[0] for name in installed}})
print(json.dumps([found[0].as_json()["heads"], ours, others]))
"""


@pytest.fixture(scope="module")
def drawing(tmp_path_factory):
    image = np.full((137, 236), 250, np.uint8)
    image[40:46, 60:180] = image[40:110, 110:117] = 20
    path = tmp_path_factory.mktemp("drawing") / "drawing.npy"
    np.save(path, image)
    return path


def test_a_bare_interpreter_answers_as_this_one_does(handmade_bundle, drawing, tmp_path):
    for name, source in carried_files().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, tmp_path / name)
    script = ALONE.format(
        blocked=" ".join(BLOCKED), carried=str(tmp_path), bundle=str(handmade_bundle), image=str(drawing)
    )
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 0, done.stderr
    heads, modules, others = json.loads(done.stdout)
    (one,) = Predictor.load(handmade_bundle).predict([np.load(drawing)], top=2)
    assert heads == one.as_json()["heads"]
    carried = {name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in carried_files()}
    assert carried == set(modules), "carried and imported must be the same modules"
    assert set(others) <= {"numpy", "PIL", "cv2", "yaml", "_yaml", "onnxruntime", "_distutils_hack"}


def test_weights_alone_carry_the_network_too_and_no_more(tmp_path):
    for name, source in carried_files("safetensors").items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, tmp_path / name)
    script = f"""
import sys
sys.path[:] = [{str(tmp_path)!r}] + [p for p in sys.path if "/src" not in p]
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in repr(finder).lower()]
import okkhor.serving.service, okkhor.serving.weights
assert okkhor.__file__.startswith({str(tmp_path)!r}), okkhor.__file__
print(*sorted(name for name in sys.modules if name.partition(".")[0] == "okkhor"))
"""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    imported = {name.replace(".", "/") for name in done.stdout.split()}
    everything, plain = (
        {name.removesuffix(".py").removesuffix("/__init__") for name in carried_files(format)}
        for format in ("safetensors", "onnx")
    )
    assert everything - plain <= imported <= everything
