"""Runs of a side network: a closed set of classes and its names, the open head, repetitions, and exact resuming."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from torch.nn import functional

from service.contract.labels import Label
from tests.training.fitting.test_fit import same_weights, stop_after
from tests.training.processes.ranks import do_nothing
from tests.training.side import CLOSED_FITTING, CLOSED_MODEL, OPEN_FITTING, SIDE_MODEL, random_segments, side_config
from tests.training.tiny import LABELS
from training.config.model import CLIP_PREPROCESSING, Recipe
from training.data.annotations import VideoData
from training.data.loader import ClipBatch
from training.errors import RunError, SettingError
from training.fitting.fit import FitResources, fit
from training.fitting.step import Optimisation, prepare_modes
from training.fitting.texts import prepare_texts
from training.models.video_clip import VideoCLIP
from training.runs.backbone import read_backbone
from training.runs.checkpoint import CLASSES_NAME
from training.runs.curves import read_records
from training.runs.run import load_model

CLASSES = tuple(Label(*each) for each in LABELS)


@pytest.fixture
def run(data: VideoData, backbone_dir: Path, frames_cache: Path, tmp_path: Path) -> Callable[..., VideoCLIP]:
    def start(name: str, recipe: Recipe, *, own: VideoData = data, begin: object = do_nothing,
              resume: bool = False) -> VideoCLIP:  # fmt: skip
        resources = FitResources(run_dir=tmp_path / name, cache_dir=frames_cache, num_workers=1)
        towers = None if resume else backbone_dir
        return fit(recipe, data=own, resources=resources, backbone_dir=towers, resume=resume, begin=begin)  # type: ignore[arg-type]

    return start


def without_label(data: VideoData, label_id: int) -> VideoData:
    """Take a label's training videos away, so that it is never learned."""
    kept = tuple(each for each in data.annotations if each.split != "train" or each.label_id != label_id)
    return replace(data, annotations=kept)


def optimise(backbone_dir: Path, data: VideoData, *, recipe: Recipe) -> tuple[VideoCLIP, Optimisation]:
    torch.manual_seed(0)
    model = read_backbone(backbone_dir).build(recipe.model)
    texts = prepare_texts(model, data.labels)
    return model, Optimisation(model, texts=texts, config=recipe.fit, accelerator=Accelerator())


def with_classes(recipe: Recipe, num_classes: int) -> Recipe:
    return replace(recipe, model=replace(recipe.model, adapters=recipe.model.adapters.with_classes(num_classes)))


def test_closed_run_keeps_its_classes_and_loads_as_it_was_left(run: Callable[..., VideoCLIP], tmp_path: Path) -> None:
    model = run("run", CLOSED_FITTING)
    loaded = load_model(tmp_path / "run")
    assert (model.config.adapters.num_classes, model.classes, loaded.classes) == (3, CLASSES, CLASSES)
    assert same_weights(model, loaded)
    clips = random_segments(2)
    torch.testing.assert_close(model.encode_video(clips), loaded.encode_video(clips), rtol=0, atol=0)


def test_open_run_has_no_classes(run: Callable[..., VideoCLIP], tmp_path: Path) -> None:
    model = run("run", OPEN_FITTING)
    assert (model.classes, load_model(tmp_path / "run").classes) == ((), ())
    assert not (tmp_path / "run" / CLASSES_NAME).exists()


@pytest.mark.parametrize("recipe", [CLOSED_FITTING, OPEN_FITTING], ids=["closed", "open"])
def test_stopped_and_resumed_run_equals_one_that_was_not(
    run: Callable[..., VideoCLIP], tmp_path: Path, recipe: Recipe
) -> None:
    twice = replace(recipe, fit=replace(recipe.fit, repeated_augmentation=2))
    whole = run("whole", twice)
    with pytest.raises(KeyboardInterrupt):
        run("stopped", twice, begin=stop_after(3))
    assert same_weights(run("stopped", twice, resume=True), whole)
    losses = [[each.loss for each in read_records(tmp_path / name)] for name in ("whole", "stopped")]
    assert losses[0] == losses[1]


def test_classes_are_the_labels_with_training_videos(
    run: Callable[..., VideoCLIP], data: VideoData, tmp_path: Path
) -> None:
    model = run("run", CLOSED_FITTING, own=without_label(data, 1))
    assert model.classes == (CLASSES[0], CLASSES[2])
    assert load_model(tmp_path / "run").classes == (CLASSES[0], CLASSES[2])


