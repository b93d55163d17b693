"""Running jobs at a place. The place here is in memory, so that order and failures can be chosen."""

import os
import signal
import threading
import time

import pytest

from okkhor.errors import JobFailedError, StoppedError
from okkhor.launching.backend import Backend, Status
from okkhor.launching.jobs import Job, run_jobs
from okkhor.runs import Run


class Memory(Backend):
    """A place where a job takes `turns` looks at its status, and ends as its number says."""

    def __init__(self, at_once=None, turns=2, fails=(), forever=()):
        self.at_once, self.turns, self.fails, self.forever = at_once, turns, fails, forever
        self.left, self.log, self.most, self.stopped, self.closed = {}, [], 0, [], False

    def submit(self, run):
        name = run.path.name
        self.left[name] = self.turns
        self.log.append(name)
        self.most = max(self.most, sum(turns > 0 for turns in self.left.values()))
        return name

    def status(self, job):
        if job in self.stopped:
            return Status.STOPPED
        self.left[job] -= job not in self.forever
        if self.left[job] > 0:
            return Status.RUNNING
        return Status.FAILED if job in self.fails else Status.DONE

    def result(self, job):
        if job in self.stopped:
            raise JobFailedError("stopped", 130)
        if job in self.fails:
            raise JobFailedError("out of luck", 1)
        return float(job)

    def stop(self, job):
        self.stopped.append(job)

    def close(self):
        self.closed = True


@pytest.fixture
def jobs(tmp_path):
    return [Job(n, [f"seed={n}"], Run.create(tmp_path, "runs", str(n), tmp_path / "sweep")) for n in range(5)]


def test_every_job_runs_once_and_a_failed_one_is_passed_over(jobs):
    place = Memory(fails=("2",))
    outcomes = run_jobs(place, jobs)
    assert {o.job.number: (o.status, o.objective, o.message) for o in outcomes} == {
        n: (Status.DONE, float(n), "") for n in (0, 1, 3, 4)
    } | {2: (Status.FAILED, None, "out of luck")}
    assert place.closed


def test_a_job_that_the_place_does_not_take_is_passed_over_and_leaves_no_run(jobs):
    class Choosy(Memory):
        def submit(self, run):
            if run.path.name == "1":
                raise JobFailedError("asks for 1 GPU", 2)
            return super().submit(run)

    place = Choosy()
    outcomes = run_jobs(place, jobs)
    assert place.log == ["0", "2", "3", "4"]
    refused = next(o for o in outcomes if o.job.number == 1)
    assert (refused.status, refused.message, refused.code) == (Status.FAILED, "asks for 1 GPU", 2)
    assert not jobs[1].run.path.exists()


def test_no_more_at_a_time_than_the_place_takes_and_each_is_asked_for_only_then(jobs):
    place = Memory(at_once=2)
    asked = []

    def lazily():
        for job in jobs:
            asked.append((job.number, len(place.log)))
            yield job

    run_jobs(place, lazily())
    assert place.most == 2
    assert all(submitted == number for number, submitted in asked)  # all before it had been submitted, no more taken


def test_a_finished_run_is_not_run_again(jobs):
    jobs[1].run.write_metrics({"objective": 0.75})
    place = Memory()
    outcomes = run_jobs(place, jobs)
    assert place.log == ["0", "2", "3", "4"]
    assert next(o.objective for o in outcomes if o.job.number == 1) == 0.75


def test_it_is_told_of_each_job_that_ends(jobs):
    told = []
    outcomes = run_jobs(Memory(), jobs, finished=told.append)
    assert told == outcomes


def test_watched_rows_come_once_and_true_stops_the_job(jobs):
    (jobs[0].run.logs / "metrics.csv").write_text("epoch,val/score\n0,0.1\n1,0.2\n", encoding="utf-8")
    seen = []

    def watch(job, rows):
        seen.append((job.number, [row["val/score"] for row in rows]))
        return True

    (outcome,) = run_jobs(Memory(forever=("0",)), jobs[:1], watch=watch)
    assert seen == [(0, ["0.1", "0.2"])]
    assert outcome.status is Status.STOPPED


def test_the_score_of_an_epoch_is_said_once(jobs, capsys):
    rows = ["epoch,step,train/loss,val/score", "0,9,,0.25", "0,9,1.5,", "1,12,1.2,", "1,19,,0.5", "1,19,1.1,"]

    class Writing(Memory):
        def status(self, job):
            path = jobs[0].run.logs / "metrics.csv"
            path.write_text("\n".join(rows[: len(rows) - self.left[job] + 2]) + "\n", encoding="utf-8")
            return super().status(job)

    run_jobs(Writing(turns=len(rows)), jobs[:1])
    said = [line for line in capsys.readouterr().out.splitlines() if "val/score" in line]
    assert said == ["job 0  epoch 1  val/score 0.2500", "job 0  epoch 2  val/score 0.5000"]


@pytest.fixture
def received():
    """received(number, how): how a signal comes in, SIG_IGN as under nohup and in what a script's shell starts in the
    background, SIG_DFL as in a terminal, whatever these tests themselves were started from."""
    before = {}

    def receive(number, how):
        before[number] = signal.signal(number, how)

    yield receive
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.serial
def test_under_nohup_a_closed_terminal_stops_no_job(jobs, received):
    received(signal.SIGHUP, signal.SIG_IGN)

    class Closing(Memory):
        def submit(self, run):
            os.kill(os.getpid(), signal.SIGHUP)
            return super().submit(run)

    assert [o.status for o in run_jobs(Closing(), jobs)] == [Status.DONE] * 5


@pytest.mark.serial
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_stops_every_job_and_waits_for_it(jobs, number, received):
    received(number, signal.SIG_IGN if number == signal.SIGINT else signal.SIG_DFL)
    place, before = Memory(at_once=3, forever=("0", "1", "2")), signal.getsignal(signal.SIGTERM)

    def interrupt():
        while len(place.log) < 3:
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=interrupt)
    thread.start()
    ended = []
    with pytest.raises(StoppedError):
        run_jobs(place, jobs, finished=ended.append)
    thread.join()
    assert sorted(place.stopped) == ["0", "1", "2"]
    assert [o.status for o in ended] == [Status.STOPPED] * 3
    assert place.closed
    assert signal.getsignal(signal.SIGTERM) == before
