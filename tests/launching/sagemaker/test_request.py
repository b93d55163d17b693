"""The request of a job: taken by the service's model, the same in a dry run, no word of it changed by the shell."""

import json
import re
import socket
import subprocess
import sys

import pytest

pytest.importorskip("sagemaker", reason="launcher=sagemaker is an extra: pip install -e '.[sagemaker]'")

from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from okkhor.build import build
from okkhor.errors import InputError
from okkhor.launching.sagemaker.account import Account, sdk_session
from okkhor.launching.sagemaker.request import (
    NAME_LENGTH,
    base_name,
    build_trainer,
    job_command,
    metric_definitions,
    plan_job,
    request,
    tag_value,
    tidy,
)
from okkhor.runs import Run

ACCOUNT = Account("us-east-1", "arn:aws:iam::123456789012:role/Name", "bucket", "okkhor")
SOURCE = "s3://bucket/okkhor/source/0123/source.tar.gz"


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    """Whatever is asked of AWS here fails at once, and the test with it."""

    def refuse(*_):
        raise AssertionError("a network is not needed here")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def asked(composed, tmp_path):
    """asked("launcher.spot=true", …) -> (request, options, plan) for a run with these words."""

    def make(*words, account=ACCOUNT, more=(), name="x"):
        config = composed("launcher=sagemaker", *words)
        options = build(config.launcher, "launcher")
        run = Run(tmp_path / "runs" / name / "2026-11-22_20-18-00")
        plan = plan_job(account, run, config, SOURCE, tuple(more))
        return request(options, account, plan), options, plan

    return make


def test_a_plain_job(asked):
    made, _, plan = asked("trainer=cpu", "launcher.instance_type=ml.m5.large")
    assert made["RoleArn"] == ACCOUNT.role
    assert made["ResourceConfig"] == {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30}
    assert made["StoppingCondition"] == {"MaxRuntimeInSeconds": 86400}
    assert made["EnableManagedSpotTraining"] is False
    assert re.fullmatch(r"okkhor-x-2026-11-22-20-18-00-[0-9a-f]{6}-\d{14}", made["TrainingJobName"])
    uris = {c["ChannelName"]: c["DataSource"]["S3DataSource"]["S3Uri"] for c in made["InputDataConfig"]}
    assert uris["run"] == plan.run_files
    assert uris["code"] == SOURCE
    assert set(uris) == {"run", "code", "sm_drivers"}
    assert made["CheckpointConfig"]["S3Uri"] == plan.checkpoints
    assert made["AlgorithmSpecification"]["TrainingImage"].endswith("cpu-amzn2023-sagemaker")
    assert "VpcConfig" not in made


def test_all_that_can_be_set(asked):
    account = Account(ACCOUNT.region, ACCOUNT.role, "bucket", "a/b", ("subnet-1", "subnet-2"), ("sg-1",))
    made, *_ = asked(
        "trainer=ddp",
        "launcher.instance_type=ml.p3.16xlarge",
        "launcher.instance_count=3",
        "launcher.spot=true",
        "launcher.max_run=3600",
        "launcher.max_wait=7200",
        "launcher.volume_gb=200",
        "launcher.volume_key=alias/disks",
        "launcher.output_key=alias/results",
        "launcher.encrypt_traffic=true",
        "launcher.isolated=true",
        "launcher.image=123456789012.dkr.ecr.us-east-1.amazonaws.com/okkhor:1",
        "launcher.data=s3://other/store",
        "launcher.input_mode=FastFile",
        "launcher.tags={team: a b, cost: 12}",
        "launcher.environment={NCCL_DEBUG: INFO}",
        account=account,
    )
    assert made["ResourceConfig"] == {
        "InstanceType": "ml.p3.16xlarge",
        "InstanceCount": 3,
        "VolumeSizeInGB": 200,
        "VolumeKmsKeyId": "alias/disks",
    }
    assert made["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200}
    assert made["EnableManagedSpotTraining"] is made["EnableNetworkIsolation"] is True
    assert made["EnableInterContainerTrafficEncryption"] is True
    assert made["VpcConfig"] == {"Subnets": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]}
    assert made["OutputDataConfig"]["KmsKeyId"] == "alias/results"
    assert made["OutputDataConfig"]["S3OutputPath"] == "s3://bucket/a/b/jobs"
    assert made["AlgorithmSpecification"]["TrainingImage"].endswith("/okkhor:1")
    store = next(c for c in made["InputDataConfig"] if c["ChannelName"] == "store")
    assert store["DataSource"]["S3DataSource"]["S3Uri"] == "s3://other/store/"
    assert store["InputMode"] == "FastFile"
    assert {"Key": "team", "Value": "a b"} in made["Tags"]
    assert {"Key": "cost", "Value": "12"} in made["Tags"]
    assert made["Environment"]["NCCL_DEBUG"] == "INFO"


