"""Slurm without a Slurm: what sbatch is handed, and jobs of submitit's local executor with a stand-in train.py."""

import contextlib
import json
import os
import sys

import psutil
import pytest

pytest.importorskip("submitit", reason="launcher=slurm is an extra: pip install -e '.[slurm]'")

from waiting import until

from okkhor.errors import InputError, JobFailedError
from okkhor.launching import slurm as slurm_module
from okkhor.launching.backend import Status
from okkhor.launching.jobs import Job, run_jobs
from okkhor.launching.slurm import SlurmBackend, choose_cluster
from okkhor.runs import Run

pytestmark = pytest.mark.serial

GOES_ON = """
import json, os, signal, sys, time
from pathlib import Path
from okkhor.launching.exits import record
from okkhor.tether import tether_if_started
tether_if_started()
run = Path(sys.argv[1].partition("=")[2])
last = run / "checkpoints" / "last.ckpt"
def save(*_):
    last.write_text("weights")
    record("saved")
    sys.exit(130)
signal.signal(signal.SIGTERM, save)
if not last.exists():
    (run / "up").touch()
    time.sleep(60)
names = ("OKKHOR_NODES", "OKKHOR_NODE_RANK", "OKKHOR_MAIN_ADDRESS", "OKKHOR_MAIN_PORT")
seen = {name: os.environ.get(name) for name in names}
(run / f"seen{os.environ.get('OKKHOR_NODE_RANK', '')}.json").write_text(json.dumps(seen))
(run / "metrics.json").write_text(json.dumps({"objective": 0.5}))
"""
BREAKS = """
from okkhor.errors import InputError
from okkhor.launching.exits import one_line_errors
with one_line_errors():
    raise InputError("data.dir: no such folder")
"""


@pytest.fixture
def job(tmp_path, monkeypatch, compose):
    """job(script, …) -> a job of one run, whose train.py is that script."""
    monkeypatch.setenv("OKKHOR_ROOT", str(tmp_path))

    def make(script, *options):
        (tmp_path / "train.py").write_text(script, encoding="utf-8")
        run = Run.create(tmp_path / "runs", "x")
        run.write_config(compose(*options))
        return Job(0, [], run)

    return make


@pytest.fixture
def place():
    made = SlurmBackend(cluster="local")
    yield made
    made.close()
    assert not [p for p in psutil.Process().children(recursive=True) if "submitit" in " ".join(words_of(p))]


def words_of(process):
    """Its command line; of one that has ended, perhaps another test's, nothing is left."""
    with contextlib.suppress(psutil.Error):
        return process.cmdline()
    return []


def test_a_requeued_job_goes_on_from_its_checkpoint(job, place):
    made = job(GOES_ON)
    name = place.submit(made.run)
    until(lambda: (made.run.path / "up").exists())
    assert place.status(name) is Status.RUNNING
    task = psutil.Process(int(name)).children()[0]
    task.send_signal(slurm_module.signal.SIGUSR1)  # the other of the two signals, too, means preemption
    until(lambda: place.status(name).ended)
    assert place.status(name) is Status.DONE
    assert place.result(name) == 0.5
    assert made.run.last.read_text() == "weights"


def test_a_stop_saves_and_is_not_requeued(job, place):
    made = job(GOES_ON)
    name = place.submit(made.run)
    until(lambda: (made.run.path / "up").exists())
    place.stop(name)
    until(lambda: place.status(name).ended)
    assert place.status(name) is Status.STOPPED
    with pytest.raises(JobFailedError, match="saved") as error:
        place.result(name)
    assert error.value.code == 130
    assert made.run.last.exists()
    assert not (made.run.path / "metrics.json").exists()


def test_a_second_stop_kills(job, place):
    made = job("import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)")
    name = place.submit(made.run)
    until(lambda: place.jobs[name].letters.begun)
    place.stop(name)
    place.stop(name)
    until(lambda: place.status(name).ended)
    assert place.status(name) is Status.STOPPED


def test_a_task_that_is_killed_fails_the_job(job, place):
    made = job(GOES_ON)
    name = place.submit(made.run)
    until(lambda: (made.run.path / "up").exists())
    child = psutil.Process(int(name)).children()[0].children()[0]
    psutil.Process(int(name)).children()[0].kill()
    until(lambda: place.status(name).ended)
    assert place.status(name) is Status.FAILED
    with pytest.raises(JobFailedError, match="ended without a word"):
        place.result(name)
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_every_machine_is_told_where_they_meet(job):
    made = job(GOES_ON, "trainer=ddp_sim", "trainer.devices=1", "trainer.num_nodes=2")
    made.run.last.write_text("weights")
    (outcome,) = run_jobs(SlurmBackend(cluster="local"), [made])
    assert outcome.objective == 0.5
    first, second = (json.loads((made.run.path / f"seen{rank}.json").read_text()) for rank in (0, 1))
    assert [seen["OKKHOR_NODE_RANK"] for seen in (first, second)] == ["0", "1"]
    assert first["OKKHOR_NODES"] == "2"
    assert first["OKKHOR_MAIN_PORT"] == second["OKKHOR_MAIN_PORT"]


