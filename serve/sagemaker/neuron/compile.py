"""Compile the model beside this file for AWS Inferentia 2 and pack it as model.tar.gz for an endpoint.

On an inf2 or trn1 machine with AWS's Neuron SDK (torch-neuronx), in this folder:

python compile.py                  # bundle/ -> model.tar.gz
python compile.py --device cpu     # the same without the compiler, to try all other steps on any machine

THE COMPILATION ITSELF WAS NEVER RUN by those who wrote this: they had no such machine. `--device cpu` was.
https://awsdocs-neuron.readthedocs-hosted.com/en/latest/frameworks/torch/torch-neuronx/api-reference-guide/inference/api-torch-neuronx-trace.html
"""

import argparse
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # the okkhor/ that came along fits the bundle

FORMAT, FILE = "neuron", "model.neuron.pt"
TOLERANCE = {"cpu": 1e-4, "neuron": 1e-2}  # of a probability, to the network on the processor: Neuron computes shorter
CODE = ("okkhor", "requirements.txt")
PROBES = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["neuron", "cpu"], default="neuron")
    parser.add_argument("--out", type=Path, default=HERE / "model.tar.gz")
    arguments = parser.parse_args()

    import torch

    from okkhor.serving.bundle import Bundle
    from okkhor.serving.weights import net_from_weights

    bundle = Bundle.open(HERE / "bundle")
    net = net_from_weights(bundle, bundle.path_of("safetensors"))
    shape = (1, 1, bundle.input["height"], bundle.input["width"])  # one image a call: the graph's shape is fixed
    probes = torch.randint(0, 256, (PROBES, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        compiled = traced(net, probes[0], arguments.device)
        difference = max(largest_difference(net(probe), compiled(probe)) for probe in probes)
    if difference > TOLERANCE[arguments.device]:
        sys.exit(f"error: probabilities differ by {difference:.2g} from the network's; nothing is written")
    with tempfile.TemporaryDirectory(dir=arguments.out.resolve().parent) as scratch:
        written = pack(bundle, compiled, difference, arguments.device, Path(scratch))
        written.replace(arguments.out)
    print(f"{arguments.out}: {arguments.device}, probabilities within {difference:.2g} of the network's")


def traced(net: Any, example: Any, device: str) -> Any:
    """The network for one image on that device."""
    import torch

    if device == "cpu":
        return torch.jit.trace(net, example, check_trace=False)
    try:
        import torch_neuronx
    except ImportError:
        sys.exit("error: torch_neuronx is not installed; run this on an inf2 or trn1 machine with AWS's Neuron SDK")
    return torch_neuronx.trace(net, example)


def largest_difference(expected: Any, found: Any) -> float:
    """Of probabilities; the activation maps, which come last, are no probabilities."""
    pairs = zip(expected[:-1], found[:-1], strict=True)
    return max(float((one - other).abs().max()) for one, other in pairs)


def pack(bundle: Any, compiled: Any, difference: float, device: str, scratch: Path) -> Path:
    """model.tar.gz with the compiled network in place of the weights."""
    import torch
    import yaml

    from okkhor.serving.bundle import MANIFEST, sha256_of

    inside = scratch / "bundle"
    inside.mkdir()
    torch.jit.save(compiled, str(inside / FILE))
    described = yaml.safe_load((bundle.path / MANIFEST).read_text(encoding="utf-8"))
    described["formats"] = {
        FORMAT: {
            "file": FILE,
            "sha256": sha256_of(inside / FILE),
            "bytes": (inside / FILE).stat().st_size,
            "difference": difference,
            "code": True,
            "notes": {"device": device},
        }
    }
    text = yaml.safe_dump(described, sort_keys=False, allow_unicode=True)
    (inside / MANIFEST).write_text(text, encoding="utf-8")
    for name in CODE:
        source = HERE / name
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, scratch / name)
    shutil.copyfile(HERE / "served.py", scratch / "served.py")
    shutil.copyfile(HERE / "inference.py", scratch / "inference.py")
    written = scratch / "model.tar.gz"
    with tarfile.open(written, "w:gz") as archive:
        archive.add(inside, "bundle")
        for name in (*CODE, "served.py", "inference.py"):
            archive.add(scratch / name, f"code/{name}", filter=without_caches)
    return written


def without_caches(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "__pycache__" in entry.name else entry


if __name__ == "__main__":
    main()
