"""`launcher=sagemaker`: a training job for each run; its run directory comes back as if it had run here."""

import copy
import json
import os
import sys
import time
import warnings
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from okkhor.errors import InputError, JobFailedError
from okkhor.launching.backend import Backend, Status
from okkhor.launching.exits import REFUSED, STOPPED
from okkhor.launching.local import entry
from okkhor.launching.sagemaker import contract, packing, prices
from okkhor.launching.sagemaker.account import Account, check_installed, is_expired, open_account, refusals, sdk_session
from okkhor.launching.sagemaker.interrupts import uninterrupted
from okkhor.launching.sagemaker.job import RemoteJob, State, seed_files
from okkhor.launching.sagemaker.logs import shown
from okkhor.launching.sagemaker.options import Options
from okkhor.launching.sagemaker.record import JobRecord, read_records, write_record
from okkhor.launching.sagemaker.request import (
    CONSTRAINTS,
    REQUIREMENTS,
    JobPlan,
    build_trainer,
    channels,
    check_request,
    plan_job,
    request,
    run_parts,
    tidy,
)
from okkhor.launching.sagemaker.storage import Storage
from okkhor.runs import COMMAND, Run, git_state, typed_command

PATIENCE_SECONDS = 900  # without an answer about a job, the network being gone or AWS out of order
EXTRAS = {"pretrain": "ssl", "export": "serve"}  # blocks of a configuration that need more than the project's core
EXPORTERS = ("onnx", "onnxscript", "onnxruntime", "safetensors")  # a job serves nothing, but may export
IMAGE_BRINGS = ("torch", "torchvision")


