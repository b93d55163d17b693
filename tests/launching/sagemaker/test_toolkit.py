"""Hyperparameters of SageMaker's training toolkit as words of train.py, and the real toolkit in a job."""

import json
from pathlib import Path

import pytest
from aws.requests import objects, send_source, unpacked
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from okkhor.data.store import competition_store
from okkhor.errors import InputError
from okkhor.heads import Heads
from okkhor.launching.sagemaker.container import Place
from okkhor.launching.sagemaker.toolkit import command, composed, run_from_toolkit, to_words
from okkhor.runs import Run

ROOT = Path(__file__).resolve().parents[3]


def read(word):
    return OverridesParser.create().parse_override(word)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
def test_any_text_comes_as_it_is_or_as_what_it_means(text):
    value = read(to_words(["--name", text])[0]).value()
    if isinstance(value, str):
        assert value == text
    else:  # a number, a list …, as on a command line
        assert value == read(f"name={text}").value()


@pytest.mark.parametrize(
    ("typed", "value"),
    [("True", True), ("", None), ("0.5", 0.5), ("[24, 40]", [24, 40]), ("['a b', 'c']", ["a b", "c"]), ("1,2", "1,2")],
)
def test_what_the_toolkit_makes_of_json_is_read_back(typed, value):
    assert read(to_words(["--x.y", typed])[0]).value() == value


def test_a_group_inside_a_group_is_chosen():
    assert to_words(["--model", "resnet18", "--model.loss", "focal"]) == ["model=resnet18", "model/loss=focal"]


@pytest.mark.parametrize("arguments", [["model", "resnet18"], ["--model"], ["--", "x"], ["-m", "x"]])
def test_what_is_no_pair_is_refused(arguments):
    with pytest.raises(InputError, match="expected --key value for each hyperparameter"):
        to_words(arguments)


def test_several_hosts_start_ranks_that_meet_at_the_first(tmp_path):
    place = Place(tmp_path, rank=1, hosts=2, main="algo-1")
    config = composed(ROOT, ["trainer=ddp_sim", "trainer.devices=3"], place)
    assert config.trainer.num_nodes == 2
    words = command(config, place)
    assert words[0] == "torchrun"
    assert {"--nnodes=2", "--node_rank=1", "--master_addr=algo-1", "--nproc_per_node=3"} <= set(words)
    with pytest.raises(InputError, match="2 hosts have to train together"):
        composed(ROOT, ["trainer=cpu"], place)
    assert command(composed(ROOT, ["trainer=cpu"], Place(tmp_path)), Place(tmp_path)) == ["python"]


@pytest.fixture
def toolkit(aws):
    """toolkit(name, hyperparameters, …) -> a job of an image whose entry point is the toolkit's."""
    if not (ROOT / ".servers" / "training" / "bin" / "train").is_file():
        pytest.skip("SageMaker's training toolkit is not installed: make setup-servers")
    source = send_source(aws)

    def start(name, hyperparameters, instances=1, **more):
        ours = {"sagemaker_program": "scripts/sagemaker_entry.py", "sagemaker_region": "us-east-1"}
        ours["sagemaker_submit_directory"] = f"s3://{aws.bucket}/{source}/source.tar.gz"
        request = {
            "TrainingJobName": name,
            "RoleArn": aws.role,
            "AlgorithmSpecification": {"TrainingImage": "x/pytorch-training:2.6", "TrainingInputMode": "File"},
            "HyperParameters": {key: json.dumps(value) for key, value in (ours | hyperparameters).items()},
            "OutputDataConfig": {"S3OutputPath": f"s3://{aws.bucket}/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": instances, "VolumeSizeInGB": 30},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
            **more,
        }
        aws.session.client("sagemaker").create_training_job(**request)
        return aws.wait(name)

    return start


@pytest.mark.slow
@pytest.mark.serial
def test_the_real_toolkit_trains_on_two_hosts_and_brings_the_bundle(aws, toolkit, synthetic_dir, composed):
    config = composed("data=bengali")
    heads = Heads.from_config(config.data.heads)
    packed = competition_store(str(synthetic_dir), heads, size=tuple(config.data.raw_size)).path
    for path in (path for path in packed.rglob("*") if path.is_file()):
        aws.client("s3").upload_file(str(path), aws.bucket, f"store/{path.relative_to(packed)}")
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{aws.bucket}/store"}}
    values = {"data": "bengali", "data.size": [24, 40], "data.batch_size": 16, "data.workers": 0, "data.crop": True}
    values |= {"trainer": "ddp_sim", "trainer.devices": 1, "trainer.max_epochs": 1, "callbacks": "none"}
    values |= {"+trainer.limit_train_batches": 6, "+trainer.limit_val_batches": 2, "model.options.widths": [4, 8, 8, 8]}
    values |= {"data.progressive": None, "export": "onnx"}
    refused = toolkit("refused", values | {"name": "it's $1"})
    assert refused["TrainingJobStatus"] == "Failed"
    assert "name: expected a folder name" in refused["FailureReason"]
    assert 'got "it\'s $1"' in refused["FailureReason"]
    data = {"InputDataConfig": [{"ChannelName": "store", "DataSource": source}]}
    told = toolkit("toolkit", values, 2, **data)
    assert told["TrainingJobStatus"] == "Completed", aws.tail("toolkit")
    found = unpacked(aws, "toolkit")
    assert {"metrics.json", "config.yaml", "logs/metrics.csv"} <= set(found)
    assert b"num_nodes: 2" in found["config.yaml"]
    assert set(unpacked(aws, "toolkit", "model")) == {"bundle.yaml", "model.onnx"}
    assert not objects(aws, "out/refused/output/model.tar.gz")


TRAIN = """
import json, sys
from pathlib import Path
run = Path(sys.argv[1].partition("=")[2])
with (run / "told.jsonl").open("a") as file:
    print(json.dumps(sys.argv[2:]), file=file)
"""


def test_a_job_that_starts_again_goes_on_with_its_run_and_finds_its_channels(tmp_path, monkeypatch):
    root, place = tmp_path / "root", Place(tmp_path / "ml")
    root.mkdir()
    (root / "configs").symlink_to(ROOT / "configs")
    (root / "train.py").write_text(TRAIN)
    data = place.ml / "input" / "data"
    for channel in ("store", "training", "other"):
        (data / channel).mkdir(parents=True)
    monkeypatch.setenv("TRAINING_JOB_NAME", "job-1")
    assert run_from_toolkit(root, ["--data", "bengali", "--seed", "7", "--data.dir", "s3://b/x"], place) == 0
    assert run_from_toolkit(root, ["--seed", "8"], place) == 0
    run = Run.open(place.ml / "checkpoints" / "runs" / "toolkit" / "job-1")
    assert run.config().seed == 7
    first, second = map(json.loads, (run.path / "told.jsonl").read_text().splitlines())
    assert first == ["launcher=local", f"data.store={data / 'store'}"]
    assert second == ["launcher=local", f"data.store={data / 'store'}", f"data.dir={data / 'training'}"]
    with pytest.raises(InputError, match="seed: expected an integer"):
        run_from_toolkit(root, ["--seed", "-1"], Place(tmp_path / "elsewhere"))
