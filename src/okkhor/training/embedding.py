"""What a run's network says of images of a store, in a process of its own that others start and wait for:

python -m okkhor.training.embedding RUN STORE ASKED.npz FEATURES OUT.npz

ASKED: `rows` of the store and their `labels`, (n, heads); FEATURES: of so many of the first rows the features are
kept, too. Says the number of rows done, a line each time. Memory is dear here: neither Lightning nor torchvision is
imported, which would take 350 MB, and the store's index is not read, which would take 70.
"""

import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from omegaconf import OmegaConf

from okkhor.atomic import replacing
from okkhor.build import build
from okkhor.data.layout import Store
from okkhor.data.opening import heads_in
from okkhor.data.reading import StoredImages
from okkhor.data.resize import resize
from okkhor.errors import InputError
from okkhor.heads import Heads
from okkhor.models.classifier import MultiHeadClassifier
from okkhor.runs import Run

BLOCK = 64  # images that are read and passed through the network at a time
NOT_THE_NETWORK_S = ("loss", "compile", "init_from")  # keys of the model group
UNREADABLE = (RuntimeError, OSError, ValueError, EOFError, KeyError, pickle.UnpicklingError)


def network(run: Run, heads: Heads) -> MultiHeadClassifier:
    """The run's network with the weights of its checkpoint, tensors only; raises InputError where it has others."""
    model = run.config().model
    model.pretrained = False  # the run's own weights come instead
    node = OmegaConf.masked_copy(model, [key for key in model if key not in NOT_THE_NETWORK_S])
    net: MultiHeadClassifier = build(node, "model", heads)
    path = run.checkpoint()
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)["state_dict"]
        net.load_state_dict({key.removeprefix("net."): w for key, w in state.items() if key.startswith("net.")})
    except UNREADABLE as error:
        cause = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}: not a checkpoint of this run's model: {cause}") from error
    return net.eval()


@torch.inference_mode()
def embed(run: Run, store: Store, rows: np.ndarray, labels: np.ndarray, features: int) -> dict[str, np.ndarray]:
    """`read_as`, `sure`, `given` and `features` as `okkhor.reports.eda.opinions.Opinions` has them.

    The images are read as a file and resized here: neither the store nor its resized images stay in memory, and
    nothing is written beside them. Raises InputError for a store of other heads than the run's.
    """
    data = run.config().data
    heads = heads_in(data.source, OmegaConf.to_container(data.heads, resolve=True), store)
    store.check_heads(heads)
    images = StoredImages(store)
    place = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net = network(run, heads).to(place)
    found = {
        "read_as": np.empty((len(rows), len(heads)), np.int64),
        "sure": np.empty((len(rows), len(heads)), np.float32),
        "given": np.empty((len(rows), len(heads)), np.float32),
    }
    kept = []

    def prepared(start: int) -> np.ndarray:
        return resize(images[rows[start : start + BLOCK]], tuple(data.size), crop=data.get("crop", False))

    with ThreadPoolExecutor(1) as beside:  # the next block is read while the network looks at this one
        coming = beside.submit(prepared, 0)
        for start in range(0, len(rows), BLOCK):
            pixels = torch.from_numpy(coming.result())[:, None].to(place)
            if start + BLOCK < len(rows):
                coming = beside.submit(prepared, start + BLOCK)
            pooled = net.features(pixels)
            if start < features:
                kept.append(pooled.flatten(1)[: features - start].float().cpu().numpy())
            part = slice(start, start + BLOCK)
            for k, logits in zip(range(len(heads)), net.decided(net.read_off(pooled)), strict=False):
                probabilities = logits.float().softmax(1).cpu().numpy()
                each = np.arange(len(probabilities))
                best = probabilities.argmax(axis=1)
                found["read_as"][part, k], found["sure"][part, k] = best, probabilities[each, best]
                found["given"][part, k] = probabilities[each, labels[part, k]]
            print(min(start + BLOCK, len(rows)), flush=True)
    return {**found, "features": np.concatenate(kept) if kept else np.empty((0, 1), np.float32)}


def main() -> None:
    run, store, asked, features, out = sys.argv[1:]
    with np.load(asked, allow_pickle=False) as given:
        found = embed(Run.open(run), Store.open(store), given["rows"], given["labels"], int(features))
    with replacing(Path(out)) as temporary, temporary.open("wb") as file:
        np.savez(file, **found)


if __name__ == "__main__":
    from okkhor.tether import tether_if_started

    tether_if_started()
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")  # said by embedded.py, which started this
