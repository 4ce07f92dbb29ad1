"""Reading a data folder, and every way in which it can be wrong."""

import json
import shutil
from pathlib import Path

import pytest

from service.contract.errors import LabelError
from service.contract.labels import Label
from tests.training.tiny import LABELS
from training.data.annotations import Annotation, VideoData, read_video_data
from training.data.split_files import write_video_tables
from training.errors import DataError


@pytest.fixture
def folder(data: VideoData, tmp_path: Path) -> Path:
    return Path(shutil.copytree(data.directory, tmp_path / "data"))


def write_rows(folder: Path, *rows: str, header: str = "video,label_id,split") -> None:
    (folder / "annotations.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def test_folder_is_read_in_order(folder: Path) -> None:
    write_rows(folder, "1.mp4,2,train", "0.mp4,0,test")
    read = read_video_data(folder)
    assert read.annotations == (Annotation("1.mp4", 2, "train"), Annotation("0.mp4", 0, "test"))
    assert read.labels == tuple(Label(*texts) for texts in LABELS)
    assert read.path_of(read.annotations[0]) == folder / "1.mp4"


def test_name_is_that_of_the_description_or_the_folder(folder: Path) -> None:
    assert read_video_data(folder).name == "data"
    (folder / "data.json").write_text(json.dumps({"name": "Shapes"}), encoding="utf-8")
    assert read_video_data(folder).name == "Shapes"
    (folder / "data.json").write_text("{}", encoding="utf-8")
    assert read_video_data(folder).name == "data"


def test_digest_changes_with_the_tables(folder: Path) -> None:
    before = read_video_data(folder).digest
    write_rows(folder, "1.mp4,2,train")
    assert read_video_data(folder).digest != before


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("0.mp4,0", r"line 2 has 2 cells, \['0.mp4', '0'\]; expected video, label_id, split"),
        ("/0.mp4,0,train", "line 2: video '/0.mp4' must be a path inside the data folder"),
        ("../0.mp4,0,train", r"video '\.\./0.mp4' must be a path inside"),
        (",0,train", "video '' must be a path inside"),
        ("0.mp4,3,train", "label_id '3' must be a number from 0 to 2"),
        ("0.mp4,-1,train", "label_id '-1' must be a number from 0 to 2"),
        ("0.mp4,0,", "video '0.mp4' has no split"),
        ("gone.mp4,0,train", "1 of 1 videos of .*annotations.csv are missing: gone.mp4"),
    ],
)
def test_bad_row_is_named(folder: Path, row: str, message: str) -> None:
    write_rows(folder, row)
    with pytest.raises(DataError, match=message):
        read_video_data(folder)


@pytest.mark.parametrize(
    ("header", "message"), [("a,b", "must start with the header 'video,label_id,split', not 'a,b'")]
)
def test_bad_header_is_named(folder: Path, header: str, message: str) -> None:
    write_rows(folder, "0.mp4,0,train", header=header)
    with pytest.raises(DataError, match=message):
        read_video_data(folder)


def test_empty_tables_are_refused(folder: Path) -> None:
    write_rows(folder)
    with pytest.raises(DataError, match="lists no video"):
        read_video_data(folder)
    (folder / "annotations.csv").write_text("", encoding="utf-8")
    with pytest.raises(DataError, match="must start with the header"):
        read_video_data(folder)


def test_table_that_is_not_text_is_named(folder: Path) -> None:
    (folder / "annotations.csv").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(DataError, match=r"annotations.csv is not UTF-8 text but looks like"):
        read_video_data(folder)


def test_tables_of_windows_are_named_in_one_line(folder: Path) -> None:
    (folder / "annotations.csv").write_bytes("video,label_id,split\n跳.mp4,0,train\n".encode("gbk"))
    with pytest.raises(DataError, match=r"annotations.csv is not UTF-8 text but looks like GBK; save it as UTF-8"):
        read_video_data(folder)
    (folder / "labels.csv").write_bytes("id,en,zh\n0,wave,挥手\n".encode("utf-16"))
    with pytest.raises(LabelError, match=r"labels.csv is not UTF-8 text but looks like UTF-16; save it as UTF-8"):
        read_video_data(folder)


def test_blanks_after_commas_and_empty_last_lines_do_not_count(folder: Path) -> None:
    write_rows(folder, "0.mp4, 2, train", "", " ,,", header="video, label_id, split")
    assert read_video_data(folder).annotations == (Annotation("0.mp4", 2, "train"),)


@pytest.mark.parametrize("name", ["x\x85y.mp4", "x\u2028y.mp4", " x.mp4", '"x", y.mp4'])
def test_names_come_back_as_they_were_written(folder: Path, name: str) -> None:
    shutil.copy(folder / "0.mp4", folder / name)
    labels = [Label(*texts) for texts in LABELS]
    write_video_tables(folder, labels=labels, annotations=[Annotation(name, 0, "train")])
    assert [each.video for each in read_video_data(folder).annotations] == [name]


def test_missing_tables_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"lacks labels.csv and annotations.csv; a data folder holds"):
        read_video_data(tmp_path)


def test_labels_in_another_order_than_the_class_folders_are_refused(folder: Path) -> None:
    for name in ("waving", "circle_moving_left"):
        (folder / name).mkdir()
        shutil.copy(folder / "0.mp4", folder / name / "0.mp4")
    write_rows(folder, "waving/0.mp4,0,train", "circle_moving_left/0.mp4,2,train")
    with pytest.raises(
        DataError, match=r"annotations.csv number 2 classes differently: 0 is 'circle moving left', but 1"
    ):
        read_video_data(folder)
