"""The same command line as training jobs of SageMaker: the local AWS really runs them."""

import csv
import importlib.util
import json
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import waiting
import yaml
from omegaconf import OmegaConf

from okkhor.data.store import Store, competition_store
from okkhor.data.upload import upload_store
from okkhor.heads import Heads
from okkhor.launching.sagemaker.record import read_records
from okkhor.runs import Run
from okkhor.serving.predictor import Predictor

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [
    pytest.mark.serial,
    pytest.mark.skipif(importlib.util.find_spec("sagemaker") is None, reason="pip install -e '.[sagemaker]'"),
]


@pytest.fixture(scope="session")
def packed(synthetic_dir):
    """The synthetic images as a packed store: what the jobs get as a channel."""
    config = OmegaConf.load(ROOT / "configs" / "data" / "bengali.yaml")
    heads = Heads.from_config(OmegaConf.to_container(config.heads))
    return competition_store(str(synthetic_dir), heads, size=tuple(config.raw_size)).path


@pytest.fixture
def place(aws, packed):
    """The words of a job on the local AWS, where the packed store lies in the bucket."""
    upload_store(Store.open(packed), f"s3://{aws.bucket}/data", progress=False)
    return [
        "launcher=sagemaker",
        f"launcher.role={aws.role}",
        f"launcher.bucket={aws.bucket}",
        f"launcher.data=s3://{aws.bucket}/data",
        "launcher.instance_type=ml.m5.large",
        "launcher.poll_seconds=0.3",
        "launcher.requirements=false",  # the containers of the local AWS have this environment
    ]


@pytest.fixture
def words(tiny):
    """A run of seconds, which says nothing of where its data lie."""
    kept = [word for word in tiny if not word.startswith(("data.dir=", "callbacks="))]
    return [*kept, "callbacks.report=false"]


def runs(tmp_path):
    return [Run.open(path.parent) for path in sorted((tmp_path / "runs").glob("**/config.yaml"))]


