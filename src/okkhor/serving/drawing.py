"""A page that reads drawings in the browser: static files, with the network among them, for any web server.

It shows and draws as the page of serve/demo.py does, whose files it takes, and asks no server: ONNX Runtime runs the
bundle's model.onnx, and serve/draw/ prepares what is drawn as the Predictor would, to the byte.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import yaml

from okkhor.errors import InputError
from okkhor.labels import COLUMNS
from okkhor.serving.bundle import Bundle
from okkhor.serving.typeface import FONTS, font_file
from okkhor.serving.web_runtime import runtime_files

SERVE = Path(__file__).resolve().parents[3] / "serve"
SHARED = ("icon.svg", "page.css", "paper.js", "pictures.js", "showing.js")  # of serve/page
FORMAT = "onnx"
NOTE = (
    "This network was trained on graphemes that a program rendered, and so was its score measured; "
    "people’s handwriting it reads less well, and it may be sure and wrong."
)


def write_drawing_page(bundle: Path, out: Path, *, runtime: Path) -> list[Path]:
    """Write the page into the folder `out`, whole or not at all; what lay there before goes. Gives its files.

    bundle: with model.onnx, of a network that reads graphemes; runtime: where `make setup-docs` put ONNX Runtime.
    Raises InputError for another bundle and where the runtime is missing.
    """
    opened = Bundle.open(bundle)
    _check(opened)
    code, wasm = runtime_files(runtime)
    model = opened.path_of(FORMAT)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as name:
        page = Path(name) / "page"
        shutil.copytree(SERVE / "draw", page)
        for shared in SHARED:
            shutil.copyfile(SERVE / "page" / shared, page / shared)
        shutil.copyfile(code, page / "onnxruntime.js")  # some web servers do not know .mjs as JavaScript
        shutil.copyfile(wasm, page / "onnxruntime.wasm")
        shutil.copyfile(model, page / "model.onnx")
        (page / "fonts").mkdir()
        for weight in FONTS:
            shutil.copyfile(font_file(weight), page / "fonts" / f"{weight}.ttf")
        about = _about(opened, _write_samples(page / "samples"), model.stat().st_size, wasm.stat().st_size)
        (page / "bundle.json").write_text(json.dumps(about, ensure_ascii=False), encoding="utf-8")
        if out.exists():
            out.rename(Path(name) / "old")
        page.rename(out)
    return sorted(path for path in out.rglob("*") if path.is_file())


def _check(bundle: Bundle) -> None:
    if bundle.graphemes is None or {head.column for head in bundle.heads} != set(COLUMNS):
        raise InputError(f"{bundle.path}: it reads no graphemes; a page to draw on needs {', '.join(COLUMNS)}")
    if FORMAT not in bundle.formats:
        raise InputError(
            f"{bundle.path}: no {FORMAT} among its formats ({', '.join(bundle.formats)}), which browsers run; "
            f"scripts/export.py --format {FORMAT} writes it"
        )


def _about(bundle: Bundle, samples: list[dict[str, str]], model: int, runtime: int) -> dict[str, Any]:
    """bundle.json: what the page's script knows. model, runtime: bytes of the files."""
    score = bundle.metrics.get("val/score")
    return {
        "model": {"name": bundle.name, "version": str(bundle.version), "format": FORMAT},
        "run": bundle.run,
        "score": "" if score is None else f"; validation score {score:.3f}",
        "note": NOTE if _rendered(bundle) else "",
        "input": bundle.input,
        "heads": [{"name": head.name, "column": head.column} for head in bundle.heads],
        "labels": bundle.labels,
        "samples": samples,
        "files": {
            "model": {"file": "model.onnx", "bytes": model},
            "runtime": {"file": "onnxruntime.wasm", "bytes": runtime},
        },
    }


def _rendered(bundle: Bundle) -> bool:
    """Whether it was trained on rendered images, as far as the run directory that it lies in says so."""
    try:
        config = yaml.safe_load((bundle.path.parent / "config.yaml").read_text(encoding="utf-8"))
        return bool(config["data"]["source"] == "synthetic")
    except (OSError, yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError):
        return False


def _write_samples(folder: Path) -> list[dict[str, str]]:
    """The images that serve/demo.py offers, as files; their texts, and where they lie in the page."""
    from okkhor.serving.demo.samples import TEXTS, sample_png

    folder.mkdir()
    for number in range(len(TEXTS)):
        (folder / f"{number}.png").write_bytes(sample_png(number))
    return [{"text": text, "src": f"{folder.name}/{number}.png"} for number, text in enumerate(TEXTS)]
