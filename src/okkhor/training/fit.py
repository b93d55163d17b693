"""Train what a run directory describes, from its start or from its last checkpoint."""

import logging
import time
import warnings

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig
from pytorch_lightning.utilities.exceptions import SIGTERMException
from rich.console import Console

from okkhor.data.module import ImageData, limited
from okkhor.data.splitting import among
from okkhor.errors import InputError, StoppedError
from okkhor.models.module import ClassifierModule
from okkhor.models.pretraining.module import PretrainModule
from okkhor.runs import Run
from okkhor.training.build import build_data, build_module
from okkhor.training.callbacks import build_callbacks
from okkhor.training.checkpoint_io import UNREADABLE, resumable
from okkhor.training.decision import MOST_IMAGES, fit_powers, write_powers
from okkhor.training.initial import initialize
from okkhor.training.loggers import build_loggers, finish, log_pictures
from okkhor.training.memory import keep_freed_memory
from okkhor.training.pretraining import read_by_neighbors, score_by_neighbors
from okkhor.training.scoring import read, readings, score
from okkhor.training.trainers import as_trained, build_trainer

Module = ClassifierModule | PretrainModule


def fit(run: Run, config: DictConfig) -> float:
    """Train, score the best checkpoint, write metrics.json and the report; returns the objective.

    Continues from last.ckpt where the run has one. Raises InputError for a mistake in the options or the data.
    """
    started = time.monotonic()
    quiet()
    keep_freed_memory()
    pl.seed_everything(config.seed, verbose=False)
    resumed, step = resumable(run) or (None, None)
    loggers = build_loggers(run, config.logger, step)
    try:
        trainer = build_trainer(config, callbacks=build_callbacks(run, config.callbacks), logger=loggers)
        config, chosen = as_trained(config, trainer.world_size)
        if trainer.is_global_zero:
            for line in chosen:
                print(line, flush=True)
        data = build_data(config)
        data.prepare_data()  # every rank: the first builds under a lock, the others find it built
        module = build_module(config, data.heads, total_steps(trainer, data), data.train_labels)
        origin = None if resumed else initialize(module.net, data.heads, config)  # a checkpoint holds what came of it
        if origin is not None and isinstance(module, PretrainModule):
            module.method.start_from(module.net)
        if trainer.is_global_zero:
            if origin is not None:
                print(origin[0], flush=True)
            known = {"dir": data.dir, "store": str(data.store.path), "identity": data.store.key}
            run.write_provenance(
                known | ({"synthetic": data.rendered.key} if data.synthetic_fraction else {}),
                init_from=origin[1] if origin is not None else None,
            )
        trainer.fit(module, datamodule=data, ckpt_path=resumed, weights_only=True if resumed else None)
        concluding = (run, config, trainer, module, data, started, resumed is not None)
        metrics = _conclude(*concluding) if trainer.is_global_zero else {}
    except SIGTERMException:  # Lightning's, at the end of an epoch, whose checkpoint has been written
        finish(loggers, "failed")
        raise StoppedError(f"stopped after an epoch; go on with: python train.py resume={run.path}") from None
    except BaseException:
        finish(loggers, "failed")
        raise
    finish(loggers, "success")
    if config.get("export") and trainer.is_global_zero:  # a run made before this option has none
        from okkhor.training.export import export_trained

        print(export_trained(run, config).path, flush=True)
    return float(metrics.get("objective", "nan"))


