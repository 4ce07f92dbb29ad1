"""A fit in several processes on a CPU; a module of its own, because processes import it."""

import json
import os
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor
from torch.distributed.tensor import DTensor

from service.contract.errors import DuoActError
from tests.training.processes.forks import run_in_processes
from tests.training.tiny import random_clips
from training.config.model import Recipe
from training.data.annotations import VideoData
from training.data.loader import ClipBatch
from training.fitting.fit import FitResources, fit
from training.fitting.progress import show_fit
from training.fitting.step import Optimisation
from training.fitting.texts import prepare_texts
from training.models.video_clip import VideoCLIP
from training.processes.ranks import join_launch
from training.runs.backbone import read_backbone
from training.runs.curves import StepRecord

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


def poison_backward(model: VideoCLIP) -> Callable[[StepRecord], None]:
    """Spoil the gradients that the first process computes, before they are shared out."""

    def spoil(_: object, __: object, features: Tensor) -> None:
        features.register_hook(lambda gradient: gradient * torch.inf)

    model.video.register_forward_hook(spoil)
    return do_nothing(model)


def show_in_file(path: Path, model: VideoCLIP) -> Callable[[StepRecord], None]:
    """Show the fit as the command does, but in a file."""
    with path.open("w", encoding="utf-8") as file, show_fit(Console(file=file)) as begin:
        begin(model)
    return do_nothing(model)


@dataclass(frozen=True, kw_only=True)
class Job:
    """Everything that the processes of a fit are told; ``float64`` keeps the order of sums from showing."""

    recipe: Recipe
    data: VideoData
    resources: FitResources
    backbone_dir: Path | None
    begin: Begin = do_nothing
    float64: bool = False
    shard: bool = False


def fit_in_processes(job: Job, *, num_processes: int) -> None:
    """Fit, or resume a job without a backbone; what a process refuses to do lies beside the run as error<rank>.txt."""
    run_in_processes(_run_in_rank, _fit, job, num_processes=num_processes)


def measure_shares(job: Job, *, num_processes: int) -> list[dict[str, int]]:
    """Take a step without data, and count the numbers that each process then stores of the model and of its moments."""
    run_in_processes(_run_in_rank, _measure, job, num_processes=num_processes)
    paths = (job.resources.run_dir.with_name(f"shares{rank}.json") for rank in range(num_processes))
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def _run_in_rank(rank: int, function: Callable[[Job], None], job: Job) -> None:
    torch.set_default_dtype(torch.float64 if job.float64 else torch.float32)
    try:
        function(job)
    except DuoActError as error:
        errors = job.resources.run_dir.with_name(f"error{rank}.txt")
        errors.write_text(str(error), encoding="utf-8")


def _fit(job: Job) -> None:
    model = fit(
        job.recipe,
        data=job.data,
        resources=job.resources,
        backbone_dir=job.backbone_dir,
        resume=job.backbone_dir is None,
        begin=job.begin,
        shard=job.shard,
    )
    if job.shard:
        torch.save(model.state_dict(), job.resources.run_dir.with_name(f"returned{os.environ['RANK']}.pt"))


def _measure(job: Job) -> None:
    assert job.backbone_dir is not None
    model = read_backbone(job.backbone_dir).build(job.recipe.model)
    accelerator = join_launch()
    optimisation = Optimisation(
        model,
        texts=prepare_texts(model, job.data.labels),
        config=job.recipe.fit,
        accelerator=accelerator,
        shard=job.shard,
    )
    optimisation.take_step(ClipBatch(random_clips(2), torch.tensor([0, 1])), learning_rate=1e-3, step=1)
    moments = [moment for each in optimisation.optimizer.state.values() for moment in each.values()]
    shares = {"weights": _count_stored(model.parameters()), "moments": _count_stored(moments)}
    path = job.resources.run_dir.with_name(f"shares{accelerator.process_index}.json")
    path.write_text(json.dumps(shares), encoding="utf-8")


def _count_stored(tensors: Iterable[Tensor]) -> int:
    """Count numbers by the memory behind them."""
    own = [each.to_local() if isinstance(each, DTensor) else each for each in tensors]
    return sum(each.untyped_storage().nbytes() // each.itemsize for each in own if each.ndim)
