"""What launcher=sagemaker takes, and the one line for what it does not."""

import pytest

pytest.importorskip("sagemaker", reason="launcher=sagemaker is an extra: pip install -e '.[sagemaker]'")

from okkhor.build import build
from okkhor.errors import InputError
from okkhor.launching.sagemaker.options import Options

ROLE = "arn:aws:iam::123456789012:role/Name"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"role": "Name"}, "launcher.role: expected arn:aws:iam"),
        ({"instance_type": "p3.2xlarge"}, "launcher.instance_type"),
        ({"instance_count": 0}, "launcher.instance_count: expected an integer of at least 1"),
        ({"data": "/data"}, "launcher.data: expected s3://bucket/folder"),
        ({"prefix": "/a"}, "launcher.prefix"),
        ({"prices": {"ml.g5.xlarge": 0}}, "launcher.prices"),
        ({"input_mode": "Pipe"}, "launcher.input_mode: expected one of File, FastFile"),
        ({"max_wait": 100}, "launcher.spot=true"),
        ({"spot": True, "max_run": 100, "max_wait": 99}, "launcher.max_wait: 99 s is less than launcher.max_run=100"),
        ({"spot": True, "keep_alive": 600}, "launcher.keep_alive"),
        ({"subnets": ["subnet-1"]}, "both launcher.subnets"),
        ({"isolated": True}, "expected launcher.image"),
        ({"isolated": True, "image": "mine", "requirements": True}, "launcher.requirements"),
        ({"isolated": True, "image": "mine", "wandb_secret": "key"}, "launcher.wandb_secret"),
        ({"image": "mine", "pytorch": "2.14"}, "launcher.pytorch"),
        ({"environment": {"WANDB_API_KEY": "x"}}, "launcher.wandb_secret=NAME"),
        ({"environment": {"MY_TOKEN": "x"}}, "would be read in the request"),
        ({"environment": {"A-B": "x"}}, "launcher.environment.A-B"),
        ({"environment": {"A": "x" * 513}}, "513 characters, SageMaker takes 512"),
    ],
)
def test_what_does_not_go_is_said_in_one_line(given, said):
    with pytest.raises(InputError) as error:
        Options(**given)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_the_configuration_holds_every_option_and_its_default(composed):
    block = composed("launcher=sagemaker").launcher
    place = build(block, "launcher")
    assert {key for key in block if key != "_target_"} == set(Options.__dataclass_fields__)
    assert {key: getattr(place, key) for key in Options.__dataclass_fields__} == vars(Options())


def test_a_mistyped_option_is_named(composed):
    with pytest.raises(
        InputError, match=r"launcher\.instance_typ: no such option .* did you mean launcher\.instance_type"
    ):
        build(composed("launcher=sagemaker", "+launcher.instance_typ=ml.g5.xlarge").launcher, "launcher")


GPU, CPU = "launcher.instance_type=ml.g5.xlarge", "launcher.instance_type=ml.m5.xlarge"
P4D = "launcher.instance_type=ml.p4d.24xlarge"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trainer=ddp", CPU], "has no GPU"),
        (["trainer=mps", GPU], "no Apple GPUs"),
        (["trainer=smddp", GPU], "use trainer=ddp"),
        (["trainer=smddp", P4D], "up to PyTorch 2.5"),
        (["trainer=smddp", P4D, "launcher.pytorch='2.6'"], "use trainer=ddp"),
        (["trainer.num_nodes=3", "launcher.instance_count=2"], "trainer.num_nodes=3 says otherwise"),
        (["data=bengali", "data.dir=/data/bengali"], "data.dir=/data/bengali: lies on this machine"),
        (["data=bengali", "data.store=/data/store"], "prepare.py upload"),
        (["data=bengali"], "launcher.data: none is named"),
        (["data=bengali", "data.dir=s3://b/x", "launcher.isolated=true", "launcher.image=mine"], "reads no S3 itself"),
    ],
)
def test_a_run_that_cannot_be_computed_there_is_refused_before_it_is_paid_for(composed, words, said):
    config = composed("launcher=sagemaker", *words)
    with pytest.raises(InputError) as error:
        build(config.launcher, "launcher").check(config)
    assert said in str(error.value)


@pytest.mark.parametrize(
    "words",
    [
        ["trainer=ddp", GPU],
        ["trainer=ddp_sim", CPU],
        ["trainer=smddp", P4D, "launcher.image=mine"],
        ["trainer=smddp", P4D, "launcher.pytorch='2.5'"],
        ["data=bengali", "data.dir=/data/bengali", "launcher.data=s3://b/store"],
        ["data=bengali", "data.store=s3://b/store"],
        ["data=bengali", "data.dir=s3://b/raw"],
        ["trainer.num_nodes=2"],
        ["trainer.num_nodes=2", "launcher.instance_count=2"],
    ],
)
def test_what_can_be_computed_there_is_taken(composed, words):
    config = composed("launcher=sagemaker", *words)
    place = build(config.launcher, "launcher")
    place.check(config)
    assert place.hosts(config) == config.trainer.get("num_nodes", 1)


@pytest.mark.parametrize(
    ("instance", "gpu"),
    [
        ("ml.p3.2xlarge", True),
        ("ml.g4dn.xlarge", True),
        ("ml.g6e.2xlarge", True),
        ("ml.gr6.4xlarge", True),
        ("ml.m5.large", False),
        ("ml.c7i.xlarge", False),
        ("ml.trn1.2xlarge", False),
    ],
)
def test_which_machines_have_gpus(instance, gpu):
    assert Options(instance_type=instance).has_gpu is gpu
