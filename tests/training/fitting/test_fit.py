"""A run from start to end, stopped and resumed, in bfloat16, and when numbers go wrong."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.tiny import RECIPE, tiny_prompts
from training.config.fitting import FitConfig
from training.config.model import Recipe
from training.data.annotations import VideoData
from training.errors import DivergenceError, RunError
from training.fitting.fit import FitResources, fit
from training.fitting.step import require_finite
from training.models.video_clip import VideoCLIP
from training.runs.curves import StepRecord, read_records
from training.runs.run import load_model


def ignore(_: VideoCLIP) -> Callable[[StepRecord], None]:
    return lambda _: None


def stop_after(step: int) -> Callable[[VideoCLIP], Callable[[StepRecord], None]]:
    def observe(record: StepRecord) -> None:
        if record.step == step:
            raise KeyboardInterrupt

    return lambda _: observe


@pytest.fixture
def run(data: VideoData, backbone_dir: Path, frames_cache: Path, tmp_path: Path) -> Callable[..., VideoCLIP]:
    def start(name: str = "run", *, recipe: Recipe = RECIPE, resume: bool = False,
              begin: Callable[[VideoCLIP], Callable[[StepRecord], None]] = ignore) -> VideoCLIP:  # fmt: skip
        resources = FitResources(run_dir=tmp_path / name, cache_dir=frames_cache, num_workers=1)
        backbone = None if resume else backbone_dir
        return fit(recipe, data=data, resources=resources, backbone_dir=backbone, resume=resume, begin=begin)

    return start


def with_fit(**changes: object) -> Recipe:
    return replace(RECIPE, fit=replace(RECIPE.fit, **changes))  # type: ignore[arg-type]


def same_weights(first: VideoCLIP, second: VideoCLIP) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_run_leaves_its_model_and_its_records(run: Callable[..., VideoCLIP], tmp_path: Path) -> None:
    model = run()
    assert same_weights(model, load_model(tmp_path / "run"))
    records = read_records(tmp_path / "run")
    assert [(each.step, each.num_steps, each.epoch) for each in records] == [
        (1, 6, 0), (2, 6, 0), (3, 6, 1), (4, 6, 1), (5, 6, 2), (6, 6, 2),
    ]  # fmt: skip
    assert [each.learning_rate for each in records] == pytest.approx(
        [2.5e-4, 5e-4, 5e-4, 4.267767e-4, 2.5e-4, 7.32233e-5], rel=1e-5
    )
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {"backbone", "checkpoint", "config.json", "curves.png", "data.json", "environment.json",
                     "labels.csv", "metrics.jsonl"}  # fmt: skip


@pytest.mark.parametrize("stop", [1, 2, 3, 4, 5, 6])
def test_stopped_and_resumed_run_equals_one_that_was_not(
    run: Callable[..., VideoCLIP], tmp_path: Path, stop: int
) -> None:
    whole = run("whole")
    with pytest.raises(KeyboardInterrupt):
        run("stopped", begin=stop_after(stop))
    assert same_weights(run("stopped", resume=True), whole)
    losses = [[each.loss for each in read_records(tmp_path / name)] for name in ("whole", "stopped")]
    assert losses[0] == losses[1]


def test_finished_run_resumes_to_itself(run: Callable[..., VideoCLIP]) -> None:
    assert same_weights(run(), run(resume=True))


def test_same_seed_gives_the_same_weights_and_another_seed_others(run: Callable[..., VideoCLIP]) -> None:
    first = run("first")
    assert same_weights(first, run("second"))
    assert not same_weights(first, run("third", recipe=with_fit(seed=1)))


def test_loss_falls_where_there_is_something_to_learn(run: Callable[..., VideoCLIP], tmp_path: Path) -> None:
    run(recipe=with_fit(num_epochs=40, learning_rate=5e-3))
    losses = [each.loss for each in read_records(tmp_path / "run")]
    assert np.mean(losses[-10:]) < np.mean(losses[:10])


def test_begin_sees_the_model_before_its_first_step(run: Callable[..., VideoCLIP]) -> None:
    seen: list[int] = []

    def begin(model: VideoCLIP) -> Callable[[StepRecord], None]:
        seen.append(sum(parameter.numel() for parameter in model.trainable_parameters()))
        return lambda record: seen.append(record.step)

    run(begin=begin)
    assert seen[0] > 0
    assert seen[1:] == [1, 2, 3, 4, 5, 6]


def test_bfloat16_stays_near_full_precision(run: Callable[..., VideoCLIP], tmp_path: Path) -> None:
    run("fp32")
    run("bf16", recipe=with_fit(precision="bf16"))
    first = [read_records(tmp_path / name)[0].loss for name in ("fp32", "bf16")]
    assert first[1] == pytest.approx(first[0], rel=0.05)
    assert first[1] != first[0]


def test_run_resumes_exactly_where_files_were_left_unfinished(run: Callable[..., VideoCLIP], tmp_path: Path) -> None:
    whole = run("whole")
    with pytest.raises(KeyboardInterrupt):
        run("stopped", begin=stop_after(3))
    unfinished = tmp_path / "stopped" / "checkpoint" / ".00000004.partial"
    unfinished.mkdir()
    (unfinished / "adapters.safetensors").write_bytes(b"half")
    with (tmp_path / "stopped" / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"step": 4, "num_st')
    assert same_weights(run("stopped", resume=True), whole)
    assert [each.step for each in read_records(tmp_path / "stopped")] == [1, 2, 3, 4, 5, 6]
    assert not unfinished.exists()


def test_diverging_run_stops_before_its_weights_are_touched(run: Callable[..., VideoCLIP], tmp_path: Path) -> None:
    def poison(model: VideoCLIP) -> Callable[[StepRecord], None]:
        def observe(record: StepRecord) -> None:
            if record.step == 4:
                with torch.no_grad():
                    model.video.visual.proj.fill_(float("nan"))

        return observe

    with pytest.raises(
        DivergenceError, match=r"parameter video.visual.proj is not finite at step 5; the weights are those"
    ):
        run(begin=poison)
    assert load_model(tmp_path / "run").video.temporal_embedding.isfinite().all()  # type: ignore[union-attr]


@pytest.mark.parametrize(("factor", "name"), [(torch.nan, "gradient of video.temporal_embedding"),
                                              (1e30, "norm of the gradient")])  # fmt: skip
def test_gradient_that_is_not_finite_is_named(run: Callable[..., VideoCLIP], factor: float, name: str) -> None:
    def poison(model: VideoCLIP) -> Callable[[StepRecord], None]:
        embedding = model.video.temporal_embedding
        assert embedding is not None
        embedding.register_hook(lambda gradient: gradient * factor)
        return lambda _: None

    with pytest.raises(DivergenceError, match=f"{name} is not finite at step 1; the weights are those"):
        run(begin=poison)


def test_first_tensor_that_is_not_finite_is_named() -> None:
    tensors = {"gradient of a": None, "gradient of b": torch.ones(2), "gradient of c": torch.tensor([1.0, torch.inf])}
    with pytest.raises(DivergenceError, match="gradient of c is not finite at step 7"):
        require_finite(tensors, step=7)


def test_run_folder_that_is_taken_is_refused(run: Callable[..., VideoCLIP]) -> None:
    run()
    with pytest.raises(RunError, match="holds a run; continue it with --resume, or choose another folder"):
        run()


def test_run_without_a_backbone_is_refused(data: VideoData, tmp_path: Path) -> None:
    resources = FitResources(run_dir=tmp_path / "run", cache_dir=tmp_path, num_workers=1)
    with pytest.raises(RunError, match="needs frozen towers to start from; give their folder with --backbone"):
        fit(RECIPE, data=data, resources=resources, backbone_dir=None, resume=False, begin=ignore)


def test_resuming_with_another_recipe_is_refused(run: Callable[..., VideoCLIP]) -> None:
    run()
    message = (
        "run was started with another recipe: model.num_frames is 4 there and 8 here; "
        "model.adapters.beta_width is 4 there and 2 here; fit.learning_rate is 0.0005 there and 1.0 here. "
        "Resume it with the settings of its config.json"
    )
    other = replace(with_fit(learning_rate=1.0), model=replace(tiny_prompts(beta_width=2), num_frames=8))
    with pytest.raises(RunError, match=message):
        run(recipe=other, resume=True)


def test_resuming_a_folder_without_a_run_is_refused(run: Callable[..., VideoCLIP]) -> None:
    with pytest.raises(RunError, match=r"nothing is not a run folder: it has no config.json"):
        run("nothing", resume=True)


def test_resuming_on_other_data_is_refused(
    run: Callable[..., VideoCLIP], data: VideoData, frames_cache: Path, tmp_path: Path
) -> None:
    run()
    other = replace(data, digest="0" * 64)
    resources = FitResources(run_dir=tmp_path / "run", cache_dir=frames_cache, num_workers=1)
    with pytest.raises(RunError, match=f"was started on other data .*, not {'0' * 64}"):
        fit(RECIPE, data=other, resources=resources, backbone_dir=None, resume=True, begin=ignore)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_epochs": 0}, "num_epochs is 0; it must be at least 1"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"label_smoothing": 1.0}, "label_smoothing is 1.0; it must be at least 0 and below 1"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0 and max_gradient_norm is 1.0; both must be above 0"),
    ],
)
def test_impossible_fit_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FitConfig(**changes)  # type: ignore[arg-type]
