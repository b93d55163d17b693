"""What pretraining is worth where few images have labels: one net from scratch and from each kind of pretraining.

python scripts/compare_pretraining.py DIR                             meant for half an hour on two cores, 15,000 images
python scripts/compare_pretraining.py DIR --fraction 0.05 --seeds 3
python scripts/compare_pretraining.py DIR --passes 400 --epochs 1 --synthetic 400 debug=limit      to see that it works

Runs SimCLR and BYOL on the images without labels and a supervised training on rendered images, then fine-tunes each,
and a net from scratch, with a share of the labels. Stop it at any time: the same command goes on. Prints a Markdown
table and writes it to <out>/pretraining.md.
"""

import argparse
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("OKKHOR_ROOT", str(ROOT))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder with the competition's files")
    parser.add_argument("options", nargs="*", metavar="key=value", help="more options for every run")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "pretraining", help="folder of runs and table")
    parser.add_argument("--fraction", type=float, default=0.1, help="of the labels (default 0.1)")
    parser.add_argument("--passes", type=int, default=96_000, help="images through a pretraining (default 96000)")
    parser.add_argument("--epochs", type=int, default=40, help="of fine-tuning (default 40)")
    parser.add_argument("--seeds", type=int, default=1, help="of fine-tuning (default 1)")
    parser.add_argument("--synthetic", type=int, default=20_000, help="rendered images (default 20000)")
    arguments = parser.parse_intermixed_args()

    from rich.console import Console

    from okkhor.atomic import write_atomically
    from okkhor.benchmarks.pretraining import Budget, run_stages, stages, table, unlabelled_images
    from okkhor.errors import InputError

    for name in ("passes", "epochs", "seeds", "synthetic"):
        if getattr(arguments, name) < 1:
            raise InputError(f"--{name}: expected at least 1, got {getattr(arguments, name)}")
    data, out = arguments.data.expanduser().resolve(), arguments.out.expanduser().resolve()
    budget = Budget(
        data, arguments.fraction, arguments.passes, arguments.epochs, arguments.seeds, arguments.synthetic,
        tuple(arguments.options),
    )  # fmt: skip
    console = Console(highlight=False)
    done = run_stages(
        ROOT, out, stages(budget, unlabelled_images(data)), lambda line: console.print(line, style="bold")
    )
    found = table(budget, done)
    write_atomically(out / "pretraining.md", found + "\n")
    print(f"\n{found}\n\n{out / 'pretraining.md'}")


if __name__ == "__main__":
    from okkhor.launching.exits import one_line_errors

    with one_line_errors():
        main()
