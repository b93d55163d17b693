"""From a run directory to a bundle: the best checkpoint, what it was trained on, what its classes are called."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from okkhor.data.module import ImageData
from okkhor.data.texts import class_texts
from okkhor.errors import InputError
from okkhor.models.classifier import MultiHeadClassifier
from okkhor.runs import Run
from okkhor.serving.bundle import Bundle, sha256_of
from okkhor.serving.writing import Say, write_bundle
from okkhor.training.restore import restore
from okkhor.training.scoring import score

COMPARED, CALIBRATED = 256, 512  # images
MOST_LOST = 0.005  # of the score, by int8: half a point


def export(
    run: Run,
    out: str | Path | None = None,
    formats: Sequence[str] = ("onnx",),
    quantize: str | None = None,
    *,
    overrides: Sequence[str] = (),
    say: Say = lambda _: None,
) -> Bundle:
    """Write the bundle of a run, by default into its own folder `bundle`.

    formats: of `okkhor.serving.formats`; quantize: `int8` adds onnx_int8; overrides: where the data lies, as in
    scripts/evaluate.py: formats are compared on images of the validation fold. Raises InputError for an unknown
    format, a network of another class, and a format that does not compute what the checkpoint does.
    """
    if quantize not in (None, "int8"):
        raise InputError(f"quantize={quantize}: expected int8")
    config, data, module = restore(run, overrides)
    net = module.net
    if not isinstance(net, MultiHeadClassifier):
        raise InputError(f"model._target_: {config.model._target_} cannot be exported; expected MultiHeadClassifier")
    rows = data.rows("val")
    compared = rows if quantize else rows[:COMPARED]

    def judge(found: list[np.ndarray]) -> dict[str, Any]:
        from okkhor.serving.graph import ServedGraph
        from okkhor.serving.writing import reference

        labels = data.store.labels[compared]
        graph = ServedGraph(net.cpu().eval())
        full = score(module, reference(graph, _pixels(data, compared)), labels)["score"]
        reached = score(module, found, labels)["score"]
        kept = reached >= full - MOST_LOST
        say(f"onnx_int8: score {reached:.4f} of {full:.4f} on {len(labels):,} validation images")
        if not kept:
            say(f"onnx_int8: LOSES MORE THAN {100 * MOST_LOST:g} POINTS; serve onnx instead where that matters")
        return {"score": round(reached, 5), "score_float32": round(full, 5), "within_half_a_point": kept}

    calibration = _pixels(data, _spread(data.rows("train"), CALIBRATED)) if quantize else None
    return write_bundle(
        Path(out) if out else run.path / "bundle",
        net,
        _description(run, config, data),
        formats=formats,
        images=_pixels(data, compared),
        calibration=calibration,
        judge=judge,
        say=say,
    )


def export_trained(run: Run, config: DictConfig) -> Bundle:
    """Write the bundle that the option `export` of a run asks for, when it has been trained.

    config: as it was trained with: where its data lies may differ from what the run's own configuration says, as in a
    job at another place. Raises as `export` does.
    """
    wanted = [config.export] if isinstance(config.export, str) else list(config.export)
    formats, quantize = written_as(wanted)
    own = run.config()
    keys = ("data.dir", "data.store")  # in this order: another data.dir makes the store one that is still to be found
    moved = [key for key in keys if OmegaConf.select(own, key) != OmegaConf.select(config, key)]
    return export(
        run,
        formats=formats,
        quantize=quantize,
        overrides=[f"{key}={json.dumps(OmegaConf.select(config, key))}" for key in moved],
        say=lambda line: print(line, flush=True),
    )


def written_as(wanted: Sequence[str]) -> tuple[list[str], str | None]:
    """What `export` is to be told for these formats, onnx_int8 among them: formats, and quantize, which needs onnx."""
    formats = [name for name in wanted if name != "onnx_int8"]
    if len(formats) == len(wanted):
        return formats, None
    return formats if "onnx" in formats else ["onnx", *formats], "int8"


def _description(run: Run, config: DictConfig, data: ImageData) -> dict[str, Any]:
    heads = data.heads
    names, compose = class_texts(heads, data.store)
    block = {head.name: {"column": head.column, "classes": head.classes, "weight": head.weight} for head in heads}
    model: Any = OmegaConf.to_container(config.model, resolve=True)
    model.pop("init_from", None)  # a folder of this machine: the bundle's weights are whole without it
    metrics = run.path / "metrics.json"
    return {
        "name": "okkhor" if config.name == "default" else config.name.replace("/", "-"),
        "version": "1.0",
        "run": run.id,
        "checkpoint": sha256_of(run.checkpoint()),
        "heads": block,
        "decision": config.model.get("decision", "argmax"),
        "labels": {head.name: list(names.get(head.name, map(str, range(head.classes)))) for head in heads},
        "graphemes": {head.name: head.column for head in heads} if compose else None,
        "input": {
            "height": data.size[0],
            "width": data.size[1],
            "crop": data.crop,
            "raw_size": list(data.raw_size),
        },
        "model": model,
        "metrics": run.metrics() if metrics.is_file() else {},
    }


def _pixels(data: ImageData, rows: np.ndarray) -> np.ndarray:
    """Images as the network sees them, uint8 (N, 1, H, W)."""
    return np.asarray(data.images[rows])[:, np.newaxis]


def _spread(rows: np.ndarray, count: int) -> np.ndarray:
    """At most `count` rows, evenly from all."""
    return rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)]
