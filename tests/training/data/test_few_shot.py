"""Few-shot draws: exactly K videos a label, nested, seeded, in the order of the table."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from service.contract.labels import Label
from tests.training.fine_tuned import FINE_TUNING
from tests.training.tiny import RECIPE
from training.data.annotations import Annotation, VideoData
from training.data.dataset import Draw, open_training_clips
from training.data.few_shot import draw_shots
from training.data.training_set import TrainingSet
from training.errors import DataError
from training.runs.folder import describe_data

LABELS = [Label("running"), Label("waving"), Label("unseen"), Label("jumping")]
TABLE = [Annotation(f"{number}.mp4", (0, 1, 3)[number % 3], "train") for number in range(60)]


def draw(num_shots: int, *, seed: int = 0, table: list[Annotation] = TABLE) -> tuple[Annotation, ...]:
    return draw_shots(table, labels=LABELS, num_shots=num_shots, seed=seed)


@pytest.mark.parametrize("num_shots", [1, 2, 4, 8, 16, 20])
def test_every_label_with_videos_gives_k_of_them_in_order(num_shots: int) -> None:
    drawn = draw(num_shots)
    assert Counter(each.label_id for each in drawn) == {0: num_shots, 1: num_shots, 3: num_shots}
    assert list(drawn) == [each for each in TABLE if each in drawn]


def test_smaller_draw_is_part_of_the_larger_one() -> None:
    drawn = [set(draw(num_shots, seed=7)) for num_shots in (2, 4, 8, 16)]
    assert all(small < large for small, large in pairwise(drawn))


def test_draw_follows_from_the_seed() -> None:
    draws = [draw(4, seed=seed) for seed in range(5)]
    assert draw(4, seed=2) == draws[2]
    assert len(set(draws)) == 5


def test_draw_of_a_label_does_not_depend_on_other_labels() -> None:
    alone = [each for each in TABLE if each.label_id == 1]
    assert draw(4, table=alone) == tuple(each for each in draw(4) if each.label_id == 1)


def test_label_with_too_few_videos_is_named() -> None:
    message = (
        "num_shots is 3, but 2 of 3 labels have fewer videos in split 'train': running has 2, jumping has 1; "
        "lower num_shots, or add videos"
    )
    with pytest.raises(DataError, match=message):
        draw(3, table=[TABLE[0], TABLE[3], TABLE[2], *TABLE[1::3]])


def test_without_shots_the_whole_split_is_trained_on(data: VideoData) -> None:
    assert [each.video for each in TrainingSet.of(RECIPE, data=data).annotations] == [f"{n}.mp4" for n in range(9)]


def test_unknown_training_split_lists_the_known_ones(data: VideoData) -> None:
    with pytest.raises(DataError, match=r"split is 'dev', but .* has novel, test, train, val; choose one of these"):
        TrainingSet.of(replace(RECIPE, train_split="dev"), data=data)


def test_run_says_which_videos_it_drew(data: VideoData) -> None:
    recipe = replace(RECIPE, num_shots=2)
    drawn = TrainingSet.of(recipe, data=data).annotations
    assert describe_data(TrainingSet.of(recipe, data=data), recipe=recipe) == {
        "name": "data", "digest": data.digest, "num_labels": 3,
        "num_videos": {"novel": 3, "test": 3, "train": 9, "val": 3},
        "training_videos": [each.video for each in drawn],
    }  # fmt: skip
    assert len(drawn) == 6


def test_clips_of_each_draw_are_those_of_its_videos(data: VideoData, tmp_path: Path) -> None:
    for num_shots in (1, 2):
        recipe = replace(RECIPE, num_shots=num_shots, augment=replace(RECIPE.augment, flip_probability=0.0))
        drawn = TrainingSet.of(recipe, data=data)
        clips = open_training_clips(recipe, training_set=drawn, cache_dir=tmp_path, num_workers=1)
        expected = [each.label_id for each in drawn.annotations]
        assert [clips[Draw(epoch=0, index=index)].label_id for index in range(len(clips))] == expected
    assert len(list(tmp_path.glob("*.frames"))) == 2


def test_loss_over_all_labels_learns_those_with_videos(data: VideoData) -> None:
    base = replace(data, annotations=tuple(each for each in data.annotations if each.label_id != 1))
    assert TrainingSet.of(FINE_TUNING, data=base).label_ids == (0, 2)
    assert TrainingSet.of(RECIPE, data=base).label_ids == (0, 1, 2)


def test_clips_number_their_labels_among_those_that_are_learned(data: VideoData, tmp_path: Path) -> None:
    base = replace(data, annotations=tuple(each for each in data.annotations if each.label_id != 1))
    still = replace(FINE_TUNING, augment=replace(FINE_TUNING.augment, flip_probability=1.0))
    clips = open_training_clips(still, training_set=TrainingSet.of(still, data=base), cache_dir=tmp_path, num_workers=1)
    # "circle moving left" has its mirror among the labels, but without videos, so that it is not mirrored.
    assert [clips[Draw(0, index)].label_id for index in range(len(clips))] == [0, 1] * 3
