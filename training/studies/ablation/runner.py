"""Filling an ablation folder: fit and evaluate every run that is not there yet.

A run is worked on by one process at a time and goes on from its last checkpoint, so several processes may share a
folder and each may be stopped at any moment.
"""

import os
import shutil
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from training.config.model import Recipe
from training.data.dataset import open_training_clips
from training.data.training_set import TrainingSet
from training.errors import RunError
from training.evaluation.composite import evaluate_protocol
from training.evaluation.evaluate import Settings
from training.files.locks import lock_if_free, waiting_lock
from training.files.texts import render_json, write_text
from training.fitting.fit import FitResources, count_classes, fit
from training.models.card import describe_model
from training.runs.backbone import BACKBONE_NAME, copy_backbone
from training.runs.checkpoint import has_checkpoint
from training.runs.folder import start_run
from training.runs.run import EVALUATION_NAME, check_resumable, open_run
from training.studies.ablation.plan import LOCK_NAME, Ablation, PlannedRun
from training.studies.ablation.progress import Display

CARD_NAME, FAILURE_NAME = "model.json", "failure.txt"


@dataclass(frozen=True)
class DecodeResources:
    """Where decoded frames are kept, and how many processes decode."""

    cache_dir: Path
    num_workers: int


def run_all(
    ablation: Ablation,
    runs: Sequence[PlannedRun],
    *,
    resources: DecodeResources,
    display: Display,
    after_each: Callable[[], None],
) -> int:
    """Work through runs, leaving out those that are done or in another process's hands; returns how many failed.

    ``after_each`` is called whenever a run has come to an end. Whatever goes wrong in a run stays in its folder as
    ``failure.txt`` and does not touch the others.
    """
    num_failed = 0
    for position, run in enumerate(runs):
        with lock_if_free(run.lock) as is_free:
            if not is_free:
                display.say(position, run.name, "in work by another process")
                continue
            try:
                outcome = _complete(ablation, run, resources=resources, display=display, position=position)
                (run.directory / FAILURE_NAME).unlink(missing_ok=True)
            except Exception as error:
                num_failed += 1
                _keep_failure(run, error)
                outcome = f"FAILED, {type(error).__name__}: {error}"
            display.say(position, run.name, outcome)
            after_each()
    return num_failed


def evaluation_path(ablation: Ablation, run: PlannedRun) -> Path:
    """Where the figures of a finished run lie."""
    return run.directory / EVALUATION_NAME / f"{run.protocol(ablation.protocol).name}.json"


def _complete(
    ablation: Ablation, run: PlannedRun, *, resources: DecodeResources, display: Display, position: int
) -> str:
    """Do what is left of one run; returns what there is to say of it."""
    recipe = run.recipe(ablation.recipe)
    recipe = count_classes(recipe, training_set=TrainingSet.of(recipe, data=ablation.data))
    if evaluation_path(ablation, run).is_file():
        check_resumable(run.directory, recipe=recipe, data=ablation.data)
        return "was done before"
    if run.variant.trains:
        _fit(ablation, run, recipe=recipe, resources=resources, display=display, position=position)
    else:
        _start_untrained(ablation, run, recipe=recipe)
    card = describe_model(recipe.model).to_json()
    write_text(run.directory / CARD_NAME, text=render_json(card))
    settings = Settings(num_workers=resources.num_workers)
    protocol = run.protocol(ablation.protocol)
    report = evaluate_protocol(open_run(run.directory), data=ablation.data, protocol=protocol, settings=settings)
    # The last reading is the one that the service uses: fused, English alone, or the classes of a closed set.
    return f"top-1 {report.accuracies[-1].top1:.1%} ({report.accuracies[-1].reading})"


def _fit(
    ablation: Ablation, run: PlannedRun, *, recipe: Recipe, resources: DecodeResources, display: Display, position: int
) -> None:
    """Fit a run from its start, or from its last checkpoint."""
    source, can_resume = _find_source(ablation, run), has_checkpoint(run.directory)
    if not can_resume:
        shutil.rmtree(run.directory, ignore_errors=True)
        if source == ablation.backbone_dir:
            _link_backbone(ablation, run)
    _store_frames(ablation, recipe, resources=resources)
    with display.show_steps(position, run.name) as begin:
        fit(
            recipe,
            data=ablation.data,
            resources=FitResources(
                run_dir=run.directory, cache_dir=resources.cache_dir, num_workers=resources.num_workers
            ),
            backbone_dir=source,
            resume=can_resume,
            begin=begin,
        )


def _find_source(ablation: Ablation, run: PlannedRun) -> Path:
    """Find the towers that a run starts from.

    Raises:
        RunError: they are those of another run, which is not done.
    """
    if run.source is None:
        return ablation.backbone_dir
    if not any((run.source / EVALUATION_NAME).glob("*.json")):
        raise RunError(
            f"{run.name} starts from the towers of {run.variant.starts_from}, whose run of this seed is not "
            "done; run that variant first"
        )
    return run.source


def _start_untrained(ablation: Ablation, run: PlannedRun, *, recipe: Recipe) -> None:
    """Make the folder of a run that is evaluated as it starts."""
    shutil.rmtree(run.directory, ignore_errors=True)
    _link_backbone(ablation, run)
    copy_backbone(ablation.backbone_dir, run.directory)
    start_run(run.directory, recipe=recipe, training_set=TrainingSet.of(recipe, data=ablation.data))


def _link_backbone(ablation: Ablation, run: PlannedRun) -> None:
    """Give a run its own backbone without its weight in bytes; where files cannot be linked, ``fit`` copies them."""
    run.directory.mkdir(parents=True, exist_ok=True)
    unfinished = run.directory / f".{BACKBONE_NAME}.partial"
    with suppress(OSError):
        shutil.copytree(ablation.backbone_dir, unfinished, copy_function=os.link)
        unfinished.rename(run.directory / BACKBONE_NAME)


def _store_frames(ablation: Ablation, recipe: Recipe, *, resources: DecodeResources) -> None:
    """Decode the training videos, if no run did yet, while other processes wait rather than do the same."""
    with waiting_lock(resources.cache_dir / LOCK_NAME):
        open_training_clips(
            recipe,
            training_set=TrainingSet.of(recipe, data=ablation.data),
            cache_dir=resources.cache_dir,
            num_workers=resources.num_workers,
        )


def _keep_failure(run: PlannedRun, error: Exception) -> None:
    run.directory.mkdir(parents=True, exist_ok=True)
    text = "".join(traceback.format_exception(error))
    write_text(run.directory / FAILURE_NAME, text=f"{type(error).__name__}: {error}\n\n{text}")
