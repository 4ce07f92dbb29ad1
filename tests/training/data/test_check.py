"""What a check of a data folder finds: missing, damaged and repeated videos, leaks, and the order of labels."""

from pathlib import Path

import pytest

from service.contract.errors import LabelError
from tests.containers import write_exif_timelapse
from tests.training.data.datasets.files import write
from tests.videos import Encoding, cut, write_numbered_video
from training.data.check import DataCheck, Problem, check_data, examine_video
from training.data.frame_folders import digest_video
from training.errors import DataError

SMALL = Encoding(size=(48, 32))


def check(folder: Path, *, num_decoded: int | None = 0, seed: int = 0) -> DataCheck:
    return check_data(folder, num_decoded=num_decoded, seed=seed, num_workers=1, track=lambda items, *_: items)


def annotate(folder: Path, *rows: str) -> Path:
    write(folder / "annotations.csv", "video,label_id,split", *rows)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(4):
        write_numbered_video(tmp_path / f"{number}.mp4", num_frames=3 + number, encoding=SMALL)
    write(tmp_path / "labels.csv", "id,en,zh", "0,run,跑", "1,kick,踢")
    return annotate(tmp_path, "0.mp4,0,train", "1.mp4,1,train", "2.mp4,0,test", "3.mp4,1,test")


def test_sound_folder_is_counted(folder: Path) -> None:
    found = check(folder, num_decoded=None)
    assert (found.problems, found.is_sound, found.num_decoded) == ((), True, 4)
    assert (found.labels, found.counts) == (("run / 跑", "kick / 踢"), {"train": (1, 1), "test": (1, 1)})
    assert found.order.num_labels == 2


def test_check_is_plain_data(folder: Path) -> None:
    annotate(folder, "0.mp4,0,train", "gone.mp4,0,test")
    values = check(folder).to_json()
    assert (values["sound"], values["splits"], values["num_decoded"]) == (False, {"train": 1, "test": 1}, 0)
    assert values["labels"][1] == {"label": "kick / 踢", "train": 0, "test": 0}
    assert [each["kind"] for each in values["problems"]] == ["missing", "empty label"]
    assert len(values["label_order"]["checksum"]) == 64


def test_missing_videos_are_named(folder: Path) -> None:
    (folder / "1.mp4").unlink()
    (folder / "2.mp4").unlink()
    assert check(folder).problems == (Problem("missing", f"2 videos are missing in {folder}: 1.mp4, 2.mp4"),)


@pytest.mark.parametrize(
    ("row", "kind", "message"),
    [
        ("copy.mp4,0,test", "leak", "is in several splits: 0.mp4 (train, run / 跑) and copy.mp4 (test, run / 跑)"),
        ("0.mp4,0,test", "leak", "is in several splits: 0.mp4 (train, run / 跑) and 0.mp4 (test, run / 跑)"),
        (
            "copy.mp4,1,train",
            "contradiction",
            "has several labels: 0.mp4 (train, run / 跑) and copy.mp4 (train, kick / 踢)",
        ),
        (
            "copy.mp4,0,train",
            "duplicate",
            "is listed more than once: 0.mp4 (train, run / 跑) and copy.mp4 (train, run / 跑)",
        ),
    ],
)
def test_repeated_videos_are_judged(folder: Path, row: str, kind: str, message: str) -> None:
    (folder / "copy.mp4").write_bytes((folder / "0.mp4").read_bytes())
    annotate(folder, "0.mp4,0,train", "1.mp4,1,train", row)
    problem = Problem(kind, f"the same video {message}", "warning" if kind == "duplicate" else "error")
    found = check(folder)
    assert (found.problems, found.is_sound) == ((problem,), kind == "duplicate")


def test_videos_of_one_size_with_other_content_are_no_copies(folder: Path) -> None:
    content = bytearray((folder / "0.mp4").read_bytes())
    content[-1] ^= 1
    (folder / "copy.mp4").write_bytes(content)
    annotate(folder, "0.mp4,0,train", "1.mp4,1,train", "copy.mp4,0,test")
    assert digest_video(folder / "copy.mp4") != digest_video(folder / "0.mp4")
    assert check(folder).problems == ()


