"""What runs inside a training job: on a folder in place of /opt/ml, and in real jobs of the local AWS."""

import json
import signal
import subprocess
import sys
import time

import pytest
import torch
from aws.requests import job, objects, on_spot, send_source, unpacked

from okkhor.data.store import competition_store
from okkhor.errors import InputError
from okkhor.heads import Heads
from okkhor.launching.sagemaker import container, contract
from okkhor.launching.sagemaker.container import Place, run_job
from okkhor.runs import Run

OKKHOR = f"{contract.RUNS}/x/1"  # the run directory in a job


@pytest.fixture
def place(tmp_path):
    """place(rank, hosts) -> a folder like /opt/ml, with the channel `run`."""

    def make(rank=0, hosts=1):
        ml = tmp_path / f"ml{rank}"
        config = ml / "input" / "config"
        config.mkdir(parents=True)
        names = [f"algo-{n + 1}" for n in range(hosts)]
        told = {"current_host": names[rank], "hosts": names[::-1], "network_interface_name": "lo"}
        (config / "resourceconfig.json").write_text(json.dumps(told))
        channel = ml / "input" / "data" / contract.RUN_CHANNEL
        channel.mkdir(parents=True)
        (channel / "config.yaml").write_text("name: x\n")
        (channel / contract.COMMAND_FILE).write_text("python train.py name=x\n")
        return Place.find(ml)

    return make


def words(place, script):
    """The words of a job whose train.py is a line of Python; `run` in it is the run directory."""
    train = place.ml / "train.py"
    start = "import os, sys, time, signal, json; from pathlib import Path; run = Path(sys.argv[1].partition('=')[2])\n"
    train.write_text(start + script + "\n")
    return ["python", str(train), f"resume={place.at(contract.RUNS) / 'x' / '1'}"]


def test_a_run_begins_with_its_channel_and_goes_on_with_its_checkpoints(place):
    here = place()
    script = "(run / 'checkpoints' / 'last.ckpt').open('a').write('w'); print(os.environ['OKKHOR_COMMAND'])"
    script += "\n(run / 'config.yaml').write_text('name: y')\nassert not (run / 'command').exists()"
    for times in (1, 2):
        assert run_job(here, words(here, script)) == 0
        run = here.at(OKKHOR)
        assert (run / "checkpoints" / "last.ckpt").read_text() == "w" * times
        assert (run / "config.yaml").read_text() == "name: y"  # what the job has is newer than the channel's
        assert (here.at(contract.OUTPUT) / "checkpoints" / "last.ckpt").read_text() == "w" * times


def test_other_hosts_work_where_sagemaker_does_not_look(place):
    here = place(1, 2)
    assert (here.rank, here.hosts) == (1, 2)
    kept = here.at(OKKHOR) / "checkpoints"
    kept.mkdir(parents=True)
    (kept / "last.ckpt").write_text("weights")
    script = (
        "print((run / 'checkpoints' / 'last.ckpt').read_text()); (run / 'checkpoints' / 'last.ckpt').write_text('')"
    )
    assert run_job(here, words(here, script)) == 0
    assert (kept / "last.ckpt").read_text() == "weights"
    assert Run(here.own(here.at(OKKHOR))).id == Run(here.at(OKKHOR)).id  # by which torchrun's machines find each other
    assert not here.at(contract.OUTPUT).exists()


def test_a_bundle_is_the_model(place):
    here = place()
    assert (
        run_job(here, words(here, "(run / 'bundle').mkdir(); (run / 'bundle' / 'bundle.yaml').write_text('a: 1')")) == 0
    )
    assert (here.at(contract.MODEL) / "bundle.yaml").read_text() == "a: 1"


REFUSES = "from okkhor.launching.exits import one_line_errors\nfrom okkhor.errors import InputError\n"
REFUSES += "with one_line_errors(): raise InputError('data.dir: no such folder')"


@pytest.mark.parametrize(
    ("script", "status", "reason"),
    [
        (REFUSES, 2, "data.dir: no such folder"),
        ("sys.exit(3)", 3, "ended with status 3 and no word"),
        ("os.kill(os.getpid(), 9)", 1, "killed by SIGKILL"),
    ],
)
def test_a_failure_leaves_its_one_line_reason(place, script, status, reason):
    here = place()
    assert run_job(here, words(here, script)) == status
    assert here.at(contract.FAILURE).read_text() == reason


def test_what_a_rank_of_torchrun_refuses_is_the_reason_too(place):
    here = place()
    assert run_job(here, ["torchrun", "--standalone", "--nproc-per-node=2", *words(here, REFUSES)[1:]]) == 2
    assert here.at(contract.FAILURE).read_text() == "data.dir: no such folder"


def test_what_is_no_job_is_refused(place, tmp_path):
    with pytest.raises(InputError, match=r"expected to run in a SageMaker training job"):
        Place.find(tmp_path / "nothing")
    here = place()
    with pytest.raises(InputError, match="expected python or torchrun"):
        run_job(here, ["python", "train.py"])
    (here.at(contract.channel(contract.RUN_CHANNEL)) / "config.yaml").unlink()
    with pytest.raises(InputError, match=r"no config\.yaml, neither there nor in the channel"):
        run_job(here, words(here, ""))


