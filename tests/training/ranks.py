"""A fit in several processes on a CPU; a module of its own, because processes import it."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from service.contract.errors import DuoActError
from tests.training.processes import run_in_processes
from training.config import Recipe
from training.data.annotations import VideoData
from training.fit import Workplace, fit
from training.models.video_clip import VideoCLIP
from training.run_folder import StepRecord

Begin = Callable[[VideoCLIP], Callable[[StepRecord], None]]


def do_nothing(_: VideoCLIP) -> Callable[[StepRecord], None]:
    return lambda _: None


def kill_after_step_3(_: VideoCLIP) -> Callable[[StepRecord], None]:
    def observe(record: StepRecord) -> None:
        if record.step == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    return observe


def poison_weight(model: VideoCLIP) -> Callable[[StepRecord], None]:
    """Spoil a weight of the first process alone, after its first step."""

    def observe(_: StepRecord) -> None:
        with torch.no_grad():
            model.video.visual.proj.fill_(torch.nan)

    return observe


def poison_gradient(model: VideoCLIP) -> Callable[[StepRecord], None]:
    """Spoil a gradient of the first process alone."""
    assert model.video.temporal_embedding is not None
    model.video.temporal_embedding.register_hook(lambda gradient: gradient * torch.inf)
    return do_nothing(model)


@dataclass(frozen=True, kw_only=True)
class Job:
    """Everything that the processes of a fit are told; ``float64`` keeps the order of sums from showing."""

    recipe: Recipe
    data: VideoData
    workplace: Workplace
    backbone_dir: Path | None
    begin: Begin = do_nothing
    float64: bool = False


def fit_in_processes(job: Job, *, num_processes: int) -> None:
    """Fit, or resume a job without a backbone; what a process refuses to do lies beside the run as error<rank>.txt."""
    run_in_processes(_fit_in_rank, job, num_processes=num_processes)


def _fit_in_rank(rank: int, job: Job) -> None:
    torch.set_default_dtype(torch.float64 if job.float64 else torch.float32)
    try:
        fit(
            job.recipe,
            data=job.data,
            workplace=job.workplace,
            backbone_dir=job.backbone_dir,
            resume=job.backbone_dir is None,
            begin=job.begin,
        )
    except DuoActError as error:
        errors = job.workplace.run_dir.with_name(f"error{rank}.txt")
        errors.write_text(str(error), encoding="utf-8")
