"""Jobs on the local AWS with a stand-in train.py: what is refused, stopped, left, taken up again and brought back."""

import json
import shutil
import subprocess

import pytest
import yaml

pytest.importorskip("sagemaker", reason="launcher=sagemaker is an extra: pip install -e '.[sagemaker]'")

from waiting import until

from okkhor.errors import JobFailedError, StoppedError
from okkhor.launching.backend import Status
from okkhor.launching.jobs import Job, run_jobs
from okkhor.launching.sagemaker import later
from okkhor.launching.sagemaker.backend import SageMakerBackend
from okkhor.launching.sagemaker.record import read_records
from okkhor.runs import Run

pytestmark = pytest.mark.serial

# waits for a stop, which it saves, and is done the second time
GOES_ON = """
import json, signal, sys, time
from pathlib import Path
from okkhor.launching.exits import record
run = Path(sys.argv[1].partition("=")[2])
last = run / "checkpoints" / "last.ckpt"
def save(*_):
    last.write_text("weights")
    record("saved")
    sys.exit(130)
signal.signal(signal.SIGTERM, save)
print("at work", flush=True)
if not last.exists():
    time.sleep(60)
(run / "metrics.json").write_text(json.dumps({"objective": 0.5}))
"""
DONE = """
import json, sys
from pathlib import Path
run = Path(sys.argv[1].partition("=")[2])
print("words", sys.argv[1:])
(run / "logs" / "metrics.csv").write_text("epoch,val/score\\n0,0.5\\n")
(run / "metrics.json").write_text(json.dumps({"objective": 0.5}))
(run / "provenance.yaml").write_text("git: null\\n")
"""
SLOW = DONE.replace("print(", "import time; time.sleep(2); print(", 1)
BREAKS = """
from okkhor.errors import InputError, JobFailedError
from okkhor.launching.exits import one_line_errors
with one_line_errors():
    raise {error}
"""


@pytest.fixture
def source(tmp_path, train_py, monkeypatch):
    """source(script) -> a project whose train.py is that, as a git repository that the launcher sends."""
    root = tmp_path / "project"
    shutil.copytree(train_py.parent / "src", root / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    monkeypatch.setenv("OKKHOR_ROOT", str(root))

    def write(script):
        (root / "train.py").write_text(script, encoding="utf-8")
        subprocess.run(["git", "-C", str(root), "add", "-A"], check=True)

    return write


@pytest.fixture
def place(aws):
    """place(option=…) -> a launcher for the local AWS."""

    def make(**options):
        given = {"role": aws.role, "bucket": aws.bucket, "instance_type": "ml.m5.large", "region": "us-east-1"}
        return SageMakerBackend(**{**given, "requirements": False, "poll_seconds": 0.2, **options})

    return make


@pytest.fixture
def run(tmp_path, composed):
    """run() -> a new run directory."""

    def make(*words):
        config = composed("trainer=cpu", f"paths.runs={tmp_path / 'runs'}", *words)
        made = Run.create(config.paths.runs, "x")
        made.write_config(config)
        return made

    return make


def one(place, run):
    (outcome,) = run_jobs(place, [Job(0, [], run)])
    return outcome


def test_what_a_job_wrote_comes_back_once_and_busy_services_are_asked_again(aws, source, place, run):
    source(DONE)
    aws.fail("CreateTrainingJob", "ThrottlingException", times=3)
    aws.fail("DescribeTrainingJob", "ThrottlingException", times=2)
    runs = [run(), run()]
    outcomes = run_jobs(place(n_jobs=2), [Job(n, [], one) for n, one in enumerate(runs)])
    assert [outcome.objective for outcome in outcomes] == [0.5, 0.5]
    assert len(set(aws.created)) == 2  # names, though made in one second
    for made in runs:
        assert (made.logs / "metrics.csv").read_text().startswith("epoch")
        assert "'launcher=local'" in (made.logs / "output.log").read_text()
        assert (
            "commit" in yaml.safe_load((made.path / "provenance.yaml").read_text())["git"]
        )  # the container has no git
        (record,) = read_records(made)
        assert record.collected
        assert record.facts["TrainingJobStatus"] == "Completed"
    folders = {key.split("/")[2] for key in keys(aws, "okkhor/source/")}
    assert len(folders) == 1


def keys(aws, prefix):
    return [entry["Key"] for entry in aws.client("s3").list_objects_v2(Bucket=aws.bucket, Prefix=prefix)["Contents"]]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"bucket": "nowhere-at-all"}, "NoSuchBucket"),
        ({"role": "arn:aws:iam::123456789012:role/nobody"}, "role"),
    ],
)
def test_what_is_not_there_is_refused_in_one_line_and_leaves_no_run(aws, source, place, run, options, said):
    source(DONE)
    made = run()
    outcome = one(place(**options), made)
    assert (outcome.status, outcome.code) == (Status.FAILED, 2)
    assert said in outcome.message
    assert "\n" not in outcome.message
    assert not made.path.exists()
    assert aws.created == []


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("ResourceLimitExceeded", "Service Quotas"),
        ("AccessDeniedException", "permission"),
        ("ExpiredTokenException", "expired"),
    ],
)
def test_a_refusal_of_the_service_is_said_with_what_to_do(aws, source, place, run, code, said):
    source(DONE)
    aws.fail("CreateTrainingJob", code)
    outcome = one(place(), run())
    assert (outcome.status, outcome.code) == (Status.FAILED, 2)
    assert said in outcome.message


