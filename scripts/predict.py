"""Write the competition's submission.csv for a folder with its test files.

python scripts/predict.py runs/default/2026-11-22_20-18-00 --data /data/bengaliai-cv19
"""

import argparse
import csv
import os
from pathlib import Path

os.environ.setdefault("OKKHOR_ROOT", str(Path(__file__).resolve().parent.parent))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="a run directory")
    parser.add_argument("--data", required=True, metavar="DIR", help="holds test_image_data_*.parquet (and test.csv)")
    parser.add_argument("--out", type=Path, default=Path("submission.csv"), help="default: submission.csv")
    arguments = parser.parse_args()

    from rich.console import Console

    from okkhor.atomic import replacing
    from okkhor.data.store import competition_store
    from okkhor.errors import InputError
    from okkhor.runs import Run
    from okkhor.training.fit import quiet
    from okkhor.training.restore import restore
    from okkhor.training.scoring import device, read
    from okkhor.training.submission import submission_rows

    quiet()
    run = Run.open(arguments.run)
    _, data, module = restore(run)
    store = competition_store(arguments.data, data.heads, split="test", cache_dir=data.cache_dir, size=data.raw_size)
    if not store.image_ids:
        raise InputError(f"{arguments.data}: no test images in it")
    loader = data.loader_of_images(store)
    probabilities = read(module, loader, device(), "reading" if Console().is_terminal else "")
    rows = submission_rows(arguments.data, store.image_ids, data.heads.columns, [p.argmax(1) for p in probabilities])
    with replacing(arguments.out) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("row_id", "target"), *rows])
    print(f"{arguments.out}: {len(rows):,} rows for {len(store.image_ids):,} images")


if __name__ == "__main__":
    from okkhor.launching.exits import one_line_errors

    with one_line_errors():
        main()