def test_a_spot_job_waits_twice_as_long_as_it_may_run(asked):
    made, *_ = asked("launcher.spot=true", "launcher.max_run=100")
    assert made["StoppingCondition"] == {"MaxRuntimeInSeconds": 100, "MaxWaitTimeInSeconds": 200}


def test_warm_machines(asked):
    made, *_ = asked("launcher.keep_alive=600")
    assert made["ResourceConfig"]["KeepAlivePeriodInSeconds"] == 600


def test_the_weights_of_another_run_come_along(asked, tmp_path):
    other = Run.create(tmp_path / "other", "x")
    (other.path / "config.yaml").write_text("a: 1")
    made, _, plan = asked(f"model.init_from={other.path}")
    uris = {c["ChannelName"]: c["DataSource"]["S3DataSource"]["S3Uri"] for c in made["InputDataConfig"]}
    assert uris["init"] == plan.init_files
    plan.run.last.parent.mkdir(parents=True)
    plan.run.last.touch()  # it goes on, from weights of its own
    assert plan.init_from is None


def test_processes_that_died_are_started_again(asked):
    made, options, plan = asked("trainer=ddp", "trainer.max_restarts=2")
    assert " --max_restarts=2 train.py" in job_command(options, plan)[0]
    assert made["Environment"]["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] == "1"


def test_the_key_of_wandb_is_a_name_in_the_request(asked):
    made, *_ = asked("launcher.wandb_secret=okkhor/wandb", "logger=wandb")
    assert made["Environment"]["OKKHOR_WANDB_SECRET"] == "okkhor/wandb"
    assert "WANDB_API_KEY" not in json.dumps(made)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["launcher.instance_type=ml.g5.enormous"], "InstanceType"),
        (["launcher.keep_alive=100000"], "KeepAlivePeriodInSeconds"),
        (["launcher.tags={a: 'b&c'}"], "Tags"),
        (["launcher.pytorch='9.9'"], "launcher.pytorch=9.9: Amazon has no training image"),
    ],
)
def test_what_the_service_would_refuse_is_refused_here(asked, words, said):
    with pytest.raises(InputError, match=re.escape(said)) as error:
        asked(*words)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("words", "start"),
    [
        (["trainer=cpu"], "python train.py"),
        (["trainer=ddp"], "--nproc_per_node=gpu train.py"),
        (["trainer=ddp", "trainer.devices=4"], "--nproc_per_node=4 train.py"),
        (["trainer=ddp_sim", "trainer.devices=2"], "--nproc_per_node=2 train.py"),
        (["trainer=cpu", "launcher.instance_count=2"], "--nproc_per_node=1 train.py"),
    ],
)
def test_how_train_py_is_started(asked, words, start):
    _, options, plan = asked(*words, "launcher.instance_type=ml.g5.12xlarge")
    command, arguments = job_command(options, plan)
    assert command.endswith(start)
    assert ("torchrun --nnodes=$SM_HOST_COUNT" in command) is ("nproc" in start)
    assert arguments == ["resume=/opt/ml/checkpoints/runs/x/2026-11-22_20-18-00", "launcher=local"]


def test_a_run_has_the_same_id_there(asked):
    _, options, plan = asked("launcher.data=s3://b/store")
    _, arguments = job_command(options, plan)
    assert Run(type(plan.run.path)(arguments[0].partition("=")[2])).id == plan.run.id
    assert arguments[-1] == "data.store=/opt/ml/input/data/store"