def test_a_refused_job_leaves_no_run(job):
    made = job(BREAKS)
    (outcome,) = run_jobs(SlurmBackend(cluster="local"), [made])
    assert (outcome.status, outcome.code, outcome.message) == (Status.FAILED, 2, "data.dir: no such folder")
    assert not made.run.path.exists()


def test_what_sbatch_is_asked_for(compose, tmp_path, monkeypatch):
    from submitit.slurm.slurm import _make_sbatch_string

    monkeypatch.setattr(slurm_module, "choose_cluster", lambda _: "slurm")
    place = SlurmBackend(partition="gpu", minutes=90, memory="64GB", sbatch={"mail-user": "me@example.org"})
    run = Run.create(tmp_path / "runs", "x")
    config = compose("trainer=ddp", "trainer.accelerator=gpu", "trainer.devices=4", "trainer.num_nodes=2")
    config.data.workers = 3
    lines = _make_sbatch_string("command", tmp_path, **place.parameters(run, config)).splitlines()
    asked = dict(line.removeprefix("#SBATCH --").split("=", 1) for line in lines if line.startswith("#SBATCH"))
    expected = {"partition": "gpu", "time": "90", "nodes": "2", "ntasks-per-node": "1", "gpus-per-node": "4"}
    expected |= {"cpus-per-task": "16", "mem": "64GB", "mail-user": "me@example.org", "signal": "USR2@120"}
    assert {name: asked.get(name) for name in expected} == expected
    assert "account" not in asked


@pytest.mark.parametrize(("cluster", "said"), [("pbs", "expected one of auto, slurm, local"), ("auto", "no sbatch")])
def test_an_unusable_place_is_said_in_one_line(cluster, said, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=said):
        SlurmBackend(cluster=cluster)


def test_without_submitit_it_names_the_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install -e '\.\[slurm\]'"):
        choose_cluster("auto")


STAND_IN = """#!{python}
import os, subprocess, sys
from pathlib import Path
folder = Path("{folder}")
name = Path(sys.argv[0]).name
(folder / "calls").open("a").write(" ".join([name, *sys.argv[1:]]) + "\\n")
if name == "sbatch":
    env = os.environ | {{"SLURM_JOB_ID": "4711", "SLURM_JOB_NODELIST": "127.0.0.1", "SLURM_JOB_NUM_NODES": "1"}}
    process = subprocess.Popen(["bash", sys.argv[1]], env=env, start_new_session=True, stdout=subprocess.DEVNULL,
        stderr=(folder / "log").open("w"))
    (folder / "pid").write_text(str(process.pid))
    print("Submitted batch job 4711")
elif name == "srun":
    command = sys.argv[[n for n, word in enumerate(sys.argv) if "python" in word][0]:]
    env = os.environ | {{"SLURM_NTASKS": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"}}
    os.execve(command[0], command, env)
elif name == "sacct":
    print("JobID|State|NodeList")
    print("4711|RUNNING|here")
elif name == "scancel":
    subprocess.run(["pkill", "-TERM", "-g", (folder / "pid").read_text(), "-f", "submitit.core"])
"""


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Stand-ins for Slurm's commands on the PATH; gives the folder of their records."""
    folder = tmp_path / "slurm"
    (folder / "bin").mkdir(parents=True)
    for name in ("sbatch", "srun", "sacct", "scancel", "scontrol"):
        script = folder / "bin" / name
        script.write_text(STAND_IN.format(python=sys.executable, folder=folder))
        script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
    return folder


def test_commands_of_slurm_are_used_as_they_take_it(job, cluster):
    made = job(GOES_ON)
    place = SlurmBackend()
    name = place.submit(made.run)
    assert name == "4711"
    until(lambda: (made.run.path / "up").exists())
    assert place.status(name) is Status.RUNNING
    place.stop(name)
    until(lambda: place.status(name).ended)
    assert place.status(name) is Status.STOPPED
    with pytest.raises(JobFailedError, match="saved"):
        place.result(name)
    calls = [line.split()[0] for line in (cluster / "calls").read_text().splitlines()]
    assert {"sbatch", "srun", "scancel"} <= set(calls)
    place.close()
    until(lambda: not _group_lives(int((cluster / "pid").read_text())))


def _group_lives(group):
    return any(os.getpgid(p.pid) == group for p in psutil.process_iter() if _has_group(p.pid))


def _has_group(pid):
    try:
        os.getpgid(pid)
    except ProcessLookupError:
        return False
    return True
