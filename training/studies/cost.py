"""What training costs: peak memory and step time of what a method trains, beside full fine-tuning.

Weights, clips and texts are random, which changes neither figure. The steps are those of ``step``.
"""

import json
import multiprocessing
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import Any, ParamSpec, TypeVar, assert_never

import torch
from accelerate import Accelerator
from rich.table import Table
from torch import Tensor
from torch.nn import functional

from training.config.adapters import (
    Adapters,
    DeepPromptConfig,
    FineTuningConfig,
    NoAdapters,
    SideNetworkConfig,
    TemporalEmbeddingConfig,
    TemporalPromptConfig,
)
from training.config.model import ModelConfig, Recipe
from training.data.loader import ClipBatch
from training.errors import RunError, SettingError
from training.fitting.step import Optimisation
from training.fitting.texts import TextBank, Texts, trains_texts
from training.models.builders import build_model
from training.models.card import METHODS
from training.models.video_clip import LabelTokens, VideoCLIP
from training.runs.configs import render_config
from training.runs.environment import describe_environment

REFERENCE = "fully fine-tuned"
# The labels of HMDB51, most of which are of one or two words; side networks were published for Something-Something.
_NUM_LABELS, _NUM_WORDS, _NUM_CLASSES = 51, 2, 174
_STATUS = Path("/proc/self/status")
_MEMORY: Mapping[str, str] = MappingProxyType(
    {
        "cuda": "torch.cuda.max_memory_allocated: the most that tensors took at once, text towers included",
        "cpu": "VmHWM of /proc/self/status at the end less VmRSS before the model was built: the most memory that the "
        "process held at once above Python and its libraries, text towers included",
    }
)
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What training one model takes; the first step, which warms up, is not counted among the times.

    ``cpu_seconds`` of a step add up all threads of the process; other programs disturb them less than ``step_seconds``.
    """

    trainable_parameters: int
    frozen_parameters: int
    peak_memory_bytes: int
    step_seconds: tuple[float, ...]
    cpu_seconds: tuple[float, ...]
    device: str


@dataclass(frozen=True)
class Part:
    """What is trained; ``opens_tower`` lets gradients flow through a frozen image tower down to its input."""

    model: ModelConfig
    opens_tower: bool = False


def list_parts(model: ModelConfig) -> dict[str, Part]:
    """List what there is to train of a method, full fine-tuning among it.

    Of dual semantics: the adapters, with and without beta, and the whole image tower. Of fine-tuned CLIP: both towers,
    either, and the prompts that take their place. A side network is compared with other methods on the same towers, and
    with itself where it does not spare gradients the way through the tower, whose weights stay as they are.
    """
    own = partial(_with_adapters, model)
    match model.adapters:
        case SideNetworkConfig() as side:
            tuned = _on_towers_of(model, method="vificlip")
            return {
                "side network": Part(model),
                REFERENCE: Part(tuned),
                "image tower": _with_adapters(tuned, FineTuningConfig(mode="image")),
                "dual semantics": Part(_on_towers_of(model, method="dual_semantic")),
                "side network, gradients through the tower": Part(model, opens_tower=True),
                "Side4Video": own(replace(side, variant="side4video")),
            }
        case FineTuningConfig() | DeepPromptConfig():
            fusion = model.adapters.fusion
            return {
                REFERENCE: own(FineTuningConfig(fusion=fusion)),
                "image tower": own(FineTuningConfig(fusion=fusion, mode="image")),
                "text tower": own(FineTuningConfig(fusion=fusion, mode="text")),
                "prompts": own(DeepPromptConfig(fusion=fusion)),
            }
        case TemporalPromptConfig() as prompts:
            return {
                "adapters": own(replace(prompts, tune_image_tower=False)),
                REFERENCE: own(replace(prompts, tune_image_tower=True)),
                "adapters without beta": own(replace(prompts, tune_image_tower=False, beta="none")),
            }
        case TemporalEmbeddingConfig() as embedding:
            return {
                "adapters": own(replace(embedding, tune_image_tower=False)),
                REFERENCE: own(replace(embedding, tune_image_tower=True)),
            }
        case NoAdapters():
            raise SettingError("CLIP as it is trains nothing, so there is no cost to measure; choose another recipe")
        case unknown:
            assert_never(unknown)


def count_labels(model: ModelConfig) -> int:
    """Return how many labels a measurement has: those of a side network's classes, or of a common data set."""
    if not isinstance(model.adapters, SideNetworkConfig):
        return _NUM_LABELS
    return model.adapters.num_classes or _NUM_CLASSES


def compare_costs(recipe: Recipe, *, num_steps: int) -> dict[str, Any]:
    """Measure all parts of a recipe's model, each in a fresh process, and report them as JSON values.

    Raises:
        RunError: a measurement ended early, most likely for want of memory.
    """
    num_labels = count_labels(recipe.model)
    costs = {
        name: call_in_fresh_process(measure_cost, recipe, part=part, num_steps=num_steps, num_labels=num_labels)
        for name, part in list_parts(recipe.model).items()
    }
    return {
        "environment": describe_environment(),
        "recipe": json.loads(render_config(recipe)),
        "num_labels": num_labels,
        "peak_memory": _MEMORY[costs[REFERENCE].device],
        "step_time": f"median of {num_steps} steps after one that warms up",
        "variants": {name: _report(cost, reference=costs[REFERENCE]) for name, cost in costs.items()},
    }