class SageMakerBackend(Options, Backend):
    """Training jobs of Amazon SageMaker; options: see `Options`.

    A stop asks the job to save, for which SageMaker gives it two minutes; asked once more, it is no longer waited for.
    Raises InputError for options, and where the SDK is not installed.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        check_installed()
        self.at_once = self.n_jobs
        self.waits = self.wait
        self.shows = self.dry_run
        self.jobs: dict[str, Watched] = {}
        self.sources: dict[tuple[str, ...], str] = {}  # what is installed besides -> the archive's URI

    @property
    def silent(self) -> bool:
        """A single run's log comes to this terminal; a sweep's jobs are told in a table."""
        return not self.alone

    @cached_property
    def account(self) -> Account:
        return open_account(self)

    @cached_property
    def session(self) -> Any:
        return sdk_session(self.account)

    def check(self, config: DictConfig) -> None:
        """Raise InputError for a run that these machines cannot compute."""
        self.check_run(config)

    def submit(self, run: Run) -> str:
        """Start the run's job, or take up one that was left; raises JobFailedError where it is refused."""
        if (left := self._left(run)) is not None:
            self.jobs[left.record.name] = Watched(left)
            return left.record.name
        config = run.config()
        try:
            self.check_run(config)
            with uninterrupted(), refusals("launcher=sagemaker"):
                job = self._start(run, config)
        except InputError as error:
            raise JobFailedError(str(error), REFUSED) from error
        self.jobs[job.record.name] = Watched(job)
        return job.record.name

    def _left(self, run: Run) -> RemoteJob | None:
        """The run's newest job, where it still runs, or is done without having been brought back."""
        records = read_records(run)
        if not records or records[-1].collected:
            return None
        job = RemoteJob(run, records[-1], self.account.client, self.output_key)
        with refusals(f"job {records[-1].name}"):
            state = job.look()
            if state.status in (Status.FAILED, Status.STOPPED):
                job.collect()  # its checkpoints are what the next job goes on from
                return None
        return job

    def _start(self, run: Run, config: DictConfig) -> RemoteJob:
        storage = Storage(self.account.client("s3"), self.output_key)
        plan = plan_job(self.account, run, config, self._source(config, storage), tuple(self.passed_on))
        check_request(request(self, self.account, plan))
        sent = copy.deepcopy(config)  # as the job has it; the run's own stays as it was typed
        sent.trainer.num_nodes = self.hosts(config)
        if (other := plan.init_from) is not None:
            files = [other.path / "config.yaml", other.checkpoint()]
            storage.send((path, plan.init_files + path.relative_to(other.path).as_posix()) for path in files)
            sent.model.init_from = contract.channel(contract.INIT_CHANNEL)
        storage.put(OmegaConf.to_yaml(sent).encode(), plan.run_files + "config.yaml")
        command = os.environ.get(COMMAND) or typed_command()
        storage.put(command.encode(), plan.run_files + contract.COMMAND_FILE)
        folder = "/".join((plan.checkpoints, "runs", *run_parts(run)))
        storage.send((path, f"{folder}/{name}") for path, name in seed_files(run))
        name = self._create(plan)
        record = JobRecord(
            name, self.account.region, plan.checkpoints, self.account.uri("jobs", name, "output"), git_state()
        )
        write_record(run, record)
        return RemoteJob(run, record, self.account.client, self.output_key)

    def _create(self, plan: JobPlan) -> str:
        """CreateTrainingJob; returns the job's name. An answer that got lost does not leave a job behind, unknown."""
        trainer = build_trainer(self, self.account, plan, self.session)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                trainer.train(input_data_config=channels(self, plan), wait=False, logs=False)
        except Exception as error:
            if is_expired(error):
                raise
            listed = self.account.client("sagemaker").list_training_jobs(NameContains=plan.base_name)
            if not listed["TrainingJobSummaries"]:
                raise
            return listed["TrainingJobSummaries"][0]["TrainingJobName"]
        finally:
            tidy(trainer)
        return trainer._latest_training_job.training_job_name

    def _source(self, config: DictConfig, storage: Storage | None) -> str:
        """The URI of the packed source, which is sent where it is not there yet; storage: None for a dry run."""
        extras = tuple(sorted(extra for block, extra in EXTRAS.items() if config.get(block)))
        if extras not in self.sources:
            archive = self._pack(extras)
            uri = self.account.uri("source", archive.name, "source.tar.gz")
            if storage is None or storage.has(uri):
                say(f"source  {archive}")
            else:
                say(f"source  {archive}, sent to {uri}")
                storage.put(archive.content, uri)
            self.sources[extras] = uri
        return self.sources[extras]

    def _pack(self, extras: tuple[str, ...]) -> packing.Archive:
        root = entry().parent
        made = {}
        if self.installs:
            import tomllib

            project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
            wanted = list(project["dependencies"])
            for extra in extras:
                wanted += [
                    line
                    for line in project["optional-dependencies"][extra]
                    if extra != "serve" or packing.canonical(line) in EXPORTERS
                ]
            if self.wandb_secret:
                wanted.append("boto3")
            lock = (root / "constraints.txt").read_text(encoding="utf-8")
            made[REQUIREMENTS], made[CONSTRAINTS] = packing.requirements(wanted, lock, brought=IMAGE_BRINGS)
        packed = packing.pack(root, self.include, max_mb=self.max_mb, extra=made)
        if left := [name for name in packing.left_behind(root) if name not in self.include]:
            say(f"source  not sent, since git does not track it: {', '.join(left)} (git add, or launcher.include)")
        return packed

    def show(self, config: DictConfig, run: Run | None = None) -> None:
        """Print the request of a run's job as JSON, and what it costs; asks AWS for a stack and a price at most."""
        self.check_run(config)
        run = run or Run(Path(config.paths.runs).resolve() / str(config.name) / time.strftime("%Y-%m-%d_%H-%M-%S"))
        plan = plan_job(self.account, run, config, self._source(config, None), tuple(self.passed_on))
        made = request(self, self.account, plan)
        print(json.dumps(made, indent=2, ensure_ascii=False), flush=True)
        say(f"image   {made['AlgorithmSpecification']['TrainingImage']}")
        say(f"price   {prices.cost(self, prices.find_price(self, self.account), self.hosts(config))}")

    def status(self, job: str) -> Status:
        """As SageMaker says, asked every `launcher.poll_seconds`; what an ended job wrote has come back by then.

        Raises JobFailedError where AWS has given no answer for long, or where the credentials are no longer good.
        """
        watched = self.jobs[job]
        if watched.state.status.ended:
            return watched.state.status
        if watched.stops > 1:
            watched.state = State(Status.STOPPED, "", watched.not_waited_for, STOPPED)
        elif time.monotonic() >= watched.look_at:
            self._look(watched)
            watched.look_at = time.monotonic() + self.poll_seconds
        return watched.state.status

    def _look(self, watched: "Watched") -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            state = watched.job.look()
            if self.alone:
                for host, line in watched.job.log.new_lines():
                    print(shown(host, line), flush=True)
            if state.status.ended:
                watched.job.collect()
            elif state.status is Status.RUNNING:
                watched.job.bring(live=True)
            watched.state, watched.heard = state, time.monotonic()
        except (BotoCoreError, ClientError) as error:
            if is_expired(error) or time.monotonic() - watched.heard > PATIENCE_SECONDS:
                why = "the AWS credentials are no longer good" if is_expired(error) else f"no answer of AWS ({error})"
                raise JobFailedError(
                    f"job {watched.job.record.name}: {why}; it runs on, and is billed; go on with: "
                    f"python train.py resume={watched.job.run.path} launcher=sagemaker"
                ) from error

    def result(self, job: str) -> float:
        """The objective in metrics.json; raises JobFailedError with what the job left as its reason."""
        watched = self.jobs[job]
        if watched.state.status is Status.DONE:
            return watched.job.run.metrics()["objective"]
        if watched.state.code == REFUSED:
            watched.job.run.discard_if_untrained()
        raise JobFailedError(watched.state.message, watched.state.code or 1)

    def stop(self, job: str) -> None:
        """StopTrainingJob: train.py saves and ends; the second time it is no longer waited for."""
        watched = self.jobs[job]
        watched.stops += 1
        watched.look_at = 0.0
        if watched.stops == 1:
            watched.job.stop()

    def leave(self, jobs: int) -> bool:
        """Ask the person at the terminal whether running jobs are to be left; nobody there: they are stopped."""
        if not at_terminal():
            return False
        question = f"{jobs} jobs run at SageMaker. Leave them running, or stop them? [l/S] "
        try:
            return input(question).strip().lower().startswith("l")
        except (EOFError, KeyboardInterrupt):
            return False

    def where(self, run: Run) -> str:
        """How a job that was left is found again."""
        return f"python scripts/sagemaker.py collect {run.path}"

    def close(self) -> None:
        """Nothing of a job is on this machine."""
        self.jobs.clear()


class Watched:
    """A job, and what is known of it. heard: when AWS answered last; look_at: when it is asked next."""

    def __init__(self, job: RemoteJob) -> None:
        self.job = job
        self.state = State(Status.QUEUED, "")
        self.stops = 0
        self.heard = time.monotonic()
        self.look_at = 0.0

    @property
    def not_waited_for(self) -> str:
        run = self.job.run.path
        return f"stopped at SageMaker, which was not waited for; then: python scripts/sagemaker.py collect {run}"


def at_terminal() -> bool:
    """Whether a person can be asked."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


def say(text: str) -> None:
    """Beside what a command gives out."""
    print(text, file=sys.stderr, flush=True)
