"""The step that compiles a model for AWS Inferentia 2, as a folder to take to a machine with the Neuron SDK.

It was written from AWS's documentation and NOT RUN on such a machine; serve/sagemaker/neuron/compile.py says what was.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from okkhor.errors import InputError
from okkhor.serving.archives.contents import lay_out
from okkhor.serving.archives.sagemaker import ENTRY, NEEDS
from okkhor.serving.bundle import Bundle

OURS = ENTRY.parent / "neuron"
STEPS = """\
# Compiling {name} for AWS Inferentia 2

**These steps were written, and not run**: there was no Inferentia machine to run them on. `python compile.py
--device cpu` does all of it but the compilation, and was run.

1. Start an `inf2.xlarge` with AWS's "Deep Learning AMI Neuron", copy this folder there, activate its PyTorch
   environment, `pip install safetensors timm pyyaml`.
2. `python compile.py` compares the compiled network with this one and writes `model.tar.gz`.
3. Copy `model.tar.gz` back, and end the machine: it is billed until then.
4. Choose the newest `pytorch-inference-neuronx` image for your region from
   https://github.com/aws/deep-learning-containers/blob/master/available_images.md, whose Neuron SDK is the machine's.
5. In the repository:

       python scripts/deploy.py --target sagemaker --accelerator inf2 --archive model.tar.gz --image IMAGE --stack NAME

The compiled network takes one image a call; a request with several is answered one after the other.
"""


def write_compile_step(bundle: Bundle, out: Path) -> Path:
    """Write the folder `out`: weights, the code that reads them, compile.py, STEPS.md; one that is there is replaced.

    Raises InputError when the bundle has no safetensors, and where `out` is something else.
    """
    if out.exists() and not (out / "compile.py").is_file():
        raise InputError(f"--out={out}: is there, and is no compile step of ours; choose another folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".compiling-", dir=out.parent) as scratch:
        inside = Path(scratch) / out.name
        inside.mkdir()
        lay_out(bundle, "safetensors", inside)
        for name in ("compile.py", "inference.py"):
            shutil.copyfile(OURS / name, inside / name)
        shutil.copyfile(ENTRY, inside / "served.py")
        (inside / "requirements.txt").write_text("\n".join(NEEDS) + "\n", encoding="utf-8")
        (inside / "STEPS.md").write_text(STEPS.format(name=bundle.name), encoding="utf-8")
        if out.exists():
            shutil.rmtree(out)
        inside.replace(out)
    return out
