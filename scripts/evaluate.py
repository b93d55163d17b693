"""Score a run's best checkpoint on its validation images, on all of its data, or on other labeled data.

python scripts/evaluate.py runs/default/2026-11-22_20-18-00
python scripts/evaluate.py runs/default/2026-11-22_20-18-00 data.dir=/data/bengaliai-cv19 data.split=all
python scripts/evaluate.py runs/default/2026-11-22_20-18-00 model.tta=[[0.03,0],[-0.03,0],[0,0.03],[0,-0.03]]
python scripts/evaluate.py runs/default/2026-11-22_20-18-00 --report
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OKKHOR_ROOT", str(Path(__file__).resolve().parent.parent))

SAME = ("data.batch_size", "data.workers", "data.cache_dir", "paths.")  # options that change nothing of what is read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="a run directory")
    parser.add_argument(
        "options",
        nargs="*",
        metavar="key=value",
        help="data.dir=DIR or data.store=DIR: other data (then all of it, unless data.split says otherwise); "
        "data.split=val, all or unseen (combinations that training lacked); data.batch_size, data.workers, paths.*; "
        "model.tta=[[0.03,0],[-0.03,0]]: averages over shifted views",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers there")
    parser.add_argument(
        "--report",
        action="store_true",
        help="also write pictures and tables: the run's own report/ again, or for other data or views "
        "reports/evaluate/<run>/",
    )
    arguments = parser.parse_intermixed_args()

    from rich.console import Console

    from okkhor.atomic import write_atomically
    from okkhor.data.module import PARTS
    from okkhor.data.splitting import among
    from okkhor.errors import InputError
    from okkhor.reports.table import result_table
    from okkhor.runs import Run
    from okkhor.training.fit import quiet
    from okkhor.training.reporting import report_network
    from okkhor.training.restore import restore, run_data
    from okkhor.training.scoring import device, read, readings, score

    started = time.monotonic()
    quiet()
    run = Run.open(arguments.run)
    given = dict(option.partition("=")[::2] for option in arguments.options)
    part = given.pop("data.split", "all" if given.keys() & {"data.dir", "data.store"} else "val")
    if part not in PARTS:
        raise InputError(f"data.split: expected one of {', '.join(PARTS)}, got {part!r}")
    options = [option for option in arguments.options if not option.startswith("data.split=")]
    _, data, module = restore(run, options)
    if data.store.labels is None:
        raise InputError(f"{data.store.path}: no labels in it; scripts/predict.py reads images without labels")
    try:
        trained_on = (run_data(run) if options else data).combinations("train")
    except InputError as error:
        if part == "unseen":
            raise
        trained_on = None
        print(f"no score on unseen combinations: the data of the training is not here ({error})", file=sys.stderr)
    rows = data.rows(part, trained_on if options else None)
    probabilities = read(module, data.loader_of(rows), device(), "scoring" if Console().is_terminal else "")
    labels = data.labels_of(rows)
    seen = None if trained_on is None else among(labels, trained_on)
    found = score(module, probabilities, labels, seen)
    metrics = {f"{'val' if part == 'val' else 'test'}/{name}": value for name, value in found.items()}
    images = f"{len(rows):,} images, {part} of {data.dir or data.store.path}"
    if arguments.report:
        own = part == "val" and all(key.startswith(SAME) for key in given)
        folder = run.report if own else Path("reports") / "evaluate" / run.id
        found = readings(data.store, rows, probabilities, seen)
        *_, page = report_network(run.path, module, data, rows, found, folder=folder, of="" if own else f"{images}.")
    Console().print(images, soft_wrap=True, highlight=False)
    Console().print(result_table(metrics, data.heads, run_dir=run.path, seconds=time.monotonic() - started))
    if arguments.report:
        Console().print(f"report    {page}", soft_wrap=True, highlight=False)
    if arguments.json:
        write_atomically(arguments.json, json.dumps({**metrics, "images": len(rows), "part": part}, indent=2) + "\n")


if __name__ == "__main__":
    from okkhor.launching.exits import one_line_errors

    with one_line_errors():
        main()
