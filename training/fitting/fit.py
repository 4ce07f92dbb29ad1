"""Fitting a model's adapters on videos: one loop, for one process or several, that can stop and resume exactly.

A single step is in ``step``, the order of clips in ``data.loader``, files in ``runs``.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from training.config.fitting import FitConfig
from training.config.model import Recipe
from training.data.annotations import VideoData
from training.data.dataset import TrainingClips, open_training_clips
from training.data.loader import BatchPlan, build_loader
from training.data.training_set import TrainingSet
from training.errors import RunError, SettingError
from training.fitting.optimizer import learning_rate_factor
from training.fitting.step import Optimisation
from training.fitting.texts import Texts, prepare_texts
from training.models.video_clip import VideoCLIP
from training.processes.ranks import join_launch
from training.processes.sharding import check_shardable, gather, gather_moments, spread_moments
from training.runs.backbone import BACKBONE_NAME
from training.runs.bridge import copy_towers, read_towers
from training.runs.checkpoint import has_checkpoint, read_checkpoint, write_checkpoint
from training.runs.curves import StepRecord, append_record, draw_curves, drop_records_after
from training.runs.folder import check_new, start_run
from training.runs.run import Run, check_resumable, is_run, load_model, open_run
from training.runs.tensors import adapter_state

Observe = Callable[[StepRecord], None]


@dataclass(frozen=True)
class FitResources:
    """Where a run finds and leaves its files, and how many processes decode for it."""

    run_dir: Path
    cache_dir: Path
    num_workers: int


def fit(
    recipe: Recipe,
    *,
    data: VideoData,
    resources: FitResources,
    backbone_dir: Path | None,
    resume: bool,
    begin: Callable[[VideoCLIP], Observe],
    shard: bool = False,
) -> VideoCLIP:
    """Fit a recipe's model and return it.

    ``begin`` is called once with the model before the first step and returns what is called after every step, in the
    main process alone. A run that resumes takes its own copy of the backbone and reaches the weights it would have had
    without the stop; where none was begun, ``resume`` begins it from ``backbone_dir``. With ``shard`` the model is
    spread over the processes while it trains, and what ``begin`` sees stays so: it may count parameters, but not use
    them; the model that is returned is another one, and whole.

    Raises:
        RunError: the run folder is taken, or does not hold this run; or there is no backbone to start from.
        SettingError: the recipe has another number of classes than the data has labels; or the launcher is of no use,
            see ``ranks.join_launch``; or there are no processes to ``shard`` over.
        DataError: the data cannot be trained on.
        DivergenceError: a loss or a gradient is not finite; the weights of the last checkpoint are kept.
    """
    accelerator = join_launch()
    if shard:
        check_shardable(accelerator)
    # All processes ask before the first one writes, see ``_open_run``.
    resume = resume and (backbone_dir is None or is_run(resources.run_dir))
    training_set = TrainingSet.of(recipe, data=data)
    run = _open_run(
        recipe,
        training_set=training_set,
        run_dir=resources.run_dir,
        backbone_dir=backbone_dir,
        resume=resume,
        accelerator=accelerator,
    )
    recipe = run.recipe
    torch.manual_seed(recipe.fit.seed)
    model = run.read_backbone().build(recipe.model).to(accelerator.device)
    if model.config.is_closed:
        model.classes = training_set.labels
    texts = prepare_texts(model, training_set.labels)
    state = read_checkpoint(resources.run_dir, model=model) if resume and has_checkpoint(resources.run_dir) else None
    fitting = _Fitting(recipe, model, resources, accelerator, texts, shard=shard)
    first_step = fitting.resume(state) if resume else 0
    # The first process decodes; the others then find its file.
    with accelerator.main_process_first():
        clips = open_training_clips(
            recipe, training_set=training_set, cache_dir=resources.cache_dir, num_workers=resources.num_workers
        )
    plan = BatchPlan(
        num_videos=len(clips),
        batch_size=recipe.fit.batch_size,
        num_epochs=recipe.fit.num_epochs,
        seed=recipe.fit.seed,
        reversed_twins=recipe.fit.reversed_twins,
        repeated_augmentation=recipe.fit.repeated_augmentation,
        rank=accelerator.process_index,
        num_processes=accelerator.num_processes,
    )
    observe = begin(model) if accelerator.is_main_process else _ignore
    fitting.train(clips, plan=plan, first_step=first_step, observe=observe)
    if shard:
        accelerator.wait_for_everyone()  # The main process has then written the last checkpoint.
        return load_model(resources.run_dir).to(accelerator.device)
    model.adopt_temperature()
    return model.eval()


class _Fitting:
    """A model in training, with its optimizer."""

    def __init__(
        self,
        recipe: Recipe,
        model: VideoCLIP,
        resources: FitResources,
        accelerator: Accelerator,
        texts: Texts,
        *,
        shard: bool,
    ) -> None:
        self._config: FitConfig = recipe.fit
        self._model = model
        self._resources = resources
        self._accelerator = accelerator
        self._optimisation = Optimisation(model, texts=texts, config=recipe.fit, accelerator=accelerator, shard=shard)

    def train(self, clips: TrainingClips, *, plan: BatchPlan, first_step: int, observe: Observe) -> None:
        """Take the steps from ``first_step`` to the end of the plan."""
        config, is_main = self._config, self._accelerator.is_main_process
        num_warmup_steps = round(config.num_warmup_epochs * plan.steps_per_epoch)
        factor = partial(
            learning_rate_factor,
            num_steps=plan.num_steps,
            num_warmup_steps=num_warmup_steps,
            final_share=config.final_learning_rate_share,
        )
        # Frames in memory are cheaper to cut here than to send between processes.
        num_workers = 0 if config.frame_cache_bytes else self._resources.num_workers
        started = time.perf_counter()
        loader = build_loader(clips, plan=plan, first_step=first_step, num_workers=num_workers)
        for step, batch in enumerate(loader, start=first_step + 1):
            learning_rate = config.learning_rate * factor(step - 1)
            losses, gradient_norm = self._optimisation.take_step(
                batch.to(self._accelerator.device), learning_rate=learning_rate, step=step
            )
            now = time.perf_counter()
            record = StepRecord(
                step=step,
                num_steps=plan.num_steps,
                epoch=(step - 1) // plan.steps_per_epoch,
                loss=losses.total.item(),
                loss_en=losses.english.item(),
                loss_zh=None if losses.chinese is None else losses.chinese.item(),
                learning_rate=learning_rate,
                gradient_norm=gradient_norm,
                step_seconds=now - started,
            )
            started = now
            self._keep(record)
            observe(record)
        if is_main:
            draw_curves(self._resources.run_dir)

    def resume(self, state: dict[str, Any] | None) -> int:
        """Go on from the state beside the weights of the model, or from nothing; returns the number of steps done."""
        step = 0
        if state is not None:
            optimizer = self._optimisation.optimizer
            optimizer.load_state_dict(spread_moments(state["optimizer"], optimizer=optimizer))
            torch.set_rng_state(state["rng"])
            if torch.cuda.is_available() and state["cuda_rng"]:
                torch.cuda.set_rng_state_all(state["cuda_rng"])
            step = int(state["step"])
        if self._accelerator.is_main_process:
            drop_records_after(self._resources.run_dir, step=step)
        return step

    def _keep(self, record: StepRecord) -> None:
        """Log the step and write a checkpoint where they are due, in the main process; the others give their shares."""
        run_dir, is_last = self._resources.run_dir, record.step == record.num_steps
        is_main = self._accelerator.is_main_process
        if is_main and (is_last or record.step % self._config.log_every_steps == 0):
            append_record(run_dir, record)
        if is_last or record.step % self._config.checkpoint_every_steps == 0:
            adapters = gather(adapter_state(self._model))
            state: dict[str, Any] = {"rng": torch.get_rng_state()}
            state["optimizer"] = gather_moments(self._optimisation.optimizer)
            state["cuda_rng"] = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
            if is_main:
                write_checkpoint(run_dir, adapters=adapters, step=record.step, state=state)


def _ignore(_: StepRecord) -> None:
    """Watch a process that shows nothing."""


def count_classes(recipe: Recipe, *, training_set: TrainingSet) -> Recipe:
    """Give a closed set of classes its size, that of the labels to be learned.

    Raises:
        SettingError: the recipe has another number.
    """
    adapters, num_labels = recipe.model.adapters, len(training_set.labels)
    if adapters.is_closed and adapters.num_classes not in (None, num_labels):
        raise SettingError(
            f"num_classes is {adapters.num_classes}, but {recipe.train_split!r} of {training_set.data.directory} has "
            f"videos of {num_labels} labels; train on all of the recipe's classes, or --set num_classes={num_labels}"
        )
    return replace(recipe, model=replace(recipe.model, adapters=adapters.with_classes(num_labels)))


def _open_run(
    recipe: Recipe,
    *,
    training_set: TrainingSet,
    run_dir: Path,
    backbone_dir: Path | None,
    resume: bool,
    accelerator: Accelerator,
) -> Run:
    """Make or check the run's folder; its recipe has the sizes of the run's backbone."""
    source = run_dir / BACKBONE_NAME if resume else backbone_dir
    if source is None:
        raise RunError("a run needs frozen towers to start from; give their folder with --backbone")
    if resume:
        open_run(run_dir)  # Before its backbone is missed: is this a run at all?
    configured = replace(recipe, model=read_towers(source).configure(recipe.model))
    recipe = count_classes(configured, training_set=training_set)
    if resume:
        return check_resumable(run_dir, recipe=recipe, data=training_set.data)
    # All processes look before the first one writes, so that all of them refuse.
    check_new(run_dir)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        copy_towers(source, run_dir)
        start_run(run_dir, recipe=recipe, training_set=training_set)
    accelerator.wait_for_everyone()
    return open_run(run_dir)
