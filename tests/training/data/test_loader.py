"""The order of clips: a permutation an epoch, the same from any step on, shared by processes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.tiny import RECIPE
from training.config import Recipe
from training.data.annotations import VideoData
from training.data.dataset import Draw, TrainingClips, open_training_clips
from training.data.frames import DecodedFrames
from training.data.loader import BatchPlan, build_loader
from training.errors import DataError

PLAN = BatchPlan(num_videos=9, batch_size=4, num_epochs=3, seed=5)


def open_clips(data: VideoData, cache: Path, recipe: Recipe = RECIPE) -> TrainingClips:
    recipe = replace(recipe, model=replace(recipe.model))
    return open_training_clips(recipe, data=data, cache_dir=cache, num_workers=1)


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


def test_backward_twin_shows_the_same_frames_under_the_opposite_label(data: VideoData) -> None:
    source = DecodedFrames((data.path_of(data.annotations[0]),), RECIPE.model.preprocessing)
    clips = TrainingClips(
        source, label_ids=np.array([0]), mirrored=np.array([0, 1]), opposites=np.array([1, 0]), num_frames=4,
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
    source = DecodedFrames((Path("a.mp4"),), RECIPE.model.preprocessing)
    with pytest.raises(ValueError, match="1 videos were given with 2 labels"):
        TrainingClips(source, label_ids=np.array([0, 1]), mirrored=np.array([0, 1]), opposites=np.array([1, 0]),
                      num_frames=4, size_pixels=32, augment=RECIPE.augment, seed=0)  # fmt: skip