def weights(path):
    return torch.load(path, weights_only=True)["state_dict"]


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def typed(train_py, tmp_path):
    """typed(words) -> train.py, started; it is ended with the test."""
    started = []

    def start(*words):
        command = [sys.executable, str(train_py), *words]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        started.append(subprocess.Popen(command, **pipes, text=True, cwd=tmp_path, start_new_session=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


until = partial(waiting.until, seconds=120)


def test_two_hosts_give_what_two_processes_give(command, aws, place, words, packed, tmp_path):
    ddp = ["trainer=ddp_sim", "trainer.devices=1"]
    done = command("train.py", *words, *ddp, *place, "launcher.instance_count=2", "name=there")
    assert done.returncode == 0, done.stderr
    assert "epoch 2/2" in done.stdout  # the log, as it came
    assert "algo-2: " in done.stdout
    alone = command("train.py", *words, f"data.store={packed}", "trainer=ddp_sim", "trainer.devices=2", "name=here")
    assert alone.returncode == 0, alone.stderr
    here, there = runs(tmp_path)
    expected, found = here.metrics(), there.metrics()
    assert found.keys() == expected.keys()
    for name in found:
        if name != "seconds":
            assert found[name] == pytest.approx(expected[name], rel=1e-5), name
    # a run directory like any other: its own command and source, and the next commands take it
    provenance = yaml.safe_load((there.path / "provenance.yaml").read_text())
    assert "launcher=sagemaker" in provenance["command"]
    assert set(provenance["git"]) == {"commit", "diff"}
    assert there.config().launcher.role == aws.role
    assert there.last.is_file()
    assert "epoch 2/2" in (there.logs / "output.log").read_text()
    read = command("scripts/evaluate.py", str(there.path), f"data.store={packed}")
    assert read.returncode == 0, read.stderr
    # what was asked for is what a dry run shows, but for the names, which are of a time
    shown = command(
        "train.py", *words, *ddp, *place, "launcher.instance_count=2", "name=there", "launcher.dry_run=true"
    )
    assert shown.returncode == 0, shown.stderr
    (sent,) = [request for operation, request in aws.requests if operation == "CreateTrainingJob"]
    assert nameless(json.loads(shown.stdout)) == nameless(sent)


@pytest.mark.slow
def test_the_same_line_trains_goes_online_answers_and_leaves_nothing(command, aws, hosting, place, words, tmp_path):
    done = command("train.py", *words, *place, "export=onnx")
    assert done.returncode == 0, done.stderr
    (run,) = runs(tmp_path)
    bundle = run.path / "bundle"
    image = tmp_path / "letter.png"
    cv2.imwrite(str(image), cv2.circle(np.full((137, 236), 250, np.uint8), (118, 68), 40, 15, 6))
    target = ("scripts/deploy.py", "--target", "sagemaker")
    made = command(*target, str(run.path), "--role", aws.role, "--bucket", aws.bucket, timeout=600)
    assert made.returncode == 0, made.stderr
    asked = command("scripts/invoke.py", str(image), "--endpoint", "okkhor", "--json", "--timeout", "200")
    assert asked.returncode == 0, asked.stderr
    (expected,) = Predictor.load(bundle, "onnx").predict([image.read_bytes()])
    assert json.loads(asked.stdout)["grapheme"] == expected.as_json()["grapheme"]
    gone = command(*target, "--delete")
    assert gone.returncode == 0, gone.stderr
    assert not hosting.endpoints
    assert not any(hosting.requests.values())


def nameless(request):
    """A request without what a run's time and a random tail make of names."""
    time_and_tail = r"\d{4}-\d\d-\d\d[-_]\d\d-\d\d-\d\d(-[0-9a-f]{6})?(-\d{14})?"
    return json.loads(re.sub(time_and_tail, "NAME", json.dumps(request)))


def test_a_sweep_goes_on_when_a_job_is_interrupted_and_others_fail(aws, typed, place, words, tmp_path, command, packed):
    # a rate of 1e30 ends in a loss that is none
    sweep = ["-m", "sweep=optuna", "sweep.trials=4", "sweep.seed=1", "optimizer.lr=choice(0.01,0.02,1e30)"]
    process = typed(*sweep, *words, "trainer.max_epochs=12", *place, "launcher.spot=true", "launcher.n_jobs=2")
    first = until(lambda: aws.created or process.poll() is not None) and aws.created[0]
    aws.until(first, "Training", "epoch 3/12")
    aws.interrupt(first)
    output, errors = process.communicate(timeout=200)
    assert process.returncode == 1, output + errors
    assert "jobs failed" in errors
    assert errors.count("sent to s3://") == 1  # one archive for all
    assert len(aws.created) == 4
    found = runs(tmp_path)
    done = [run for run in found if (run.path / "metrics.json").is_file()]
    assert len(found) == 4
    assert 1 <= len(done) < 4
    (board,) = (tmp_path / "runs").glob("*/*/leaderboard.csv")
    rows = {int(row["job"]): row for row in csv.DictReader(board.read_text().splitlines())}
    for number, run in enumerate(found):
        lost = run.config().optimizer.lr > 1
        assert rows[number]["status"] == ("failed" if lost else "done")
        assert ("the loss is" in rows[number]["reason"]) is lost
    again = next(run for run in found if read_records(run)[-1].name == first)
    passed = aws.client("sagemaker").describe_training_job(TrainingJobName=first)["SecondaryStatusTransitions"]
    assert "Interrupted" in [one["Status"] for one in passed]
    rate = f"optimizer.lr={again.config().optimizer.lr}"
    alone = command("train.py", *words, "trainer.max_epochs=12", rate, f"data.store={packed}", "name=here")
    assert alone.returncode == 0, alone.stderr
    here = next(run for run in runs(tmp_path) if "here" in run.path.parts)
    assert same(weights(again.last), weights(here.last))
    assert again.metrics()["objective"] == here.metrics()["objective"]
    curve = [run.logs.joinpath("metrics.csv").read_text().splitlines() for run in (again, here)]
    assert len(curve[0]) == len(curve[1])


ALONE = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"), "")
ALONE |= dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), "/dev/null")
ALONE |= {"AWS_EC2_METADATA_DISABLED": "true", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}  # nobody answers there
DATA = "launcher.data=s3://b/store"
NAMED = [
    "launcher=sagemaker",
    "launcher.role=arn:aws:iam::123456789012:role/Name",
    "launcher.bucket=bucket",
    "launcher.region=eu-west-1",
]


def test_a_dry_run_shows_the_request_and_makes_nothing(command, words, tmp_path):
    words = [*words, *NAMED, "launcher.dry_run=true", DATA]
    done = command("train.py", *words, **ALONE)
    assert done.returncode == 0, done.stderr
    request = json.loads(done.stdout)
    assert request["RoleArn"] == "arn:aws:iam::123456789012:role/Name"
    said = dict(line.split(maxsplit=1) for line in done.stderr.splitlines())
    assert said["image"] == request["AlgorithmSpecification"]["TrainingImage"]
    assert said["price"].startswith("price unknown")
    assert " packed, " in said["source"]
    sweep = command("train.py", "-m", *words, "seed=1,2", "launcher.prices={ml.g5.xlarge: 1.5}", **ALONE)
    assert sweep.returncode == 0, sweep.stderr
    assert sweep.stdout.count('"TrainingJobName"') == 2
    assert sweep.stderr.count("at most $36.00 in launcher.max_run=86400 s") == 2
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "error: launcher.data: none is named"),
        (
            ["-m", "sweep=optuna", "launcher.wait=false", DATA],
            "error: launcher.wait=false: sweep=optuna proposes",
        ),
        (
            ["trainer=ddp", "launcher.instance_type=ml.m5.large"],
            "error: launcher.instance_type=ml.m5.large: has no GPU",
        ),
    ],
)
def test_what_cannot_be_is_said_in_one_line_and_makes_nothing(command, words, tmp_path, more, said):
    flags = [word for word in more if word.startswith("-")]
    more = [word for word in more if not word.startswith("-")]
    done = command("train.py", *flags, *words, *NAMED, *more, **ALONE)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(said)
    assert not runs(tmp_path)