def total_steps(trainer: pl.Trainer, data: ImageData) -> int:
    """Optimizer steps of the whole run, for schedules that end with it.

    Lightning's own estimate makes the training loader, and its workers fetch, before a resumed run knows its epoch.
    """
    batches = limited(len(data.train_batches(trainer.world_size)), trainer)
    steps = -(-batches // trainer.accumulate_grad_batches) * (trainer.max_epochs or 1)
    return min(steps, trainer.max_steps) if trainer.max_steps > 0 else steps


def _conclude(
    run: Run, config: DictConfig, trainer: pl.Trainer, module: Module, data: ImageData, started: float, resumed: bool
) -> dict[str, float]:
    """Score the best checkpoint on the validation rows of one process: exact, and equal for any number of ranks."""
    epochs = trainer.current_epoch
    if run.best.is_file():
        load_weights(module, run)
    rows, most = data.rows("val"), None
    if isinstance(limit := config.trainer.get("limit_val_batches"), int) or config.trainer.get("fast_dev_run"):
        most = (limit or 1) * 2 * data.batch_size
        rows = rows[:most]
    device = trainer.strategy.root_device
    label = "scoring" if config.callbacks.progress and Console().is_terminal else ""
    metrics: dict[str, float]
    if isinstance(module, PretrainModule):
        probabilities = read_by_neighbors(module, data, rows, device, label, most)
        found = readings(data.store, rows, probabilities)
        metrics = score_by_neighbors(module, probabilities, found.labels)
    else:
        powers = fit_powers(module, data, device, epoch=config.trainer.max_epochs, most=most or MOST_IMAGES)
        if powers:
            if run.best.is_file():
                write_powers(module, run)
            print("power of the class prior: " + ", ".join(f"{k} {v:g}" for k, v in powers.items()), flush=True)
        probabilities = read(module, data.loader_of(rows), device, label)
        seen = among(data.labels_of(rows), data.combinations("train"))
        found = readings(data.store, rows, probabilities, seen)
        metrics = {f"val/{k}": v for k, v in score(module, probabilities, found.labels, seen).items()}
        metrics |= {f"power/{head}": power for head, power in (powers or {}).items()}
    seconds = time.monotonic() - started
    trained = trainer.global_step * trainer.accumulate_grad_batches * config.data.batch_size
    metrics |= {"epochs": epochs, "seconds": round(seconds, 1), "images/validation": len(rows)}
    metrics |= {"images/training": trained} | ({"resumed": 1} if resumed else {})  # then the seconds are its last ones
    metrics["objective"] = _objective(config.objective, metrics, trainer)
    run.write_metrics(metrics)
    if config.callbacks.report:
        from okkhor.reports.run import report_images
        from okkhor.training.reporting import report_network

        for logger in trainer.loggers:
            logger.save()
        report_network(run.path, module, data, rows, found)
        log_pictures(trainer.loggers, report_images(run.path), trainer.global_step)
    from okkhor.reports.table import result_table

    Console().print(result_table(metrics, data.heads, run_dir=run.path, seconds=seconds))
    return metrics


def _objective(name: str, metrics: dict[str, float], trainer: pl.Trainer) -> float:
    if name in metrics:
        return metrics[name]
    if name in trainer.callback_metrics:
        return float(trainer.callback_metrics[name])
    raise InputError(f"objective: no metric {name!r} in this run; expected one of {', '.join(sorted(metrics))}")


def load_weights(module: pl.LightningModule, run: Run) -> None:
    """Load the run's checkpoint (best, else last) into a module, tensors only."""
    path = run.checkpoint()
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
        module.load_state_dict(state)
    except UNREADABLE as error:
        cause = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}: not a checkpoint of this run's model: {cause}") from error


def quiet() -> None:
    """Leave out what libraries say on every start and no user can act on."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    logging.getLogger("torch.distributed").setLevel(logging.WARNING)
    for message in (
        r"The '(?:train|val|predict)_dataloader' does not have many workers",  # workers are chosen from the machine
        r"The number of training batches .* is smaller than the logging interval",
        r"You're resuming from a checkpoint that ended before the epoch ended",  # okkhor.data.module skips them
        r"It is recommended to use `self.log\('.*', ..., sync_dist=True\)`",  # torchmetrics has summed over ranks
        r"`ModelCheckpoint\(monitor='.*'\)` could not find the monitored key",  # else it raises
        r"A `OneCycleLR` scheduler is using 'interval': 'epoch'",  # `total_steps: auto` counts epochs then
        r"Checkpoint directory .* exists and is not empty",  # a resumed run: that is the point
        r"Detected call of `lr_scheduler.step\(\)` before `optimizer.step\(\)`",  # an overflow step of mixed precision
    ):
        warnings.filterwarnings("ignore", message)
    warnings.filterwarnings("ignore", "`isinstance\\(treespec, LeafSpec\\)` is deprecated")  # Lightning's own use
