"""Pack a run or a bundle for a server.

python serve/archive.py --target torchserve runs/default/2026-11-22_20-18-00
python serve/archive.py --target sagemaker runs/default/2026-11-22_20-18-00/bundle --format onnx_int8 --out DIR
"""

import argparse
import importlib
import os
from pathlib import Path

from choosing import ROOT, add_format, chosen_bundle

os.environ.setdefault("OKKHOR_ROOT", str(ROOT))

TARGETS = ("torchserve", "mms", "sagemaker", "triton")  # modules okkhor.serving.archives.<target> with write_<target>


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="RUN", help="a run directory or a bundle")
    parser.add_argument("--target", required=True, choices=TARGETS, help="the server")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: archives/<target>")
    add_format(parser)
    arguments = parser.parse_args()

    bundle = chosen_bundle(arguments.model, arguments.format, trust=arguments.trust)
    module = importlib.import_module(f"okkhor.serving.archives.{arguments.target}")
    # a folder for each: archives of two servers may have one name
    out = arguments.out or Path("archives") / arguments.target
    print(getattr(module, f"write_{arguments.target}")(bundle, arguments.format, out))


if __name__ == "__main__":
    from okkhor.launching.exits import one_line_errors

    with one_line_errors():
        main()
