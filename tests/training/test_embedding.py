import subprocess
import sys

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from okkhor.data.reading import StoredImages
from okkhor.errors import InputError
from okkhor.runs import Run
from okkhor.training.build import build_data, build_module
from okkhor.training.embedded import _held_out, _start, ask
from okkhor.training.embedding import embed, network


@pytest.fixture
def run(compose, tmp_path):
    """A run with untrained weights, and its data."""
    config = compose()
    made = Run.create(tmp_path / "runs", "small")
    made.write_config(config)
    data = build_data(config)
    torch.manual_seed(0)
    torch.save({"state_dict": build_module(config, data.heads).state_dict()}, made.best)
    return made, config, data


def test_what_is_read_is_what_the_network_says_of_the_images_that_training_sees(run):
    made, config, data = run
    rows = np.random.default_rng(0).permutation(500)[:140]  # more than a block
    found = embed(made, data.store, rows, data.store.labels[rows], 3)
    module = build_module(config, data.heads)
    module.load_state_dict(torch.load(made.best, weights_only=True)["state_dict"])
    net = module.eval().net
    with torch.inference_mode():
        images = torch.from_numpy(np.asarray(data.images[rows]))[:, None]
        probabilities = [logits.softmax(1).numpy() for logits in net(images)]
        features = net.features(images[:3]).numpy()
    for k, expected in enumerate(probabilities):
        assert np.allclose(found["sure"][:, k], expected.max(axis=1), atol=1e-5)
        given = expected[np.arange(140), data.store.labels[rows, k]]
        assert np.allclose(found["given"][:, k], given, atol=1e-5)
        assert (found["read_as"][:, k] == expected.argmax(axis=1)).mean() > 0.99
    assert np.allclose(found["features"], features, atol=1e-4)


def test_held_out_images_come_first_where_the_run_knows_them(run, monkeypatch):
    made, _, data = run
    monkeypatch.setattr("okkhor.training.embedded._start", lambda words, done: np.savez(
        words[-1], read_as=0, sure=0, given=0, features=0))  # fmt: skip
    asked = {"most": 200, "features": 0, "seed": 0, "advance": lambda *_: None}
    assert ask(made, data.store, **asked).held_out is None  # it does not say what it was trained on
    made.write_provenance({"identity": data.store.key})
    opinions = ask(made, data.store, **asked)
    count = int(data.validation_rows.sum())
    assert 0 < count < 200
    assert opinions.held_out.tolist() == [True] * count + [False] * (200 - count)
    assert set(opinions.rows[:count]) == set(np.flatnonzero(data.validation_rows))
    assert len(set(opinions.rows)) == 200


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        (
            "echo 'a warning\nerror: best.ckpt: not a checkpoint\nmore' >&2; exit 2",
            r"^--run: best\.ckpt: not a ch[a-z]+$",
        ),
        ("exit 137", "^--run: it ended with status 137$"),
    ],
)
def test_how_the_other_process_ends_is_said_in_one_line(monkeypatch, tmp_path, ends, said):
    stand_in = tmp_path / "python"
    stand_in.write_text(f"#!/bin/sh\necho 128\necho 150\n{ends}\n")
    stand_in.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(stand_in))
    done = []
    with pytest.raises(InputError, match=said):
        _start(["RUN"], done.append)
    assert done == [128, 150]


def test_rows_of_a_store_are_read_without_mapping_it(run):
    store = run[2].store
    images, rows = StoredImages(store), np.array([499, 3, 3, 0])
    assert (images[rows] == store.images[rows]).all()
    assert (images.block(490, 600) == store.images[490:]).all()
    assert [stop - start for start, stop in images.starts(300)] == [300, 200]


def test_a_run_without_trained_heads_or_with_other_weights_is_refused(run):
    made, config, data = run
    torch.save({"state_dict": {"net.backbone": torch.zeros(1)}}, made.best)
    with pytest.raises(InputError, match=r"best\.ckpt: not a checkpoint of this run's model"):
        network(made, data.heads)
    made.best.write_bytes(b"no checkpoint")
    with pytest.raises(InputError, match=r"best\.ckpt: not a checkpoint of this run's model"):
        network(made, data.heads)
    OmegaConf.update(config, "pretrain", {"method": "simclr"}, force_add=True)
    made.write_config(config)
    with pytest.raises(InputError, match="a pretraining has no trained heads"):
        ask(made, data.store, most=1, features=0, seed=0, advance=lambda *_: None)


def test_the_other_process_does_without_lightning():
    code = "import sys, okkhor.training.embedding; print('pytorch_lightning' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_a_run_whose_data_names_no_split_was_held_out_by_the_default_one(compose, tmp_path):
    config = compose()
    store = build_data(config).store
    run = Run.create(tmp_path, "own")
    run.write_config(OmegaConf.create({"data": {"source": "competition"}}))
    (run.path / "provenance.yaml").write_text(f"data: {{identity: {store.key}}}\n")
    assert 0.1 < _held_out(run, store).mean() < 0.3  # one fold of five