def test_recipe_of_another_number_of_classes_is_refused(run: Callable[..., VideoCLIP], tmp_path: Path) -> None:
    message = r"num_classes is 174, but 'train' of .* has videos of 3 labels; train on .*, or --set num_classes=3"
    with pytest.raises(SettingError, match=message):
        run("run", with_classes(CLOSED_FITTING, 174))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("content", [None, "id,en\n0,waving\n"])
def test_run_without_the_names_of_its_classes_is_refused(
    run: Callable[..., VideoCLIP], tmp_path: Path, content: str | None
) -> None:
    run("run", CLOSED_FITTING)
    path = tmp_path / "run" / CLASSES_NAME
    path.unlink()
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(RunError, match=r"run lacks the names of its classes: .*classes\.csv"):
        load_model(tmp_path / "run")


def test_run_with_too_few_names_of_classes_is_refused(run: Callable[..., VideoCLIP], tmp_path: Path) -> None:
    run("run", CLOSED_FITTING)
    (tmp_path / "run" / CLASSES_NAME).write_text("id,en,zh\n0,waving,\n", encoding="utf-8")
    with pytest.raises(RunError, match=r"classes\.csv names 1 classes, but the run learned 3"):
        load_model(tmp_path / "run")


def test_loss_of_classes_is_the_cross_entropy_of_their_logits(backbone_dir: Path, data: VideoData) -> None:
    model, optimisation = optimise(backbone_dir, data, recipe=with_classes(CLOSED_FITTING, 3))
    clips, label_ids = random_segments(4), torch.tensor([0, 1, 2, 1])
    losses, _ = optimisation.take_step(ClipBatch(clips, label_ids), learning_rate=0.0, step=1)
    prepare_modes(model)  # Batch norms by the statistics of the batch, as in the step.
    expected = functional.cross_entropy(model.encode_video(clips)[:, 0], label_ids, label_smoothing=0.1)
    assert losses.total.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("fuse_frozen", [False, True])
def test_open_loss_compares_with_all_texts_at_the_temperature_of_the_recipe(
    backbone_dir: Path, data: VideoData, fuse_frozen: bool
) -> None:
    config = replace(side_config(fuse_frozen=fuse_frozen), scoring=replace(SIDE_MODEL.scoring, tau=0.05))
    model, optimisation = optimise(backbone_dir, data, recipe=replace(OPEN_FITTING, model=config))
    clips, label_ids = random_segments(4), torch.tensor([0, 1, 2, 1])
    losses, _ = optimisation.take_step(ClipBatch(clips, label_ids), learning_rate=0.0, step=1)
    prepare_modes(model)
    texts = model.encode_text_en([each.en or "" for each in data.labels]).embedding
    cosines = model.encode_video(clips) @ texts.T
    expected = functional.cross_entropy(cosines.mean(dim=1) / 0.05, label_ids, label_smoothing=0.1)
    assert losses.total.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("config", [CLOSED_MODEL, SIDE_MODEL], ids=["closed", "open"])
def test_exactly_the_side_network_changes(backbone_dir: Path, data: VideoData, config: object) -> None:
    recipe = with_classes(replace(CLOSED_FITTING, model=config), 3)  # type: ignore[arg-type]
    model, optimisation = optimise(backbone_dir, data, recipe=recipe)
    before = {name: tensor.clone() for name, tensor in model.named_parameters()}
    for step in (1, 2):
        batch = ClipBatch(random_segments(4), torch.tensor([0, 1, 2, 1]))
        optimisation.take_step(batch, learning_rate=0.01, step=step)
    changed = {name for name, tensor in model.named_parameters() if not torch.equal(tensor, before[name])}
    assert changed == {name for name in before if name.startswith(("video.side.", "video.head."))}


def test_pictures_are_stretched_as_the_recipe_says_and_normalised_as_the_backbone(backbone_dir: Path) -> None:
    stretch = CLIP_PREPROCESSING.model_copy(update={"resize_rule": "exact", "resize_size": (40, 48), "std": (1, 1, 1)})
    backbone = read_backbone(backbone_dir)
    found = backbone.configure(replace(SIDE_MODEL, preprocessing=stretch)).preprocessing
    expected = {"resize_rule": "exact", "resize_size": (40, 48)}
    assert found == backbone.config.preprocessing.model_copy(update=expected)


def test_stretch_below_the_input_size_is_refused(backbone_dir: Path) -> None:
    stretch = CLIP_PREPROCESSING.model_copy(update={"resize_rule": "exact", "resize_size": (24, 48)})
    with pytest.raises(RunError, match=r"resize_size \(24, 48\) is smaller than input_size 32"):
        read_backbone(backbone_dir).configure(replace(SIDE_MODEL, preprocessing=stretch))