def test_a_job_that_was_made_though_the_answer_was_lost_is_not_forgotten(aws, source, place, run):
    source(DONE)
    aws.fail("DescribeTrainingJob", "AccessDeniedException")  # which the SDK asks at once
    assert one(place(), run()).objective == 0.5
    assert len(aws.created) == 1


@pytest.mark.parametrize(
    ("error", "code", "stays"),
    [("InputError('data.dir: no such folder')", 2, False), ("JobFailedError('the loss is nan', 1)", 1, True)],
)
def test_a_failure_is_said_in_the_job_s_own_words(aws, source, place, run, error, code, stays):
    source(BREAKS.format(error=error))
    made = run()
    outcome = one(place(), made)
    assert (outcome.status, outcome.code) == (Status.FAILED, code)
    assert outcome.message == error.split("'")[1]
    assert made.path.exists() is stays


def test_a_failure_before_train_py_is_said_from_the_log(aws, source, place, run, monkeypatch):
    source(DONE)
    monkeypatch.setattr(
        "okkhor.launching.sagemaker.packing.requirements", lambda *_, **__: ("no-such-package-anywhere\n", "")
    )
    from okkhor.launching.local import entry

    for name in ("pyproject.toml", "constraints.txt"):
        (entry().parent / name).write_text("[project]\ndependencies = []\noptional-dependencies = {}\n")
    outcome = one(place(requirements=True), run())
    assert outcome.status is Status.FAILED
    assert "failed before train.py began" in outcome.message
    assert "no-such-package-anywhere" in outcome.message


def test_the_weights_of_another_run_are_sent(aws, source, place, run):
    source(
        DONE
        + """
config = (run / "config.yaml").read_text()
given = next(line for line in config.splitlines() if "init_from" in line)
print(given.strip(), sorted(path.name for path in Path("/opt/ml/input/data/init").rglob("*.*")))
"""
    )
    other = run()
    other.best.write_text("weights")
    made = run(f"model.init_from={other.path}")
    assert one(place(), made).objective == 0.5
    log = (made.logs / "output.log").read_text()
    assert "init_from: /opt/ml/input/data/init ['best.ckpt', 'config.yaml']" in log
    assert made.config().model.init_from == str(other.path)  # here it is as it was typed


def test_a_stopped_job_has_saved_and_the_next_one_goes_on_from_there(aws, source, place, run):
    source(GOES_ON)
    made, chosen = run(), place()
    name = chosen.submit(made)
    aws.until(name, "Training", "at work")
    chosen.stop(name)
    until(lambda: chosen.status(name).ended)
    assert chosen.status(name) is Status.STOPPED
    with pytest.raises(JobFailedError, match="go on with: python train") as error:
        chosen.result(name)
    assert error.value.code == 130
    assert made.last.read_text() == "weights"
    assert one(place(), made).objective == 0.5
    assert len(read_records(made)) == 2


