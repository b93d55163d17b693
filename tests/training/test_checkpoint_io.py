"""A run's checkpoints are there whole, and a damaged one does not end in a traceback."""

import tempfile

import pytest
import torch

from okkhor.errors import InputError
from okkhor.runs import Run
from okkhor.training.checkpoint_io import WholeCheckpointIO, resumable
from okkhor.training.fit import fit
from okkhor.training.trainers import build_trainer


class Breaks:
    """Cannot be written: as if the process ended half way."""

    def __reduce__(self):
        raise KeyboardInterrupt


@pytest.fixture
def run(tmp_path):
    made = Run.create(tmp_path, "run")
    made.last.parent.mkdir(exist_ok=True)
    return made


def checkpoint(step):
    return {"state_dict": {"weight": torch.full((64, 64), float(step))}, "global_step": step}


def test_the_trainer_writes_its_checkpoints_so(compose):
    trainer = build_trainer(compose("trainer=cpu"), callbacks=[], logger=[])
    assert isinstance(trainer.strategy.checkpoint_io, WholeCheckpointIO)


def test_what_was_there_stays_until_the_new_one_is_whole(run):
    WholeCheckpointIO().save_checkpoint(checkpoint(1), run.last)
    with pytest.raises(KeyboardInterrupt):
        WholeCheckpointIO().save_checkpoint(checkpoint(2) | {"more": Breaks()}, run.last)
    assert [path.name for path in run.last.parent.iterdir()] == ["last.ckpt"]
    assert torch.load(run.last, weights_only=True)["global_step"] == 1


def test_nothing_is_written_outside_the_run_directory(run, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(run.path / "absent"))
    WholeCheckpointIO().save_checkpoint(checkpoint(3), run.last)
    assert torch.load(run.last, weights_only=True)["global_step"] == 3


def test_what_a_killed_process_left_goes_with_the_next_checkpoint(run):
    (run.last.parent / ".last.ckpt.4711.part").write_bytes(b"half")
    WholeCheckpointIO().save_checkpoint(checkpoint(1), run.last)
    assert [path.name for path in run.last.parent.iterdir()] == ["last.ckpt"]


def test_a_run_without_checkpoint_starts(run):
    assert resumable(run) is None


@pytest.mark.parametrize("left", [0, 100, 5000], ids=["empty", "its beginning", "half"])
def test_an_unreadable_last_checkpoint_is_replaced_by_the_best_in_one_line(run, left, capsys):
    WholeCheckpointIO().save_checkpoint(checkpoint(4), run.best)
    WholeCheckpointIO().save_checkpoint(checkpoint(5), run.last)
    assert resumable(run) == (run.last, 5)
    run.last.write_bytes(run.last.read_bytes()[:left])
    assert resumable(run) == (run.best, 4)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].endswith("going on from best.ckpt, step 4")


def test_nothing_readable_is_refused_with_what_to_do(run):
    run.last.write_bytes(b"")
    with pytest.raises(InputError, match=r"last\.ckpt: cannot be read .*remove it to start anew"):
        resumable(run)


def test_a_run_whose_last_checkpoint_was_cut_goes_on_from_the_best_to_the_end(compose):
    config = compose("trainer.max_epochs=2", "scheduler=constant")
    run = Run.create(config.paths.runs, "run")
    run.write_config(config)
    fit(run, config)
    run.last.write_bytes(run.last.read_bytes()[:1000])
    config.trainer.max_epochs = 3
    fit(run, config)
    assert run.metrics()["epochs"] == 3
    assert run.metrics()["resumed"] == 1
    assert torch.load(run.last, weights_only=True)["epoch"] == 2