@pytest.fixture(scope="module")
def through_bash(composed, tmp_path_factory):
    """through_bash(words) -> what a program gets that the SDK's own script starts with these words."""
    config = composed("launcher=sagemaker")
    options = build(config.launcher, "launcher")
    folder = tmp_path_factory.mktemp("words")
    show = folder / "show.py"
    show.write_text("import json, sys; json.dump(sys.argv[1:], open(sys.argv[0] + '.json', 'w'))", encoding="utf-8")
    session = sdk_session(ACCOUNT, offline=True)

    def run(words):
        plan = plan_job(ACCOUNT, Run(folder / "runs" / "x"), config, SOURCE, tuple(words))
        trainer = build_trainer(options, ACCOUNT, plan, session)
        trainer._create_training_job_args(boto3=True)
        script = (type(folder)(trainer._temp_code_dir.name) / "sm_train.sh").read_text(encoding="utf-8")
        # from where the command begins; what is before sets up a container that is not here
        script = script[script.index("CMD=$(cat") : script.index('echo "Training Container')]
        assert "exec python -m okkhor.launching.sagemaker.container" in script
        program = f"{sys.executable} {show}"
        script = script.replace("exec python -m okkhor.launching.sagemaker.container", program, 1)
        tidy(trainer)
        subprocess.run(["bash", "-c", script], check=True, capture_output=True)
        return json.loads((folder / "show.py.json").read_text(encoding="utf-8"))

    return run


TRYING = " '\"$`\\{}()[]!*?~#&|;<>=,:%\n\t"  # what a shell reads otherwise
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20) | st.text(TRYING)


@given(st.lists(TEXTS, min_size=1, max_size=40))
@settings(max_examples=10, deadline=None)
def test_every_word_arrives_unchanged(through_bash, texts):
    words = [f"data.dir={text}" for text in texts]
    assert through_bash(words)[-len(words) :] == words


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS.filter(bool), inner, max_size=4),
    max_leaves=8,
)


@given(VALUES)
@settings(max_examples=150, deadline=None)
def test_every_value_of_the_configuration_arrives_unchanged(value):
    config = OmegaConf.create({"key": json.loads(json.dumps(value).replace("${", "$ {"))})
    sent = OmegaConf.to_yaml(config).encode()  # what is put into S3, and read by train.py resume=
    assert OmegaConf.to_container(OmegaConf.create(sent.decode())) == OmegaConf.to_container(config)


@pytest.mark.parametrize(("name", "there"), [("a,b=c+d", "a_b_c_d"), ("ক", "_"), ("x-1.5_y", "x-1.5_y")])
def test_hydra_reads_the_words_of_any_run(asked, name, there):
    _, options, plan = asked(name=name)
    _, arguments = job_command(options, plan)
    (override, _) = OverridesParser.create().parse_overrides(arguments)
    assert not override.is_sweep_override()
    assert override.value() == f"/opt/ml/checkpoints/runs/{there}/2026-11-22_20-18-00"


@given(st.text(max_size=100))
@settings(max_examples=200, deadline=None)
def test_no_two_jobs_have_a_name_and_every_name_is_one(run_id):
    one, other = base_name(run_id), base_name(run_id)
    assert one != other
    assert len(one) <= NAME_LENGTH
    assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*", one)
    assert re.fullmatch(r"[\w .:/=+@-]{0,256}", tag_value(run_id))


def test_metrics_are_found_in_the_line_that_a_run_prints(composed):
    config = composed("data=bengali")
    recalls = "(consonant 0.200, root 0.018, vowel 0.100)"
    line = f"epoch 2/6  val/loss 3.645  val/score 0.0839 {recalls}  212 images/s  left 0:01"
    found = {}
    for name, regex in metric_definitions(config).items():
        if match := re.search(regex, line):
            found[name] = float(match[1])
    assert found == {
        "val/loss": 3.645,
        "val/score": 0.0839,
        "val/recall_root": 0.018,
        "val/recall_vowel": 0.1,
        "val/recall_consonant": 0.2,
        "images_per_second": 212,
    }
