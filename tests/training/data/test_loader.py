"""The order of clips: a permutation an epoch, the same from any step on, shared by processes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from service.contract.manifest import Sampling
from tests.training.tiny import PREPROCESSING, RECIPE
from tests.videos import read_number, write_numbered_video
from training.config.fitting import AugmentConfig
from training.config.model import Recipe
from training.data.annotations import VideoData
from training.data.dataset import Draw, TrainingClips, open_training_clips
from training.data.frames import FramesOnDemand
from training.data.loader import BatchPlan, build_loader
from training.data.training_set import TrainingSet
from training.errors import DataError

SAMPLING = Sampling(rule="segment_centres", num_frames=4)
WINDOWS = Sampling(rule="segment_centres", num_frames=4, num_local_frames=3)
STILL = AugmentConfig(crop_area=(1.0, 1.0), crop_aspect=(1.0, 1.0), flip_probability=0.0, grayscale_probability=0.0)
PLAN = BatchPlan(num_videos=9, batch_size=4, num_epochs=3, seed=5)


def open_clips(data: VideoData, cache: Path, recipe: Recipe = RECIPE) -> TrainingClips:
    recipe = replace(recipe, model=replace(recipe.model))
    return open_training_clips(recipe, training_set=TrainingSet.of(recipe, data=data), cache_dir=cache, num_workers=1)


def test_epoch_draws_no_video_twice() -> None:
    assert (PLAN.steps_per_epoch, PLAN.num_steps) == (2, 6)
    for epoch in range(3):
        draws = PLAN.draws(2 * epoch) + PLAN.draws(2 * epoch + 1)
        assert {draw.epoch for draw in draws} == {epoch}
        assert len({draw.index for draw in draws}) == 8


def test_epochs_differ_in_order() -> None:
    assert [draw.index for draw in PLAN.draws(0)] != [draw.index for draw in PLAN.draws(2)]


def test_processes_share_each_batch() -> None:
    shares = [replace(PLAN, rank=rank, num_processes=2).draws(3) for rank in (0, 1)]
    assert [len(share) for share in shares] == [2, 2]
    assert {draw.index for share in shares for draw in share} == {draw.index for draw in PLAN.draws(3)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_videos": 3}, "there are 3 videos to train on and batch_size is 4; lower batch_size"),
        ({"batch_size": 3, "reversed_twins": True}, "batch_size is 3; with reversed_twins it must be even"),
        ({"repeated_augmentation": 3}, "batch_size is 4; with repeated_augmentation 3 it must be a multiple of 3"),
        (
            {"batch_size": 6, "repeated_augmentation": 2, "reversed_twins": True},
            "batch_size is 6; with repeated_augmentation 2 it must be a multiple of 4",
        ),
        ({"num_processes": 3}, "batch_size is 4, which 3 processes cannot share"),
    ],
)
def test_impossible_plan_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        replace(PLAN, **changes)


def test_twins_are_the_same_videos_forwards_and_backwards() -> None:
    plan = replace(PLAN, reversed_twins=True)
    draws = plan.draws(0)
    assert (plan.steps_per_epoch, len(draws)) == (4, 4)
    assert [replace(draw, backwards=True) for draw in draws[::2]] == draws[1::2]
    assert [draw.backwards for draw in draws] == [False, True, False, True]


def test_repeated_videos_stand_in_one_batch() -> None:
    plan = replace(PLAN, repeated_augmentation=2)
    first, second = [draw.index for draw in plan.draws(0)[::2]]
    assert plan.draws(0) == [
        Draw(0, first), Draw(0, first, repeat=1), Draw(0, second), Draw(0, second, repeat=1),
    ]  # fmt: skip
    assert (plan.videos_per_step, plan.steps_per_epoch) == (2, 4)
    assert len({draw.index for step in range(4) for draw in plan.draws(step)}) == 8


def test_repetitions_have_twins_of_their_own() -> None:
    plan = replace(PLAN, repeated_augmentation=2, reversed_twins=True)
    assert [(draw.repeat, draw.backwards) for draw in plan.draws(0)] == [
        (0, False), (0, True), (1, False), (1, True),
    ]  # fmt: skip
    assert {draw.index for draw in plan.draws(0)} == {plan.draws(0)[0].index}


def test_repetitions_of_a_video_are_drawn_apart(data: VideoData, frames_cache: Path) -> None:
    clips = open_clips(data, frames_cache)
    once, again = (clips[Draw(0, 3, repeat=repeat)] for repeat in (0, 1))
    assert once.label_id == again.label_id
    assert not np.array_equal(once.frames, again.frames)
    assert np.array_equal(clips[Draw(0, 3, repeat=1)].frames, again.frames)


def open_windows(directory: Path, *, num_frames: int, augment: AugmentConfig) -> TrainingClips:
    source = FramesOnDemand((write_numbered_video(directory / "a.mp4", num_frames=num_frames),), PREPROCESSING)
    return TrainingClips(
        source, label_ids=np.array([0]), mirrored=np.array([0]), opposites=np.array([0]), sampling=WINDOWS,
        size_pixels=32, augment=augment, seed=0,
    )  # fmt: skip


@pytest.mark.parametrize("num_frames", [20, 2])
def test_windows_lie_around_drawn_centres_and_run_backwards_as_a_whole(tmp_path: Path, num_frames: int) -> None:
    clips = open_windows(tmp_path, num_frames=num_frames, augment=STILL)
    forwards, backwards = (clips[Draw(0, 0, backwards=value)].frames for value in (False, True))
    assert forwards.shape == (4, 3, 32, 32, 3)
    numbers = np.array([[read_number(frame) for frame in window] for window in forwards])
    expected = np.clip(numbers[:, 1:2] + np.array([-1, 0, 1]), 0, num_frames - 1)
    assert numbers.tolist() == expected.tolist()
    assert np.array_equal(backwards, forwards[::-1, ::-1])


def test_all_frames_of_all_windows_change_alike(tmp_path: Path) -> None:
    augment = replace(STILL, crop_area=(0.3, 0.6), erasing_probability=1.0, jitter_probability=1.0)
    frames = open_windows(tmp_path, num_frames=1, augment=augment)[Draw(0, 0)].frames
    assert np.array_equal(frames, np.broadcast_to(frames[0, 0], (4, 3, 32, 32, 3)))


def test_batches_of_windows_have_their_axis(tmp_path: Path) -> None:
    clips = open_windows(tmp_path, num_frames=9, augment=STILL)
    plan = BatchPlan(num_videos=1, batch_size=2, num_epochs=1, seed=0, repeated_augmentation=2)
    [batch] = build_loader(clips, plan=plan, first_step=0, num_workers=0)
    assert batch.frames.shape == (2, 4, 3, 32, 32, 3)


def test_backward_twin_shows_the_same_frames_under_the_opposite_label(data: VideoData) -> None:
    source = FramesOnDemand((data.path_of(data.annotations[0]),), RECIPE.model.preprocessing)
    clips = TrainingClips(
        source, label_ids=np.array([0]), mirrored=np.array([0, 1]), opposites=np.array([1, 0]), sampling=SAMPLING,
        size_pixels=32, augment=RECIPE.augment, seed=0,
    )  # fmt: skip
    forwards, backwards = (clips[Draw(epoch=2, index=0, backwards=value)] for value in (False, True))
    assert np.array_equal(backwards.frames, forwards.frames[::-1])
    assert (forwards.label_id, backwards.label_id) == (0, 1)


def test_twins_need_a_label_for_every_reversal(data: VideoData, frames_cache: Path) -> None:
    recipe = replace(RECIPE, fit=replace(RECIPE.fit, reversed_twins=True))
    with pytest.raises(DataError, match=r"reversed_twins is set, but '.*' has no label for its video played backwards"):
        open_clips(data, frames_cache, recipe)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_loader_continues_where_it_is_told_to(data: VideoData, frames_cache: Path, num_workers: int) -> None:
    clips = open_clips(data, frames_cache)
    whole = list(build_loader(clips, plan=PLAN, first_step=0, num_workers=0))
    rest = list(build_loader(clips, plan=PLAN, first_step=4, num_workers=num_workers))
    assert (len(whole), len(rest)) == (6, 2)
    for expected, batch in zip(whole[4:], rest, strict=True):
        assert torch.equal(batch.frames, expected.frames)
        assert torch.equal(batch.label_ids, expected.label_ids)


def test_batches_carry_clips_of_the_model_with_their_labels(data: VideoData, frames_cache: Path) -> None:
    recipe = replace(RECIPE, augment=replace(RECIPE.augment, flip_probability=0.0))
    batch = next(iter(build_loader(open_clips(data, frames_cache, recipe), plan=PLAN, first_step=0, num_workers=0)))
    assert (batch.frames.shape, batch.frames.dtype) == ((4, 4, 32, 32, 3), torch.uint8)
    assert batch.label_ids.tolist() == [draw.index % 3 for draw in PLAN.draws(0)]


def test_clips_decoded_anew_are_those_of_the_cache(data: VideoData, frames_cache: Path) -> None:
    cached = open_clips(data, frames_cache)
    anew = open_clips(data, frames_cache, replace(RECIPE, fit=replace(RECIPE.fit, frame_cache_bytes=0)))
    draw = PLAN.draws(1)[0]
    assert np.array_equal(cached[draw].frames, anew[draw].frames)
    assert len(anew) == 9


def test_random_changes_follow_from_seed_epoch_and_video(data: VideoData, frames_cache: Path) -> None:
    augment = replace(RECIPE.augment, rand_augment="rand-m7-n4-mstd0.5-inc1", erasing_probability=0.5)
    recipe = replace(RECIPE, augment=augment)
    clips, again = (open_clips(data, frames_cache, recipe) for _ in range(2))
    draws = [Draw(epoch, index) for epoch in range(2) for index in range(4)]
    seen = [clips[draw].frames for draw in draws]
    assert all(np.array_equal(again[draw].frames, frames) for draw, frames in zip(draws, seen, strict=True))
    assert len({frames.tobytes() for frames in seen}) == 8
    reseeded = open_clips(data, frames_cache, replace(recipe, fit=replace(recipe.fit, seed=1)))
    assert not np.array_equal(reseeded[draws[0]].frames, seen[0])


def test_every_video_needs_a_label() -> None:
    source = FramesOnDemand((Path("a.mp4"),), RECIPE.model.preprocessing)
    with pytest.raises(ValueError, match="1 videos were given with 2 labels"):
        TrainingClips(source, label_ids=np.array([0, 1]), mirrored=np.array([0, 1]), opposites=np.array([1, 0]),
                      sampling=SAMPLING, size_pixels=32, augment=RECIPE.augment, seed=0)  # fmt: skip
