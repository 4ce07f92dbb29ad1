"""A run shared by two processes: equal to that of one, resumed exactly after a kill, and stopped as one."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.multiprocessing.spawn import ProcessExitedException

from tests.training.fine_tuned import FINE_TUNING
from tests.training.processes.ranks import (
    Begin,
    Job,
    fit_in_processes,
    kill_after_step_3,
    poison_gradient,
    poison_weight,
)
from tests.training.side import CLOSED_FITTING, OPEN_FITTING
from tests.training.tiny import LABELS, RECIPE, tiny_prompts
from training.config.model import Recipe
from training.data.annotations import VideoData
from training.fitting.fit import FitResources
from training.runs.checkpoint import latest_checkpoint
from training.runs.curves import read_records

pytestmark = pytest.mark.slow


@pytest.fixture
def job(data: VideoData, backbone_dir: Path, frames_cache: Path, tmp_path: Path) -> Callable[..., Job]:
    def describe(name: str, recipe: Recipe = RECIPE, **changes: object) -> Job:
        resources = FitResources(run_dir=tmp_path / name, cache_dir=frames_cache, num_workers=1)
        first = Job(recipe=recipe, data=data, resources=resources, backbone_dir=backbone_dir)
        return replace(first, **changes)  # type: ignore[arg-type]

    return describe


def read_weights(run_dir: Path) -> dict[str, torch.Tensor]:
    return load_file(latest_checkpoint(run_dir) / "adapters.safetensors")


# Float64, because AdamW magnifies the rounding of gradients that are zero, such as those of biases before a batch norm.
@pytest.mark.parametrize(
    ("beta", "twins"),
    [("r2plus1d", False), ("r2plus1d", True), ("c3d", False), ("tada", False), ("transformer", False)],
)
def test_two_processes_equal_one(
    job: Callable[..., Job], data: VideoData, tmp_path: Path, beta: str, twins: bool
) -> None:
    fit_config = replace(RECIPE.fit, label_smoothing=0.1, reversed_twins=twins)
    recipe = replace(RECIPE, model=tiny_prompts(beta=beta, zero_init_beta=False), fit=fit_config)
    reversible = only_reversible(data) if twins else data
    for name, num_processes in (("one", 1), ("two", 2)):
        fit_in_processes(job(name, recipe, data=reversible, float64=True), num_processes=num_processes)
    one, two = ([each.loss for each in read_records(tmp_path / name)] for name in ("one", "two"))
    assert two == pytest.approx(one, abs=1e-9)
    torch.testing.assert_close(read_weights(tmp_path / "two"), read_weights(tmp_path / "one"), rtol=0, atol=1e-9)


# Fine-tuning has no batch norms, but towers, temperature and mixed clips that all processes share.
@pytest.mark.parametrize("changes", [{}, {"mixup_alpha": 0.8, "cutmix_alpha": 1.0, "clips_per_pass": 1}])
def test_two_processes_fine_tune_as_one(job: Callable[..., Job], tmp_path: Path, changes: dict[str, float]) -> None:
    recipe = replace(FINE_TUNING, fit=replace(FINE_TUNING.fit, **changes))  # type: ignore[arg-type]
    for name, num_processes in (("one", 1), ("two", 2)):
        fit_in_processes(job(name, recipe, float64=True), num_processes=num_processes)
    one, two = ([each.loss for each in read_records(tmp_path / name)] for name in ("one", "two"))
    assert two == pytest.approx(one, abs=1e-9)
    torch.testing.assert_close(read_weights(tmp_path / "two"), read_weights(tmp_path / "one"), rtol=0, atol=1e-9)


# Side networks are full of batch norms; passes give them other statistics, so there is one pass.
@pytest.mark.parametrize("recipe", [CLOSED_FITTING, OPEN_FITTING], ids=["closed", "open"])
def test_two_processes_fit_a_side_network_as_one(job: Callable[..., Job], tmp_path: Path, recipe: Recipe) -> None:
    for name, num_processes in (("one", 1), ("two", 2)):
        fit_in_processes(job(name, recipe, float64=True), num_processes=num_processes)
    one, two = ([each.loss for each in read_records(tmp_path / name)] for name in ("one", "two"))
    assert two == pytest.approx(one, abs=1e-9)
    torch.testing.assert_close(read_weights(tmp_path / "two"), read_weights(tmp_path / "one"), rtol=0, atol=1e-9)


def only_reversible(data: VideoData) -> VideoData:
    """Leave the videos that have an opposite: an action and its reverse are twins of each other."""
    kept = tuple(each for each in data.annotations if each.label_id < len(LABELS) - 1)
    return replace(data, labels=data.labels[:-1], annotations=kept)


def test_two_processes_equal_one_in_single_precision(job: Callable[..., Job], tmp_path: Path) -> None:
    fit_in_processes(job("one"), num_processes=1)
    fit_in_processes(job("two"), num_processes=2)
    one, two = ([each.loss for each in read_records(tmp_path / name)] for name in ("one", "two"))
    assert two == pytest.approx(one, rel=1e-5)


def test_two_processes_resume_exactly_after_one_is_killed(job: Callable[..., Job], tmp_path: Path) -> None:
    fit_in_processes(job("whole"), num_processes=2)
    with pytest.raises(ProcessExitedException, match="SIGKILL"):
        fit_in_processes(job("killed", begin=kill_after_step_3), num_processes=2)
    assert [each.step for each in read_records(tmp_path / "killed")] == [1, 2, 3]
    fit_in_processes(job("killed", backbone_dir=None), num_processes=2)
    whole, killed = ((latest_checkpoint(tmp_path / name) / "adapters.safetensors") for name in ("whole", "killed"))
    assert killed.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize(
    ("begin", "names"),
    [
        (
            poison_weight,
            ("parameter video.visual.proj is not finite at step 2", "frame features is not finite at step 2"),
        ),
        (poison_gradient, ("gradient of video.temporal_embedding is not finite at step 1",) * 2),
    ],
)
def test_all_processes_stop_where_one_diverges(
    job: Callable[..., Job], tmp_path: Path, begin: Begin, names: tuple[str, str]
) -> None:
    fit_in_processes(job("run", begin=begin), num_processes=2)
    errors = [(tmp_path / f"error{rank}.txt").read_text(encoding="utf-8") for rank in (0, 1)]
    assert [error.split(";")[0] for error in errors] == list(names)


def test_all_processes_refuse_a_taken_folder(job: Callable[..., Job], tmp_path: Path) -> None:
    fit_in_processes(job("run"), num_processes=1)
    fit_in_processes(job("run"), num_processes=2)
    for rank in (0, 1):
        error = (tmp_path / f"error{rank}.txt").read_text(encoding="utf-8")
        assert error == f"{tmp_path / 'run'} holds a run; continue it with --resume, or choose another folder"
