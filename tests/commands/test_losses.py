"""Losses, decision rules and the grapheme head as a user types them."""

import json

import pytest

from okkhor.runs import Run


def runs(tmp_path):
    return [Run.open(path.parent) for path in sorted((tmp_path / "runs").glob("default/**/config.yaml"))]


@pytest.mark.parametrize(
    ("words", "target"),
    [
        (["model.loss=cross_entropy", "model.loss.smoothing=0.1"], "CrossEntropy"),
        (["model.loss=focal", "model.loss.gamma=3"], "Focal"),
        (["model/loss=ohem", "model.loss.share=0.5"], "OHEM"),
        (["model.loss=class_balanced", "model.loss.beta=0.99", "model.loss.power=0.2"], "ClassBalanced"),
        (["model.decision=prior_corrected"], "CrossEntropy"),
        (["model.decision=prior_corrected", "model.power=0.7", "model.grapheme_head=true"], "CrossEntropy"),
    ],
    ids=["cross_entropy", "focal", "ohem", "class_balanced", "prior_corrected", "grapheme_head"],
)
def test_each_is_chosen_trained_and_evaluated_to_the_same_score(command, tiny, tmp_path, words, target):
    unlimited = [word for word in tiny if "limit_val" not in word]
    done = command("train.py", *unlimited, "trainer.max_epochs=1", *words)
    assert done.returncode == 0, done.stderr
    (run,) = runs(tmp_path)
    model = run.config().model
    assert model.loss["_target_"] == f"okkhor.models.losses.{target}"
    for word in words[1:]:
        keys, _, value = word.partition("=")
        node = run.config()
        for key in keys.split("."):
            node = node[key]
        assert str(node).lower() == value
    done = command("scripts/evaluate.py", str(run.path), "--json", "found.json")
    assert done.returncode == 0, done.stderr
    found, metrics = json.loads((tmp_path / "found.json").read_text()), run.metrics()
    scored = {name: value for name, value in metrics.items() if name.startswith("val/")}
    assert {"val/score", "val/loss", "val/score_unseen", "val/images_seen", "val/images_unseen"} <= scored.keys()
    assert {name: value for name, value in found.items() if name.startswith("val/")} == pytest.approx(scored, abs=1e-6)


@pytest.mark.slow
def test_losses_are_swept(command, tiny, tmp_path):
    done = command("train.py", "-m", *tiny, "trainer.max_epochs=1", "model.loss=focal,ohem", "model.loss.smoothing=0.1")
    assert done.returncode == 0, done.stderr
    losses = [run.config().model.loss for run in runs(tmp_path)]
    assert [loss["_target_"].rpartition(".")[2] for loss in losses] == ["Focal", "OHEM"]
    assert [loss.smoothing for loss in losses] == [0.1, 0.1]
    assert "model/loss=focal" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["model.loss=fokal"],
            "error: model/loss=fokal: no such choice; expected one of class_balanced, cross_entropy,",
        ),
        (["model.loss=focal", "model.loss.share=0.5"], "error: model.loss.share: no such option"),
        (["model.loss=0"], "error: model.loss: expected the name of a loss, as model.loss=focal, got 0"),
        (["model.loss=ohem", "model.loss.share=2"], "error: model.loss.share: expected a share above 0 to 1, got 2"),
        (["model.decision=vote"], "error: model.decision: expected one of argmax, prior_corrected, got 'vote'"),
        (["model.loss=focal,ohem"], "error: model/loss=focal,ohem: several values are a sweep, which takes -m"),
    ],
)
def test_a_mistake_ends_in_one_line(command, tmp_path, words, said):
    done = command("train.py", *words)
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith(said)
    assert not runs(tmp_path)
