"""report/predictions.parquet: what a run said of each image, so that runs are compared without reading images again.

A row an image: `image_id`, and for each head `label_<head>`, `predicted_<head>` (int32), `p_label_<head>` and
`p_predicted_<head>` (float32), the probabilities of the truth and of the answer. The heads, and what else is known,
stand in the schema's metadata under `okkhor`, as JSON.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from okkhor.atomic import replacing
from okkhor.errors import InputError
from okkhor.heads import Heads
from okkhor.reports.recall import HeadResult

FILE = "predictions.parquet"
FORMAT = 1
_KEY = b"okkhor"


@dataclass(frozen=True)
class Predictions:
    """What a run said of N labeled images.

    image_ids: of each; labels, predicted: int64 (N, heads); p_label, p_predicted: float32 (N, heads), probabilities
    of the truth and of the answer; about: more, where known: `parameters` of the network,
    `texts` of the classes by head.
    """

    heads: Heads
    image_ids: Sequence[str]
    labels: np.ndarray
    predicted: np.ndarray
    p_label: np.ndarray
    p_predicted: np.ndarray
    about: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        image_ids: Sequence[str],
        results: list[HeadResult],
        probabilities: list[np.ndarray],
        about: Mapping[str, Any],
    ) -> "Predictions":
        """probabilities: per head (N, classes)."""

        def column(values: list[np.ndarray]) -> np.ndarray:
            return np.stack(values, axis=1)

        rows = np.arange(len(image_ids))
        return cls(
            Heads(r.head for r in results),
            image_ids,
            column([r.labels for r in results]),
            column([r.predicted for r in results]),
            column([p[rows, r.labels] for r, p in zip(results, probabilities, strict=True)]),
            column([p[rows, r.predicted] for r, p in zip(results, probabilities, strict=True)]),
            about,
        )

    def results(self) -> list[HeadResult]:
        return [HeadResult.of(head, self.labels[:, k], self.predicted[:, k]) for k, head in enumerate(self.heads)]

    def write(self, path: Path) -> Path:
        columns: dict[str, pa.Array] = {"image_id": pa.array([str(name) for name in self.image_ids], pa.string())}
        kinds = {
            "label": (self.labels, pa.int32()),
            "predicted": (self.predicted, pa.int32()),
            "p_label": (self.p_label, pa.float32()),
            "p_predicted": (self.p_predicted, pa.float32()),
        }
        for k, head in enumerate(self.heads):
            columns |= {f"{name}_{head.name}": pa.array(v[:, k]).cast(kind) for name, (v, kind) in kinds.items()}
        known = {"format": FORMAT, "heads": self.heads.to_config(), "about": dict(self.about)}
        table = pa.table(columns).replace_schema_metadata({_KEY: json.dumps(known, ensure_ascii=False)})
        with replacing(path) as temporary:
            pq.write_table(table, temporary, compression="zstd")
        return path

    @classmethod
    def read(cls, path: Path) -> "Predictions":
        """Raises InputError where the file is damaged, or not what `write` writes."""
        try:
            table = pq.read_table(path)
            known = json.loads((table.schema.metadata or {})[_KEY])
            if known["format"] != FORMAT:
                raise InputError(f"{path}: format {known['format']}, this version reads {FORMAT}; write it again")
            heads = Heads.from_config(known["heads"])

            def columns(name: str, kind: type) -> np.ndarray:
                return np.stack([table.column(f"{name}_{head.name}").to_numpy() for head in heads], 1).astype(kind)

            return cls(
                heads,
                table.column("image_id").to_pylist(),
                columns("label", np.int64),
                columns("predicted", np.int64),
                columns("p_label", np.float32),
                columns("p_predicted", np.float32),
                known["about"],
            )
        except (OSError, LookupError, TypeError, AttributeError, json.JSONDecodeError, pa.ArrowException) as error:
            cause = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(f"{path}: not the predictions of a run ({cause}); write it again") from error
