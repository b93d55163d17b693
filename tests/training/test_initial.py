import pytest
import torch
import yaml
from omegaconf import OmegaConf

from okkhor.errors import InputError
from okkhor.heads import Heads
from okkhor.runs import Run
from okkhor.training.build import build_module
from okkhor.training.fit import fit
from okkhor.training.initial import initialize

SSL = ("pretrain=simclr", "aug=views")


@pytest.fixture
def made(compose):
    """A run directory with a checkpoint of an untrained network, other than any that is made after it."""

    def make(name, *options):
        config = compose(*options)
        run = Run.create(config.paths.runs, name)
        run.write_config(config)
        torch.manual_seed(len(name))
        module = build_module(config, Heads.from_config(config.data.heads))
        for tensor in module.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(torch.rand_like(tensor))
        torch.save({"state_dict": module.state_dict()}, run.best)
        return run, module.net.state_dict()

    return make


def started_from(compose, run, *options):
    config = compose(f"model.init_from={run.path}", *options)
    heads = Heads.from_config(config.data.heads)
    net = build_module(config, heads).net
    before = {name: value.clone() for name, value in net.state_dict().items()}
    return before, net.state_dict(), *initialize(net, heads, config)


def test_a_pretraining_gives_its_backbone_and_exactly_that(compose, made):
    run, given = made("pre", *SSL)
    before, after, line, record = started_from(compose, run)
    for name, value in after.items():
        expected = before[name] if name.startswith("head_layers.") else given[name]
        assert torch.equal(value, expected), name
    assert any(not torch.equal(before[name], given[name]) for name in given if name.startswith("backbone."))
    assert not torch.equal(before["pool.exponent"], given["pool.exponent"])
    assert line == (
        f"model.init_from: the backbone of the pretraining {run.path} (best.ckpt); "
        "the heads root, vowel, consonant start anew"
    )
    assert record["loaded"] == ["backbone"]
    assert record["left"] == ["root", "vowel", "consonant"]


def test_a_supervised_run_gives_its_heads_too(compose, made):
    run, given = made("supervised")
    _, after, line, record = started_from(compose, run)
    assert all(torch.equal(after[name], given[name]) for name in given)
    assert line.endswith(f"the backbone and the heads root, vowel, consonant of the run {run.path} (best.ckpt)")
    assert record["left"] == []


def test_heads_of_other_classes_or_columns_are_left(compose, made):
    run, given = made("supervised")
    options = ("data.heads.vowel.classes=9", "data.heads.consonant.column=grapheme_root")
    before, after, line, record = started_from(compose, run, *options)
    assert torch.equal(after["head_layers.root.weight"], given["head_layers.root.weight"])
    for name in ("vowel", "consonant"):
        assert torch.equal(after[f"head_layers.{name}.weight"], before[f"head_layers.{name}.weight"])
    assert "the head root of the run" in line
    assert line.endswith("the heads vowel, consonant start anew")
    assert record["loaded"] == ["backbone", "root"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["model.options.widths=[4,8,8,16]"],
            "its network differs, backbone.layers.6.0.weight is 8×8×3×3 there and 16×8",
        ),
        (["model.pool=avg"], "its network differs, it has pool.exponent, which is not here"),
        (["model.options.blocks=[1,1,1,1]"], "its network differs, it has no backbone"),
        (["model.pretrained=true"], "model.pretrained: expected false with model.init_from"),
    ],
)
def test_another_network_is_refused(compose, made, options, said):
    run, _ = made("supervised")
    config = compose(f"model.init_from={run.path}", *options)
    heads = Heads.from_config(config.data.heads)
    net = build_module(compose(*[o for o in options if "pretrained" not in o]), heads).net
    with pytest.raises(InputError, match=said) as error:
        initialize(net, heads, config)
    assert "\n" not in str(error.value)


def test_what_is_no_run_or_no_checkpoint_is_refused(compose, made, tmp_path):
    run, _ = made("supervised")
    heads = Heads.from_config(compose().data.heads)
    net = build_module(compose(), heads).net
    with pytest.raises(InputError, match="no such run directory"):
        initialize(net, heads, compose(f"model.init_from={tmp_path / 'nowhere'}"))
    run.best.write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match=r"model.init_from=.*best.ckpt cannot be read as a checkpoint"):
        initialize(net, heads, compose(f"model.init_from={run.path}"))
    run.best.unlink()
    with pytest.raises(InputError, match="no checkpoint in it"):
        initialize(net, heads, compose(f"model.init_from={run.path}"))


def test_byol_s_target_starts_there_too_and_a_resumed_run_does_not_start_again(compose, made, monkeypatch):
    run, given = made("supervised")
    seen = {}

    def noted(self, module, **_):
        seen["net"] = {name: value.clone() for name, value in module.net.state_dict().items()}
        seen["target"] = {name: value.clone() for name, value in module.method.target.state_dict().items()}
        raise KeyboardInterrupt

    config = compose("pretrain=byol", "aug=views", f"model.init_from={run.path}")
    started = Run.create(config.paths.runs, "byol")
    started.write_config(config)
    with monkeypatch.context() as patched:
        patched.setattr("pytorch_lightning.Trainer.fit", noted)
        with pytest.raises(KeyboardInterrupt):
            fit(started, config)
    assert all(torch.equal(seen["net"][name], given[name]) for name in given)
    assert all(torch.equal(seen["target"][name], given[name]) for name in given)
    origin = yaml.safe_load((started.path / "provenance.yaml").read_text())["init_from"]
    assert origin["run"] == str(run.path)
    assert origin["checkpoint"] == "best.ckpt"
    assert len(origin["sha256"]) == 64


def test_fine_tuning_starts_from_the_pretraining_and_resuming_needs_it_no_more(compose, made, capsys):
    run, _ = made("pre", *SSL)
    config = compose(f"model.init_from={run.path}", "trainer.max_epochs=1", "scheduler=constant")
    tuned = Run.create(config.paths.runs, "tuned")
    tuned.write_config(config)
    fit(tuned, config)
    assert "model.init_from: the backbone of the pretraining" in capsys.readouterr().out
    for path in run.path.rglob("*.ckpt"):
        path.unlink()
    config.trainer.max_epochs = 2
    fit(tuned, config)
    assert tuned.metrics()["epochs"] == 2
    assert "model.init_from" not in capsys.readouterr().out
    assert yaml.safe_load((tuned.path / "provenance.yaml").read_text())["init_from"]["pretraining"]


def test_a_path_that_was_typed_becomes_absolute_in_the_run(compose, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = Run.create(tmp_path / "runs", "x")
    run.write_config(compose("model.init_from=runs/pre/1"))
    assert OmegaConf.load(run.path / "config.yaml").model.init_from == str(tmp_path / "runs/pre/1")