def test_unreadable_videos_are_named(folder: Path) -> None:
    (folder / "0.mp4").write_bytes(b"not a video")
    cut(folder / "3.mp4", fraction=0.6)
    kinds = [(each.kind, each.message[:7]) for each in check(folder, num_decoded=None).problems]
    assert kinds == [("unreadable", "0.mp4: "), ("unreadable", "3.mp4: ")]


def test_empty_files_need_no_decoding(folder: Path) -> None:
    for name in ("0.mp4", "3.mp4"):
        (folder / name).write_bytes(b"")
    assert check(folder).problems == (Problem("unreadable", "2 videos are empty: 0.mp4, 3.mp4"),)


def test_fault_of_a_file_that_is_no_video_is_told(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", "not a video")
    (problem,) = examine_video(tmp_path / "a.mp4")
    assert problem.message.startswith("the bytes are not a readable video")
    gone = f"[Errno 2] No such file or directory: '{tmp_path / 'gone.mp4'}'"
    assert examine_video(tmp_path / "gone.mp4") == (Problem("unreadable", gone),)


def test_damaged_video_is_a_fault_though_frames_come_out(tmp_path: Path) -> None:
    video = write_numbered_video(tmp_path / "a.avi", num_frames=50, encoding=Encoding(codec="mpeg4"))
    assert examine_video(video) == ()
    assert [each.kind for each in examine_video(cut(video, fraction=0.7))] == ["unreadable"]


def test_what_is_assumed_of_colours_is_a_warning(tmp_path: Path) -> None:
    encoding = Encoding(options={"x264-params": "colormatrix=YCgCo"}, size=(48, 32))
    (problem,) = examine_video(write_numbered_video(tmp_path / "a.mp4", num_frames=3, encoding=encoding))
    assert (problem.kind, problem.severity) == ("assumed", "warning")
    assert problem.message.startswith("the colour matrix is number 8 of ITU-T H.273")


def test_side_data_of_unknown_types_is_no_fault(tmp_path: Path) -> None:
    assert examine_video(write_exif_timelapse(tmp_path / "a.avi", num_frames=3)) == ()


def test_draw_follows_from_the_seed(folder: Path) -> None:
    for number in range(4):
        (folder / f"{number}.mp4").write_bytes(b"not a video %d" % number)
    messages = [check(folder, num_decoded=2, seed=seed).problems for seed in (0, 0, 1, 2, 3)]
    assert messages[0] == messages[1]
    assert {len(each) for each in messages} == {2}
    assert len(set(messages)) > 1


def test_labels_without_videos_are_a_warning(folder: Path) -> None:
    annotate(folder, "0.mp4,0,train")
    found = check(folder)
    assert found.problems == (Problem("empty label", "1 labels have no video: kick / 踢", "warning"),)
    assert found.is_sound


def test_classes_in_another_order_are_named(folder: Path) -> None:
    for name in ("kick", "run"):
        (folder / name).mkdir()
        (folder / f"{int(name == 'kick')}.mp4").rename(folder / name / "a.mp4")
    annotate(folder, "kick/a.mp4,0,train", "run/a.mp4,1,train")
    assert [each.message for each in check(folder).problems] == [
        "labels.csv and annotations.csv disagree: 0 is 'run', but 1 of its 1 videos say 'kick'",
        "labels.csv and annotations.csv disagree: 1 is 'kick', but 1 of its 1 videos say 'run'",
    ]


def test_repeated_ids_are_an_error_that_names_both(folder: Path) -> None:
    write(folder / "labels.csv", "id,en,zh", "0,run,跑", "0,kick,踢")
    with pytest.raises(
        LabelError, match=r"line 3 is \['0', 'kick', '踢'\], which repeats the id of 'run / 跑'; expected"
    ):
        check(folder)


def test_folder_without_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"lacks labels.csv and annotations.csv; a data folder holds"):
        check(tmp_path)
