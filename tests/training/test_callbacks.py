import signal
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch

from okkhor.errors import NonFiniteLossError
from okkhor.runs import Run
from okkhor.training.callbacks import Bar, GracefulStop, Speed, StopOnNonFiniteLoss, clock
from okkhor.training.trainers import build_trainer


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00"), (59.6, "1:00"), (3725, "1:02:05"), (float("nan"), "-"), (float("inf"), "-")]
)
def test_clock(seconds, shown):
    assert clock(seconds) == shown


def test_handlers_are_put_back_and_a_second_signal_stops_at_once(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    stop = GracefulStop(Run(tmp_path))
    trainer = SimpleNamespace(world_size=1, is_global_zero=True)
    stop.on_train_start(trainer, None)
    signal.raise_signal(signal.SIGINT)
    assert stop._agreed(trainer)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    stop.teardown(trainer, None, "fit")
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), float("-inf")])
def test_a_loss_that_is_none_names_epoch_batch_and_rows(loss):
    trainer = SimpleNamespace(
        current_epoch=3, global_step=70,
        train_dataloader=SimpleNamespace(batch_sampler=[[(3, 5), (3, 6)], [(3, 11), (3, 12)]]),
    )  # fmt: skip
    with pytest.raises(NonFiniteLossError, match=r"epoch 3, batch 1 .*step 70; store rows 11, 12"):
        StopOnNonFiniteLoss().on_train_batch_end(trainer, None, {"loss": torch.tensor(loss)}, None, 1)


def test_speed_counts_the_images_of_all_ranks_and_the_time_left(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    speed = Speed()
    trainer = SimpleNamespace(current_epoch=0, world_size=2, num_training_batches=4, max_epochs=3)
    speed.on_train_start(trainer, None)
    speed.on_train_epoch_start(trainer, None)
    for batch in range(2):
        now[0] += 5
        speed.on_train_batch_end(trainer, None, None, (torch.zeros(8, 1),), batch)
    assert speed.images_per_second == pytest.approx(2 * 2 * 8 / 10)
    assert speed.seconds_left == pytest.approx(10 / 0.5 * 2.5)


def test_the_bar_counts_epochs_as_the_lines_do(compose):
    trainer = build_trainer(compose("trainer.max_epochs=6"), callbacks=[bar := Bar(Speed())], logger=[])
    bar.setup(trainer, pl.LightningModule(), "fit")
    assert bar._get_train_description(trainer.current_epoch).strip() == "Epoch 1/6"
