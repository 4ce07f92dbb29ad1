"""A model spread over two processes: trained as one whole, in shares, written whole, and stopped as one."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.multiprocessing.spawn import ProcessExitedException

from tests.training.commands.test_menu import fit_small
from tests.training.fine_tuned import FINE_TUNING
from tests.training.processes.ranks import (
    Begin,
    Job,
    fit_in_processes,
    kill_after_step_3,
    measure_shares,
    poison_backward,
    poison_weight,
    show_in_file,
)
from tests.training.side import CLOSED_FITTING
from tests.training.tiny import RECIPE, tiny_prompts
from training.config.model import Recipe
from training.data.annotations import VideoData
from training.fitting.fit import FitResources
from training.runs.checkpoint import latest_checkpoint
from training.runs.curves import read_records

PROMPTED = replace(RECIPE, model=tiny_prompts(beta="r2plus1d", zero_init_beta=False))
IN_PASSES = replace(FINE_TUNING, fit=replace(FINE_TUNING.fit, mixup_alpha=0.8, clips_per_pass=1))


@pytest.fixture
def job(data: VideoData, backbone_dir: Path, frames_cache: Path, tmp_path: Path) -> Callable[..., Job]:
    def describe(name: str, recipe: Recipe = RECIPE, **changes: object) -> Job:
        resources = FitResources(run_dir=tmp_path / name, cache_dir=frames_cache, num_workers=1)
        first = Job(recipe=recipe, data=data, resources=resources, backbone_dir=backbone_dir, float64=True)
        return replace(first, **changes)  # type: ignore[arg-type]

    return describe


@pytest.fixture(scope="module")
def whole_run(data: VideoData, backbone_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fit both towers in one process."""
    folder = tmp_path_factory.mktemp("whole")
    resources = FitResources(run_dir=folder / "run", cache_dir=folder, num_workers=1)
    fit_in_processes(
        Job(recipe=FINE_TUNING, data=data, resources=resources, backbone_dir=backbone_dir, float64=True),
        num_processes=1,
    )
    return folder / "run"


def read_run(run_dir: Path) -> dict[str, Any]:
    """Read all that a run leaves of its training: losses and norms, weights, moments and learning rates."""
    folder, records = latest_checkpoint(run_dir), read_records(run_dir)
    return {
        "records": [(each.loss, each.gradient_norm, each.learning_rate) for each in records],
        "weights": load_file(folder / "adapters.safetensors"),
        "optimizer": torch.load(folder / "state.pt", weights_only=True)["optimizer"]["state"],
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "recipe", [PROMPTED, IN_PASSES, CLOSED_FITTING], ids=["adapters", "both towers in passes", "side network"]
)
def test_spread_model_trains_as_a_whole_one_and_returns_whole(
    job: Callable[..., Job], tmp_path: Path, recipe: Recipe
) -> None:
    recipe = replace(recipe, fit=replace(recipe.fit, num_epochs=2, checkpoint_every_steps=100))
    fit_in_processes(job("one", recipe), num_processes=1)
    begin = partial(show_in_file, tmp_path / "shown.txt")
    fit_in_processes(job("spread", recipe, shard=True, begin=begin), num_processes=2)
    torch.testing.assert_close(read_run(tmp_path / "spread"), read_run(tmp_path / "one"), rtol=0, atol=1e-9)
    weights = load_file(latest_checkpoint(tmp_path / "spread") / "adapters.safetensors")
    for rank in (0, 1):
        returned = torch.load(tmp_path / f"returned{rank}.pt", weights_only=True)
        assert all(torch.equal(returned[name], weight) for name, weight in weights.items())


@pytest.mark.slow
@pytest.mark.parametrize(("first", "second"), [(True, True), (True, False), (False, True)])
def test_killed_run_goes_on_whole_or_spread(
    job: Callable[..., Job], whole_run: Path, tmp_path: Path, first: bool, second: bool
) -> None:
    with pytest.raises(ProcessExitedException, match="SIGKILL"):
        fit_in_processes(job("run", FINE_TUNING, shard=first, begin=kill_after_step_3), num_processes=1 + first)
    fit_in_processes(job("run", FINE_TUNING, shard=second, backbone_dir=None), num_processes=1 + second)
    torch.testing.assert_close(read_run(tmp_path / "run"), read_run(whole_run), rtol=0, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [PROMPTED, FINE_TUNING], ids=["adapters", "both towers"])
def test_each_process_stores_its_share(job: Callable[..., Job], recipe: Recipe) -> None:
    (whole,) = measure_shares(job("one", recipe), num_processes=1)
    shares = measure_shares(job("two", recipe, shard=True), num_processes=2)
    for kind, count in whole.items():
        assert [share[kind] / count for share in shares] == pytest.approx([0.5, 0.5], abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("begin", "message"),
    [
        (poison_weight, "parameter video.visual.proj is not finite at step 2"),
        (poison_backward, "gradient of video.temporal_embedding is not finite at step 1"),
    ],
)
def test_all_processes_stop_for_the_same_reason(
    job: Callable[..., Job], tmp_path: Path, begin: Begin, message: str
) -> None:
    fit_in_processes(job("run", shard=True, begin=begin), num_processes=2)
    errors = [(tmp_path / f"error{rank}.txt").read_text(encoding="utf-8") for rank in (0, 1)]
    assert [error.split(";")[0] for error in errors] == [message] * 2


@pytest.mark.slow
def test_spread_bfloat16_is_that_of_whole_models(job: Callable[..., Job], tmp_path: Path) -> None:
    recipe = replace(FINE_TUNING, fit=replace(FINE_TUNING.fit, num_epochs=1, precision="bf16"))
    for name in ("whole", "spread"):
        fit_in_processes(job(name, recipe, float64=False, shard=name == "spread"), num_processes=2)
    whole, spread = ([each.loss for each in read_records(tmp_path / name)] for name in ("whole", "spread"))
    assert spread == pytest.approx(whole, rel=1e-5)


def test_one_process_has_nothing_to_spread_over(data: VideoData, backbone_dir: Path, tmp_path: Path) -> None:
    result = fit_small(data, backbone_dir, tmp_path / "run", "--shard")
    assert result.exit_code == 1
    assert "--shard spreads the model over the processes of a launch, but this one is alone; launch" in result.stderr
    assert not (tmp_path / "run").exists()
