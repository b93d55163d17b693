import math

import torch

from okkhor.benchmarks.step import WARM_UP, measure, one_thread, take_turns
from okkhor.heads import Heads


def test_both_sides_do_the_same_work_their_weights_end_equal(setting):
    thin = ["data.size=[24,40]", "data.batch_size=8", "model.options.widths=[4,8,8,8]"]
    config = setting.config(["data=bengali", "trainer=cpu", "trainer.max_epochs=1", *thin])
    with one_thread():
        turns = take_turns(config, Heads.from_config(config.data.heads), 3, seed=0)
    assert len(turns.bare) == len(turns.lightning) == 3
    assert min(*turns.bare, *turns.lightning) > 0
    assert turns.optimizer.state  # it did learn
    bare, trained = turns.module.net.state_dict(), turns.trained.net.state_dict()
    assert all(torch.equal(bare[name], trained[name]) for name in bare)
    assert turns.scheduler.last_epoch == WARM_UP + 3 + 1


def test_the_number_of_threads_is_put_back():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def test_the_whole_part_in_a_few_steps(setting, capsys, monkeypatch):
    monkeypatch.setattr("okkhor.benchmarks.step.WARM_UP", 1)
    ticks = []
    (figure,) = measure(setting, ticks.append)
    assert math.isfinite(figure.ratio.median)
    assert figure.ratio.median > 0
    assert len(ticks) == setting.rounds
    assert capsys.readouterr().out == ""
