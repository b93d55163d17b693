import numpy as np
import pytest
import torch

from okkhor.data.module import ImageData
from okkhor.errors import InputError
from okkhor.models.module import ClassifierModule
from okkhor.reports.finding import draw_batches, draw_rates
from okkhor.training import finding
from okkhor.training.fit import quiet


@pytest.fixture(autouse=True)
def _quiet():
    quiet()


def test_rates_rise_losses_are_a_running_mean_and_nothing_stays(compose, monkeypatch, tmp_path):
    losses = []
    step = ClassifierModule.training_step

    def noted(self, batch, batch_idx):
        loss = step(self, batch, batch_idx)
        losses.append(loss.item())
        return loss

    monkeypatch.setattr(ClassifierModule, "training_step", noted)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    config = compose("scheduler=plateau", "callbacks.ema.decay=0.9")
    found = finding.find_rate(config, least=1e-5, most=1e-1, steps=40)
    assert found.rates[0] == pytest.approx(1e-5)
    ratios = found.rates[2:] / found.rates[1:-1]
    assert ratios == pytest.approx(np.full(len(ratios), 1e4 ** (1 / 40)), rel=1e-3)
    mean, expected = 0.0, []
    for count, loss in enumerate(losses, start=1):
        mean = 0.98 * mean + 0.02 * loss
        expected.append(mean / (1 - 0.98**count))
    assert found.losses == pytest.approx(expected[: len(found.losses)], rel=1e-5)
    assert len(found.losses) >= 30
    assert not (tmp_path / "runs").exists()
    assert not list((tmp_path / "scratch").iterdir())


def test_the_steepest_rate_is_where_the_loss_falls_most():
    rates = np.geomspace(1e-6, 1, 100)
    losses = 3 - 2 / (1 + np.exp(-3 * (np.log(rates) - np.log(1e-3))))
    assert finding._steepest(rates, losses) == pytest.approx(1e-3, rel=0.2)
    assert finding._steepest(rates, -losses) is None
    assert finding._steepest(rates, np.full(100, np.nan)) is None


def test_batches_double_up_to_what_was_asked_for(compose):
    found = finding.find_batch_size(compose("data.drop_last=true"), least=8, most=64)
    assert found.sizes == [8, 16, 32, 64]
    assert all(speed > 0 for speed in found.speeds)


@pytest.mark.parametrize(("fits", "least", "tried"), [(40, 8, [8, 16, 32]), (40, 64, [32]), (1, 8, [1]), (0, 8, None)])
def test_batches_end_with_the_memory(compose, monkeypatch, fits, least, tried):
    step = ClassifierModule.training_step

    def small_memory(self, batch, batch_idx):
        if len(batch[0]) > fits:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return step(self, batch, batch_idx)

    monkeypatch.setattr(ClassifierModule, "training_step", small_memory)
    if tried:
        assert finding.find_batch_size(compose(), least=least, most=256).sizes == tried
    else:
        with pytest.raises(InputError, match=r"data\.batch_size: not even one image fits"):
            finding.find_batch_size(compose(), least=least, most=256)


def test_batches_end_with_the_images(compose):
    images = len(ImageData(**_data(compose())).rows("train"))
    assert finding.find_batch_size(compose(), least=100, most=8192).sizes[-1] <= images


def _data(config):
    return {key: value for key, value in config.data.items() if key not in ("_target_",)}


@pytest.mark.parametrize("limits", [{"least": 0.0, "most": 1.0}, {"least": 1e-2, "most": 1e-3}])
def test_impossible_limits_are_refused(compose, limits):
    with pytest.raises(InputError, match="--from, --to"):
        finding.find_rate(compose(), steps=100, **limits)
    with pytest.raises(InputError, match="--from, --to"):
        finding.find_batch_size(compose(), least=64, most=8)


def test_pictures_say_what_was_found():
    rates = np.geomspace(1e-6, 1, 60)
    figure = draw_rates(rates, np.linspace(4, 1, 60), {"steepest": 1e-3})
    assert "0.001" in figure.texts[0].get_text()
    assert "does not fall" in draw_rates(rates, np.linspace(1, 4, 60), {}).texts[0].get_text()
    figure = draw_batches([16, 32, 64], [10.0, 30.0, 20.0], 64)
    assert figure.texts[0].get_text() == "Batches of 64 fit; those of 32 are the fastest"
    assert "all that were tried fit" in figure.texts[1].get_text()
    assert "did not fit" in draw_batches([16], [1.0], 256).texts[1].get_text()
