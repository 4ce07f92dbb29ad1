"""The published lists themselves: all are read, and what is wrong or odd about each is told by name."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.material import LISTS
from tests.training.data.datasets.files import write
from training.data.class_lists import read_class_list
from training.data.datasets.hmdb51 import read_hmdb51
from training.data.datasets.label_orders import describe_order
from training.data.datasets.listing import Official
from training.data.datasets.numbered_lists import read_numbered_list
from training.data.datasets.something_something import read_something_something_v2
from training.data.datasets.ucf101 import read_ucf101, read_ucf_list
from training.data.split_files import SplitFile, join_splits
from training.errors import DataError

pytestmark = pytest.mark.material

FOLDERS = ("vificlip", "mmaction2", "paddlevideo", "vitaclip", "kinetics_i3d", "side4video_splits", "ssv2_json")
CLASS_LISTS = sorted(
    path.relative_to(LISTS).as_posix()
    for folder in FOLDERS
    for path in (LISTS / folder).glob("*")
    if "_val_" not in path.name and "sample" not in path.name
)
# Lists with problems, and how each begins.
PROBLEMS = {
    "mmaction2/ava.txt": ["between the ids 1 and 80 20 are missing: 2, 16, 18, 19, 21 and 15 more"],
    "mmaction2/finegym99.txt": ["'(BB) salto backward tucked' stands at 58 and 70"],
    "paddlevideo/videotag_label_3396_zh.txt": ["'滑板' stands at 140 and 1997", *["'"] * 9],
    "side4video_splits/sth_labels_me.csv": ["'Putting and on the table' stands at 103 and 120"],
}


@pytest.mark.parametrize("name", CLASS_LISTS)
def test_lists_of_classes_are_read_and_their_problems_named(name: str) -> None:
    problems = read_class_list(LISTS / name).problems
    expected = PROBLEMS.get(name, [])
    assert len(problems) == len(expected)
    assert all(problem.startswith(start) for problem, start in zip(problems, expected, strict=True))


@pytest.mark.parametrize(
    ("name", "described"),
    [
        ("paddlevideo/Kinetics-400_label_list.txt", "Kinetics-400 in its standard order"),
        ("vitaclip/k400_class_mappings.json", "Kinetics-400 in its standard order"),
        ("kinetics_i3d/label_map_600.txt", "Kinetics-600 in its standard order"),
        ("mmaction2/k700.txt", "Kinetics-700 in its standard order"),
        ("mmaction2/sthv1.txt", "Something-Something v1 in its own order"),
        ("mmaction2/sthv2.txt", "Something-Something v2 in its standard order"),
        ("mmaction2/moments_in_time.txt", "Moments in Time (339 classes) in its standard order"),
        ("official_ucf101/ucfTrainTestlist/classInd.txt", "UCF101 in its standard order"),
        ("mmaction2/ucf101.txt", "UCF101 in its standard order; 1 of 101 names are spelled otherwise than by the data "
         "set: 'HandstandPushups' for 'HandStandPushups'"),
        ("vificlip/hmdb_51_labels.csv", "HMDB51 with kick and kick ball, sword and sword exercise exchanged, as in "
         "some published files and not in others"),
    ],
)  # fmt: skip
def test_orders_are_recognised_across_spellings(name: str, described: str) -> None:
    assert str(describe_order(read_class_list(LISTS / name).names)).split(": ", 1)[1] == described


def test_names_without_their_commas_are_noted() -> None:
    order = describe_order(read_class_list(LISTS / "side4video_splits/sth_labels.csv").names)
    assert order.known == "Something-Something v2 in its standard order"
    assert order.notes[0].startswith(
        "12 of 174 names are spelled otherwise than by the data set: 'Laying something on the table on its side not "
    )


@pytest.mark.parametrize("name", ["vificlip/kinetics_400_base_labels.csv", "vificlip/ucf_101_labels.csv"])
def test_ends_of_lines_are_noted(name: str) -> None:
    assert "lines end with CR LF" in read_class_list(LISTS / name).notes


@pytest.mark.parametrize(
    ("videos", "classes", "number"),
    [
        ("vificlip_splits/ucf_val1.txt", "vificlip/ucf_101_labels.csv", 2000),
        ("vificlip_splits/hmdb_val1.txt", "mmaction2/hmdb51.txt", 1530),
        ("vificlip_splits/k400_val.txt", "vificlip/kinetics_400_labels.csv", 2000),
        ("vificlip_splits/k600_ZS_split1_eval.txt", "vificlip/ZS_split1_K600.csv", 2000),
        ("vificlip_splits/ssv2_validation.txt", "vificlip/ssv2_labels.csv", 2000),
        ("side4video_splits/k400_val_rgb.txt", "mmaction2/k400.txt", 1000),
        ("side4video_splits/k400_val_video.txt", "mmaction2/k400.txt", 1000),
        ("side4video_splits/sthv1_val_rgb.txt", "mmaction2/sthv1.txt", 1000),
        ("side4video_splits/sthv2_val_rgb.txt", "mmaction2/sthv2.txt", 1000),
        ("side4video_splits/ssv2_val_rgb_opencv.txt", "side4video_splits/sth_labels.csv", 1000),
    ],
)
def test_lists_of_videos_are_joined(videos: str, classes: str, number: int) -> None:
    names, annotations = join_splits([SplitFile("test", LISTS / videos, LISTS / classes)])
    assert len(annotations) == number
    assert " " not in annotations[0].video
    assert max(each.label_id for each in annotations) < len(names)


@pytest.mark.parametrize(
    ("videos", "classes", "message"),
    [
        ("hmdb_val1.txt", "hmdb_51_labels.csv", "number 4 classes differently: 20 is 'kick ball', but 30 of its 30"),
        ("hmdb_b2n_fs_base_s1_train.txt", "hmdb_51_base_labels.csv", "number 2 classes differently: .* 'sword'"),
    ],
)
def test_exchanged_classes_of_hmdb51_are_refused(videos: str, classes: str, message: str) -> None:
    file = SplitFile("test", LISTS / "vificlip_splits" / videos, LISTS / "vificlip" / classes)
    with pytest.raises(DataError, match=message):
        join_splits([file])


def test_flat_lists_of_hmdb51_exchange_classes_and_count_from_one() -> None:
    listing = read_hmdb51(Official(videos=LISTS, files=LISTS / "hmdb51_lists"))
    assert Counter(each.split for each in listing.videos) == {"train": 1000, "test": 1000}
    exchanged = "counts kick and kick_ball, sword and sword_exercise at each other's place, as its paths tell"
    assert listing.notes == tuple(
        f"{name}list01.txt {note}" for name in ("train", "test") for note in ("counts classes from 1", exchanged)
    )


def test_list_of_hmdb51_with_numbers_of_frames_counts_from_0() -> None:
    classes = read_class_list(LISTS / "vificlip/hmdb_51_labels.csv").names
    videos, base = read_numbered_list(LISTS / "hmdb51_lists/hmdb51_flow_val_split_1.txt", classes=classes)
    assert (len(videos), base) == (1000, 0)
    assert videos[0] == ("data/HMDB51_flow/Finding_Forrester_3_clap_u_nm_np1_ri_med_0", 4)


@pytest.mark.parametrize(("number", "num_train", "num_test"), [(1, 9537, 3783), (2, 9586, 3734), (3, 9624, 3696)])
def test_official_lists_of_ucf101_are_read(number: int, num_train: int, num_test: int) -> None:
    folder = LISTS / "official_ucf101/ucfTrainTestlist"
    listing = read_ucf101(Official(videos=folder, files=folder, split_number=number))
    assert Counter(each.split for each in listing.videos) == {"train": num_train, "test": num_test}
    assert listing.notes == (
        "classInd.txt: lines end with CR LF",
        f"trainlist{number:02d}.txt: lines end with CR LF",
        f"testlist{number:02d}.txt: lines carry 1 class number, the official file none",
    )


def test_list_of_ucf101_with_two_numbers_is_read() -> None:
    classes = read_class_list(LISTS / "mmaction2/ucf101.txt").names
    path = LISTS / "official_ucf101/testlist01_with_ids_variant.txt"
    videos, notes = read_ucf_list(path, split="test", id_of={name: i for i, name in enumerate(classes)})
    assert len(videos) == 500
    assert notes == ["lines carry 2 class numbers, the official file none"]


@pytest.fixture
def something(tmp_path: Path) -> Path:
    for name in ("train", "validation"):
        shutil.copy(LISTS / f"ssv2_json/{name}_sample.json", tmp_path / f"{name}.json")
    shutil.copy(LISTS / "ssv2_json/test-answers_sample.csv", tmp_path / "test-answers.csv")
    return tmp_path


def test_records_of_something_something_v2_are_read(something: Path) -> None:
    labels = LISTS / "ssv2_json/labels_rebuilt.json"
    listing = read_something_something_v2(Official(videos=something, files=something, labels=labels))
    assert Counter(each.split for each in listing.videos) == {"train": 4, "val": 4, "test": 4}
    assert {each.video: each.label_id for each in listing.videos if each.split == "val"}["74225.webm"] == 140
    assert listing.notes == ()


def test_gestures_named_like_something_something_v2_are_refused(something: Path) -> None:
    shutil.copy(LISTS / "ssv2_json/TRAP_something-something-v2-labels.json", something / "labels.json")
    with pytest.raises(DataError, match="holds 13 classes such as 'Make two waves with palms up', of which 0 say"):
        read_something_something_v2(Official(videos=something, files=something))


def test_base_and_novel_lists_share_their_classes_with_none(tmp_path: Path) -> None:
    base, novel = (LISTS / f"vificlip/ucf_101_{part}_labels.csv" for part in ("base", "novel"))
    lists = [write(tmp_path / f"{name}.txt", "1.avi 0") for name in ("base", "novel")]
    classes, annotations = join_splits([SplitFile("test", lists[0], base), SplitFile("novel", lists[1], novel)])
    assert (len(classes), [each.label_id for each in annotations]) == (101, [0, 51])