def test_a_second_stop_is_not_waited_for(aws, source, place, run):
    source(
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('at work', flush=True); time.sleep(60)"
    )
    chosen, aws.grace = place(), 2
    name = chosen.submit(run())
    aws.until(name, "Training", "at work")
    chosen.stop(name)
    chosen.stop(name)
    assert chosen.status(name) is Status.STOPPED
    with pytest.raises(JobFailedError, match="not waited for"):
        chosen.result(name)
    assert aws.wait(name)["TrainingJobStatus"] == "Stopped"


def test_jobs_that_are_not_waited_for_are_found_again(aws, source, place, run, capsys):
    source(DONE)
    made, other = run(), run()
    outcomes = run_jobs(place(wait=False), [Job(0, [], made), Job(1, [], other)])
    assert [outcome.status for outcome in outcomes] == [Status.LEFT, Status.LEFT]
    assert f"python scripts/sagemaker.py collect {made.path}" in capsys.readouterr().out
    assert {found.run for found in later.find_jobs(later.runs_in(str(made.path.parent)))} == {made, other}
    aws.wait(read_records(made)[-1].name)
    (found,) = later.find_jobs(later.runs_in(str(made.path)))
    assert any("words" in line for line in later.log_lines(found))
    assert later.collect(found) == "done, objective 0.5000"
    assert later.stop(found) == "done already"
    assert made.metrics() == {"objective": 0.5}
    # a sweep that goes on takes the other up, and starts no second job for it
    assert one(place(), other).objective == 0.5
    assert len(aws.created) == 2


def test_a_job_outlives_credentials_and_is_taken_up_again(aws, source, place, run):
    source(SLOW)
    made, chosen = run(), place()
    name = chosen.submit(made)
    aws.until(name, "Training")
    aws.expire_credentials()
    with pytest.raises(JobFailedError, match="no longer good; it runs on, and is billed"):
        until(lambda: chosen.status(name).ended)
    aws.renew_credentials()
    assert one(place(), made).objective == 0.5
    assert aws.created == [name]


def test_ctrl_c_leaves_jobs_where_the_person_wants_that(aws, source, place, run, monkeypatch):
    source(GOES_ON)
    made, chosen = run(), place()
    monkeypatch.setattr("okkhor.launching.sagemaker.backend.at_terminal", lambda: True)
    answers = iter(["l"])
    monkeypatch.setattr("builtins.input", lambda question: next(answers))

    def interrupt(_job):
        raise KeyboardInterrupt

    outcomes = []
    chosen.status = interrupt
    with pytest.raises(StoppedError, match="run on"):
        run_jobs(chosen, [Job(0, [], made)], finished=outcomes.append)
    assert [outcome.status for outcome in outcomes] == [Status.LEFT]
    (found,) = later.find_jobs(later.runs_in(str(made.path)))
    assert not found.state.status.ended
    aws.until(found.job.record.name, "Training", "at work")
    (found,) = later.find_jobs(later.runs_in(str(made.path)))
    assert later.collect(found) == "running, brought back as far as it is"
    assert "asked to save and stop" in later.stop(found)
    aws.wait(found.job.record.name)
    (found,) = later.find_jobs(later.runs_in(str(made.path)))
    assert later.collect(found).startswith("stopped, job ")
    assert made.last.read_text() == "weights"


def test_a_job_that_takes_too_long_says_which_option(aws, source, place, run):
    source(GOES_ON)
    outcome = one(place(max_run=4), made := run())
    assert outcome.status is Status.FAILED
    assert "reached launcher.max_run; go on with" in outcome.message
    assert made.last.read_text() == "weights"
    assert json.loads((made.logs / "sagemaker.json").read_text())["jobs"][0]["facts"]["BillableTimeInSeconds"] >= 4