def measure_cost(recipe: Recipe, *, part: Part, num_steps: int, num_labels: int) -> Cost:
    """Train a part in the way of a recipe for some steps, in this process, which should hold nothing else."""
    accelerator = Accelerator()
    on_cuda = accelerator.device.type == "cuda"
    torch.manual_seed(recipe.fit.seed)
    memory_before = 0 if on_cuda else _read_status("VmRSS")
    model = build_model(part.model).to(accelerator.device)
    trainable = sum(parameter.numel() for parameter in model.trainable_parameters())
    texts = _draw_texts(model, num_labels=num_labels)
    optimisation = Optimisation(model, texts=texts, config=recipe.fit, accelerator=accelerator)
    if part.opens_tower:
        open_tower(model)  # Too late for the optimizer, which changes no more than before.
    step_seconds, cpu_seconds = [], []
    for step in range(1, num_steps + 2):
        batch = _draw_clips(part.model, num_clips=recipe.fit.batch_size, num_labels=num_labels).to(accelerator.device)
        started, cpu_started = time.perf_counter(), time.process_time()
        # The step ends by reading a number back, so nothing of it is pending on a GPU.
        optimisation.take_step(batch, learning_rate=recipe.fit.learning_rate, step=step)
        step_seconds.append(time.perf_counter() - started)
        cpu_seconds.append(time.process_time() - cpu_started)
    peak = torch.cuda.max_memory_allocated() if on_cuda else _read_status("VmHWM") - memory_before
    return Cost(
        trainable_parameters=trainable,
        frozen_parameters=sum(parameter.numel() for parameter in model.parameters()) - trainable,
        peak_memory_bytes=peak,
        step_seconds=tuple(step_seconds[1:]),
        cpu_seconds=tuple(cpu_seconds[1:]),
        device=accelerator.device.type,
    )


def open_tower(model: VideoCLIP) -> None:
    """Let gradients flow through a frozen image tower, down to the positions that are added to its input."""
    model.video.visual.positional_embedding.requires_grad_(True)


def call_in_fresh_process(
    function: Callable[_Arguments, _Result], *arguments: _Arguments.args, **options: _Arguments.kwargs
) -> _Result:
    """Call a function where nothing was allocated before it.

    Raises:
        RunError: the process was ended, or a GPU's memory did not suffice.
    """
    with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(function, *arguments, **options).result()
        except (BrokenProcessPool, torch.OutOfMemoryError) as error:
            raise RunError(
                f"the measurement ended early ({error}), most likely for want of memory; lower --batch-size or --frames"
            ) from error


def render_costs(report: dict[str, Any]) -> Table:
    """Render a report as a table for a terminal."""
    fit = report["recipe"]["fit"]
    table = Table(title=f"{report['environment']['device']}, batch {fit['batch_size']}, {fit['precision']}")
    for column in ("variant", "trainable", "peak GiB", "of full", "s / step", "of full", "CPU s"):
        table.add_column(column, justify="left" if column == "variant" else "right")
    for name, cost in report["variants"].items():
        table.add_row(
            name,
            f"{cost['trainable_parameters']:,}",
            f"{cost['peak_memory_bytes'] / 1024**3:.2f}",
            f"{cost['memory_ratio']:.2f}",
            f"{cost['median_step_seconds']:.3f}",
            f"{cost['time_ratio']:.2f}",
            f"{cost['median_cpu_seconds']:.3f}",
        )
    return table


def _report(cost: Cost, *, reference: Cost) -> dict[str, Any]:
    seconds = median(cost.step_seconds)
    return {
        **asdict(cost),
        "median_step_seconds": seconds,
        "median_cpu_seconds": median(cost.cpu_seconds),
        "memory_ratio": cost.peak_memory_bytes / reference.peak_memory_bytes,
        "time_ratio": seconds / median(reference.step_seconds),
    }


def _with_adapters(model: ModelConfig, adapters: Adapters) -> Part:
    return Part(replace(model, adapters=adapters))


def _on_towers_of(model: ModelConfig, *, method: str) -> ModelConfig:
    """Take another method's config on the same towers and clips."""
    return replace(
        METHODS[method](),
        clip=model.clip,
        chinese=model.chinese,
        num_frames=model.num_frames,
        preprocessing=model.preprocessing,
    )


def _draw_texts(model: VideoCLIP, *, num_labels: int) -> Texts:
    if model.config.is_closed:
        return None
    projection = model.video.visual.proj

    def draw(*shape: int) -> Tensor:
        return functional.normalize(torch.randn(*shape, projection.shape[1], device=projection.device), dim=-1)

    if trains_texts(model):
        vocab_size = model.english.token_embedding.num_embeddings
        length = len(model.english.positional_embedding) - model.config.adapters.num_text_tokens
        token_ids = torch.randint(vocab_size, (num_labels, length), device=projection.device)
        return LabelTokens(token_ids, torch.full_like(token_ids[:, 0], length - 1), torch.ones_like(token_ids).bool())
    words = draw(num_labels, _NUM_WORDS)
    is_word = torch.ones(num_labels, _NUM_WORDS, dtype=torch.bool, device=projection.device)
    return TextBank(draw(num_labels), words, is_word, None if model.chinese is None else draw(num_labels))


def _draw_clips(model: ModelConfig, *, num_clips: int, num_labels: int) -> ClipBatch:
    size = model.preprocessing.input_size
    frames = torch.randint(0, 256, (num_clips, *model.clip_shape, size, size, 3), dtype=torch.uint8)
    return ClipBatch(frames, torch.randint(0, num_labels, (num_clips,)))


def _read_status(field: str) -> int:
    """Read a memory figure of this process, in bytes.

    Raises:
        RunError: the system does not tell.
    """
    lines = _STATUS.read_text(encoding="utf-8").splitlines() if _STATUS.is_file() else []
    figures = [int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:")]
    if not figures:
        raise RunError(f"{_STATUS} has no {field}; without a GPU, memory is measured on Linux alone")
    return figures[0]
