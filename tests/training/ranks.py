"""A fit in several processes on a CPU; a module of its own, because processes start by importing it."""

import multiprocessing
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.multiprocessing.spawn import start_processes

from service.contract.errors import DuoActError
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
    # One server imports everything, which takes longer than a fit does here, and every process is a fork of it.
    multiprocessing.set_forkserver_preload([__name__])
    start_processes(
        _fit_in_rank,
        args=(num_processes, _free_port(), job),
        nprocs=num_processes,
        start_method="forkserver",
    )


def _free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _fit_in_rank(rank: int, num_processes: int, port: int, job: Job) -> None:
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(num_processes),
        LOCAL_WORLD_SIZE=str(num_processes),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
        ACCELERATE_USE_CPU="true",
        ACCELERATE_TORCH_DEVICE="cpu",
    )
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
