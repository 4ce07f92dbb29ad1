"""Choosing splits, and labels in a mirror or played backwards."""

from dataclasses import replace

import numpy as np
import pytest

from service.contract.labels import Label
from tests.material import LISTS
from training.data.annotations import VideoData
from training.data.motion_shapes import motion_shapes_labels
from training.data.splits import (
    NO_MIRROR,
    NO_OPPOSITE,
    keep_labels,
    mirrored_label_ids,
    opposite_label_ids,
    select_split,
    split_label_ids,
)
from training.errors import DataError


def test_split_keeps_the_order_of_the_table(data: VideoData) -> None:
    assert [each.video for each in select_split(data, "val")] == ["9.mp4", "10.mp4", "11.mp4"]


def test_unknown_split_lists_the_known_ones(data: VideoData) -> None:
    with pytest.raises(DataError, match=r"split is 'dev', but .* has novel, test, train, val"):
        select_split(data, "dev")


def test_labels_of_a_split_are_those_with_videos_in_it(data: VideoData) -> None:
    fewer = replace(data, annotations=tuple(each for each in data.annotations if each.video not in ("9.mp4", "11.mp4")))
    assert split_label_ids(data, "val") == {0, 1, 2}
    assert split_label_ids(fewer, "val") == {1}


def test_kept_labels_are_numbered_anew_with_their_videos(data: VideoData) -> None:
    kept = keep_labels(data, {2, 0})
    assert kept.labels == (data.labels[0], data.labels[2])
    old = [each for each in data.annotations if each.label_id != 1]
    assert [(each.video, each.label_id) for each in kept.annotations] == [(own.video, own.label_id // 2) for own in old]
    assert (kept.name, kept.digest) == (data.name, data.digest)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["moving left", "moving right", "waving"], [1, 0, 2]),
        (["Moving Left", "moving right"], [1, 0]),
        (["moving left", "waving"], [NO_MIRROR, 1]),
        (["turning clockwise", "turning counter-clockwise"], [1, 0]),
        (["turning counterclockwise", "turning clockwise"], [1, NO_MIRROR]),
        (["left to right", "right to left"], [1, 0]),
        (
            ["Pulling [something] from left to right", "Pulling [something] from right to left"],
            [1, 0],
        ),
        (
            ["Turning the camera left while filming [something]", "Turning the camera right while filming [something]"],
            [1, 0],
        ),
        (["Putting [something] upright on the table"], [0]),
        (["leftover cooking"], [0]),
    ],
)
def test_direction_words_are_swapped(texts: list[str], expected: list[int]) -> None:
    assert mirrored_label_ids([Label(text) for text in texts]).tolist() == expected


@pytest.mark.material
@pytest.mark.parametrize(
    ("name", "pairs"),
    [("sthv1", [(2, 4), (30, 41), (52, 66)]), ("sthv2", [(86, 87), (93, 94), (166, 167)])],
)
def test_only_labels_of_a_direction_change_in_the_mirror(name: str, pairs: list[tuple[int, int]]) -> None:
    path = LISTS / "mmaction2" / f"{name}.txt"
    texts = path.read_text(encoding="utf-8").splitlines()
    expected = np.arange(174)
    for one, other in pairs:
        expected[[one, other]] = other, one
    # "pulling it right out" speaks of no direction; such a video is merely never mirrored.
    expected[next(index for index, text in enumerate(texts) if "right out" in text)] = NO_MIRROR
    assert np.array_equal(mirrored_label_ids([Label(text) for text in texts]), expected)


def test_chinese_only_label_stays_itself() -> None:
    assert mirrored_label_ids([Label(zh="挥手")]).tolist() == [0]


def test_opposites_are_the_reversed_actions_of_motion_shapes() -> None:
    labels = [Label(each.en, each.zh) for each in motion_shapes_labels()]
    opposites = opposite_label_ids(labels)
    assert opposites.tolist() == [each.reversed_id for each in motion_shapes_labels()]
    assert opposite_label_ids([labels[0], Label("waving"), Label(zh="挥手")]).tolist() == [NO_OPPOSITE] * 3
    assert opposite_label_ids([labels[1], labels[0]]).tolist() == [1, 0]
