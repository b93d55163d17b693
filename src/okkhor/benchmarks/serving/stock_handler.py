"""A handler as TorchServe's own documentation has one write it: eager PyTorch behind its BaseHandler, nothing tuned.

It stands in the archive, beside bundle/ and okkhor/. TorchServe takes the only class of the file.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from ts.torch_handler.base_handler import BaseHandler


class StockHandler(BaseHandler):
    """Likeliest class of each head and its probability. Images have the size that the network takes."""

    def initialize(self, context: Any) -> None:
        """Build the network and load its weights."""
        folder = Path(context.system_properties["model_dir"])
        sys.path.insert(0, str(folder))

        from okkhor.serving.bundle import Bundle
        from okkhor.serving.weights import net_from_weights

        bundle = Bundle.open(folder / "bundle")
        self.model = net_from_weights(bundle, bundle.path_of("safetensors")).net.eval()
        self.heads = bundle.heads.names
        self.device = torch.device("cpu")
        self.initialized = True

    def preprocess(self, rows: Sequence[Mapping[str, Any]]) -> torch.Tensor:
        """uint8 (B, 1, H, W)."""
        images = [Image.open(io.BytesIO(row.get("data") or row["body"])).convert("L") for row in rows]
        return torch.from_numpy(np.stack([np.asarray(image) for image in images])[:, None])

    def postprocess(self, logits: Sequence[torch.Tensor]) -> list[dict[str, Any]]:
        """One answer an image."""
        best = [head.softmax(1).max(1) for head in logits]
        return [
            {
                name: {"class": int(head.indices[row]), "probability": float(head.values[row])}
                for name, head in zip(self.heads, best, strict=True)
            }
            for row in range(len(logits[0]))
        ]
