"""Classes that videos' paths name, against those that their numbers mean; published lists where they are there."""

import csv

import pytest

from tests.material import LISTS
from training.data.class_order import check_class_order, find_disagreements
from training.errors import DataError

NAMES = ("brush hair", "kick", "kick ball", "HandstandPushups")


@pytest.mark.parametrize(
    ("paths", "named"),
    [
        (["a_kick_ball_f_nm.avi", "b_kick_f_nm.avi"], [("kick", "kick ball"), ("kick ball", "kick")]),
        (["kick_ball/1.mp4", "train/kick/2.mp4"], [("kick", "kick ball"), ("kick ball", "kick")]),
        (["kick ball/a_kick.mp4", "Kick/a_kick_ball.mp4"], [("kick", "kick ball"), ("kick ball", "kick")]),
        (["b_kick_f_nm.avi", "hair_kick_kick_ball_f.avi"], []),
        (["0wR5jVB-WPk_000417.mp4", "74225.webm"], []),
        (
            ["v_HandStandPushups_g01_c01.avi", "brush_hair.avi"],
            [("kick", "HandstandPushups"), ("kick ball", "brush hair")],
        ),
    ],
)
def test_exchanged_classes_are_found(paths: list[str], named: list[tuple[str, str]]) -> None:
    found = find_disagreements(NAMES, [(path, index + 1) for index, path in enumerate(paths)])
    assert [(each.name, each.named) for each in found] == named


def test_class_whose_name_stands_in_another_one_is_no_exchange() -> None:
    assert find_disagreements(("walking", "walking dog"), [("walking/1.mp4", 0), ("dog_walking/2.mp4", 1)]) == ()


def test_few_paths_that_name_another_class_say_nothing() -> None:
    videos = [("kick_ball.avi", 1), *((f"{number}.avi", 1) for number in range(3))]
    assert find_disagreements(NAMES, videos) == ()


@pytest.mark.parametrize("names", [(None, "kick"), (None, None)])
def test_labels_without_english_text_are_left_out(names: tuple[str | None, ...]) -> None:
    assert find_disagreements(names, [("kick.avi", 0)]) == ()


def test_disagreement_names_classes_and_counts() -> None:
    message = (
        "labels.csv and val.txt number 2 classes differently: 1 is 'kick', but 2 of its 3 videos say 'kick ball'; 2 is "
        "'kick ball', but 1 of its 1 videos say 'kick'. Put the labels into the order of the videos' numbers"
    )
    videos = [("a_kick_ball.avi", 1), ("b_kick_ball.avi", 1), ("c.avi", 1), ("kick.avi", 2)]
    with pytest.raises(DataError) as caught:
        check_class_order(NAMES, videos, where="labels.csv and val.txt")
    assert str(caught.value) == message


@pytest.mark.material
@pytest.mark.parametrize(
    ("classes", "videos", "faults"),
    [
        ("hmdb_51_labels", "hmdb_val1", ["kick ball", "kick", "sword exercise", "sword"]),
        ("hmdb_51_base_labels", "hmdb_b2n_fs_base_s1_train", ["sword exercise", "sword"]),
        ("ucf_101_labels", "ucf_val1", []),
        ("kinetics_400_labels", "k400_val", []),
        ("ZS_split1_K600", "k600_ZS_split1_eval", []),
        ("ssv2_labels", "ssv2_validation", []),
    ],
)
def test_published_lists_hold_one_known_fault(classes: str, videos: str, faults: list[str]) -> None:
    rows = list(csv.reader((LISTS / "vificlip" / f"{classes}.csv").read_text(encoding="utf-8").splitlines()))
    lines = (LISTS / "vificlip_splits" / f"{videos}.txt").read_text(encoding="utf-8").splitlines()
    listed = [(path, int(label_id)) for path, label_id in (line.rsplit(maxsplit=1) for line in lines)]
    found = find_disagreements([name for _, name in rows[1:]], listed)
    assert [each.name for each in found] == faults
    assert all(each.num_named == each.num_videos for each in found)