def test_sigterm_is_passed_on_and_the_job_has_stopped_not_failed(place):
    here = place()
    script = "def save(*_): (run / 'saved').touch(); sys.exit(130)\n"
    script += "signal.signal(signal.SIGTERM, save); (run / 'up').touch(); time.sleep(60)"
    said = words(here, script)
    code = "import sys; from pathlib import Path; from okkhor.launching.sagemaker.container import Place, run_job\n"
    code += f"sys.exit(run_job(Place(Path({str(here.ml)!r})), {said!r}))"
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 60
    while not (here.at(OKKHOR) / "up").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 130
    assert (here.at(contract.OUTPUT) / "saved").exists()
    assert not here.at(contract.FAILURE).exists()


@pytest.mark.serial
def test_the_key_of_wandb_comes_from_its_secret(aws, place):
    secrets = aws.session.client("secretsmanager")
    secrets.create_secret(Name="plain", SecretString="k1\n")
    secrets.create_secret(Name="json", SecretString='{"WANDB_API_KEY": "k2"}')
    here = place()
    for name, key in (("plain", "k1"), ("json", "k2")):
        made = container.prepared(here, {contract.WANDB_SECRET: name})
        assert made["WANDB_API_KEY"] == key
        assert contract.WANDB_SECRET not in made
    with pytest.raises(InputError, match=r"launcher\.wandb_secret: gone cannot be read"):
        container.read_secret("gone")


IN_JOB = """set -e
mkdir /tmp/code; cd /tmp/code; tar xzf /opt/ml/input/data/code/source.tar.gz
export PYTHONPATH=/tmp/code/src PYTHONUNBUFFERED=1
RANK_OF_HOST=$(( ${CURRENT_HOST#algo-} - 1 ))
"""


@pytest.fixture
def two_hosts(aws, synthetic_dir, compose, tmp_path):
    """two_hosts(name, option, …) -> a job on spot with two hosts that train a run together; its run is x/1."""

    def start(name, *options):
        config = compose(*options, "trainer.devices=1", "trainer.num_nodes=2", "name=x")
        heads = Heads.from_config(config.data.heads)
        packed = competition_store(str(synthetic_dir), heads, size=tuple(config.data.raw_size)).path
        config.data.dir = "/elsewhere"
        run = Run.create(tmp_path / "made", "x")
        run.write_config(config)
        store = aws.client("s3")
        store.upload_file(str(run.path / "config.yaml"), aws.bucket, "run/config.yaml")
        for path in (path for path in packed.rglob("*") if path.is_file()):
            store.upload_file(str(path), aws.bucket, f"store/{path.relative_to(packed)}")
        start = (
            f"exec {contract.ENTRY} torchrun --nnodes=2 --node_rank=$RANK_OF_HOST --master_addr=algo-1 "
            f"--master_port=7777 --nproc_per_node=1 train.py resume={OKKHOR} launcher=local "
            "data.store=/opt/ml/input/data/store"
        )
        channels = {"code": send_source(aws), "run": "run", "store": "store"}
        return job(aws, name, IN_JOB + start, instances=2, channels=channels, **on_spot(aws, "kept"))

    return start


OPTIONS = ("trainer=ddp_sim", "callbacks=default", "callbacks.report=false")


@pytest.mark.slow
@pytest.mark.serial
def test_two_hosts_on_spot_that_are_taken_away_end_with_the_weights_of_a_run_that_was_not(
    aws, two_hosts, command, tiny, tmp_path
):
    """Also: the bundle is the model, and the metrics are those of two processes on one machine."""
    two_hosts("spot", *OPTIONS, "trainer.max_epochs=4", "export=onnx")
    aws.until("spot", "Training", "epoch 2/4")
    aws.interrupt("spot")
    told = aws.wait("spot")
    assert told["TrainingJobStatus"] == "Completed", aws.tail("spot")
    assert [one["Status"] for one in told["SecondaryStatusTransitions"]].count("Interrupted") == 1
    found = unpacked(aws, "spot")
    assert {"metrics.json", "config.yaml", "provenance.yaml", "checkpoints/last.ckpt"} <= set(found)
    assert len(found["logs/metrics.csv"].splitlines()) >= 5  # the curve of before the interruption, too
    assert set(unpacked(aws, "spot", "model")) == {"bundle.yaml", "model.onnx"}
    assert "kept/runs/x/1/metrics.json" in objects(aws, "kept")
    lines = [line for line in aws.logs("spot")["algo-1"] if line.startswith("epoch ")]
    assert len(lines) in (4, 5), lines  # it went on with what was kept, and did not begin anew

    done = command("train.py", *tiny, *OPTIONS, "trainer.max_epochs=4", "trainer.devices=2", timeout=1200)
    assert done.returncode == 0, done.stderr
    wanted = Run.newest(tmp_path / "runs")
    assert json.loads(found["metrics.json"])["val/score"] == wanted.metrics()["val/score"]
    (tmp_path / "last.ckpt").write_bytes(found["checkpoints/last.ckpt"])
    ours = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]
    theirs = torch.load(wanted.last, weights_only=True)["state_dict"]
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.slow
@pytest.mark.serial
def test_two_hosts_that_are_stopped_save_together(aws, two_hosts):
    aws.grace = 300
    two_hosts("stop", *OPTIONS, "trainer.max_epochs=900")
    aws.until("stop", "Training", "epoch 2/900")
    aws.session.client("sagemaker").stop_training_job(TrainingJobName="stop")
    assert aws.wait("stop")["TrainingJobStatus"] == "Stopped"
    found = unpacked(aws, "stop")
    assert "checkpoints/last.ckpt" in found
    assert "metrics.json" not in found
    assert any("go on with: python train.py resume=" in line for line in aws.logs("stop")["algo-1"])
