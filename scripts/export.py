"""Write the bundle of a run: the folder that servers, scripts/predict.py and the web page load.

python scripts/export.py runs/default/2026-11-22_20-18-00
python scripts/export.py runs/default/2026-11-22_20-18-00 --format onnx,torchscript,safetensors --quantize int8
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("OKKHOR_ROOT", str(Path(__file__).resolve().parent.parent))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="a run directory")
    parser.add_argument(
        "options",
        nargs="*",
        metavar="key=value",
        help="data.dir=DIR: where the run's data lies now; model.tta=[[0.03,0],[-0.03,0]]: averages over shifted views",
    )
    parser.add_argument(
        "--format",
        default="onnx",
        help="comma-separated: onnx (default; runs without PyTorch), torchscript, pt2 (torch.export), aoti "
        "(compiled for this processor; needs g++), safetensors (weights alone)",
    )
    parser.add_argument("--quantize", choices=["int8"], help="add an ONNX file of a third of the size")
    parser.add_argument("--out", help="the bundle's folder (<run>/bundle)")
    arguments = parser.parse_intermixed_args()

    from rich.console import Console

    from okkhor.runs import Run
    from okkhor.training.export import export
    from okkhor.training.fit import quiet

    quiet()
    console = Console(highlight=False)
    formats = [name for name in arguments.format.split(",") if name]
    bundle = export(
        Run.open(arguments.run),
        arguments.out,
        formats,
        arguments.quantize,
        overrides=arguments.options,
        say=lambda line: console.print(line, soft_wrap=True),
    )
    console.print(str(bundle.path), soft_wrap=True)


if __name__ == "__main__":
    from okkhor.launching.exits import one_line_errors

    with one_line_errors():
        main()
