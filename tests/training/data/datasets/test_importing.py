"""From official files to a data folder that training reads, with videos left where they are."""

import json
from pathlib import Path

import pytest

from service.contract.labels import Label
from tests.training.data.datasets.files import touch, write
from training.data.annotations import read_video_data
from training.data.datasets.importing import Imported, ImportOptions, import_data_set
from training.data.datasets.label_orders import order_checksum
from training.data.datasets.listing import Official
from training.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = tmp_path / "ucfTrainTestlist"
    write(files / "classInd.txt", "1 ApplyEyeMakeup", "2 JugglingChainsaws")
    write(files / "trainlist01.txt", "ApplyEyeMakeup/a.avi 1", "JugglingChainsaws/b.avi 2")
    write(files / "testlist01.txt", "JugglingChainsaws/c.avi")
    touch(tmp_path / "videos", "ApplyEyeMakeup/a.avi", "b.avi", "JugglingChainsaws/c.avi")
    return tmp_path


def run(folder: Path, *, out: Path | None = None, options: ImportOptions | None = None) -> Imported:
    videos = folder / "videos"
    official = Official(videos=videos, files=folder / "ucfTrainTestlist")
    return import_data_set("ucf101", official=official, out=out or videos,
                           options=options or ImportOptions())  # fmt: skip


def test_tables_stand_beside_the_videos(folder: Path) -> None:
    imported = run(folder)
    data = read_video_data(folder / "videos")
    assert (data.name, data.labels) == ("ucf101", (Label("apply eye makeup", "化眼妆"), Label("juggling chainsaws")))
    assert [(each.video, each.label_id, each.split) for each in data.annotations] == [
        ("ApplyEyeMakeup/a.avi", 0, "train"), ("b.avi", 1, "train"), ("JugglingChainsaws/c.avi", 1, "test"),
    ]  # fmt: skip
    assert (imported.num_videos, imported.num_chinese, imported.missing) == ({"test": 1, "train": 2}, 1, ())


def test_description_says_where_the_tables_come_from(folder: Path) -> None:
    run(folder)
    described = json.loads((folder / "videos" / "data.json").read_text())
    assert sorted(described) == ["files", "label_order", "name", "split_number"]
    assert sorted(described["files"]) == ["classInd.txt", "testlist01.txt", "trainlist01.txt"]
    assert described["label_order"] == order_checksum(["ApplyEyeMakeup", "JugglingChainsaws"])


def test_tables_may_stand_elsewhere(folder: Path) -> None:
    run(folder, out=folder / "split1")
    data = read_video_data(folder / "split1")
    assert data.path_of(data.annotations[0]) == (folder / "videos").resolve() / "ApplyEyeMakeup/a.avi"
    assert sorted(path.name for path in (folder / "split1").iterdir()) == ["annotations.csv", "data.json", "labels.csv"]


def test_labels_may_keep_the_spelling_of_the_data_set(folder: Path) -> None:
    run(folder, options=ImportOptions(spelling="original"))
    assert [each.en for each in read_video_data(folder / "videos").labels] == ["ApplyEyeMakeup", "JugglingChainsaws"]


def test_splits_may_have_other_names(folder: Path) -> None:
    run(folder, options=ImportOptions(renamed={"train": "test", "test": "novel"}))
    assert [each.split for each in read_video_data(folder / "videos").annotations] == ["test", "test", "novel"]


def test_videos_of_a_renamed_split_are_found_in_its_folder(tmp_path: Path) -> None:
    touch(tmp_path, "train/a.mp4", "val/a.mp4")
    table = write(tmp_path / "a.csv", "video,label,split", "a.mp4,kick,train", "a.mp4,run,val")
    import_data_set("csv", official=Official(videos=tmp_path, files=table), out=tmp_path,
                    options=ImportOptions(renamed={"train": "val", "val": "train"}))  # fmt: skip
    assert (tmp_path / "annotations.csv").read_text() == (
        "video,label_id,split\ntrain/a.mp4,0,val\nval/a.mp4,1,train\n"
    )


@pytest.mark.parametrize(
    ("renamed", "message"),
    [
        ({"val": "test"}, "split val is to be renamed; there are test, train"),
        ({"train": "test"}, "two splits would be called test; rename the other one as well"),
    ],
)
def test_impossible_names_are_refused(folder: Path, renamed: dict[str, str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        run(folder, options=ImportOptions(renamed=renamed))


def test_missing_videos_are_refused_or_listed(folder: Path) -> None:
    (folder / "videos" / "b.avi").unlink()
    with pytest.raises(
        DataError, match=r"1 of 3 videos are missing in .*videos: JugglingChainsaws/b.avi; add them, or"
    ):
        run(folder)
    assert len(run(folder, options=ImportOptions(allow_missing=True)).missing) == 1
    assert (folder / "videos" / "missing.txt").read_text() == "train JugglingChainsaws/b.avi\n"
    assert len(read_video_data(folder / "videos").annotations) == 2
    touch(folder / "videos", "b.avi")
    run(folder)
    assert not (folder / "videos" / "missing.txt").exists()


def test_folder_without_any_of_the_videos_is_refused(folder: Path) -> None:
    for path in (folder / "videos").rglob("*.avi"):
        path.unlink()
    with pytest.raises(DataError, match=r"holds none of the 3 listed videos, such as ApplyEyeMakeup/a.avi, .*; unpack"):
        run(folder, options=ImportOptions(allow_missing=True))


def test_folder_of_videos_must_exist(folder: Path) -> None:
    (folder / "videos").rename(folder / "elsewhere")
    with pytest.raises(
        DataError, match=r"--videos is .*videos, which is no folder; name the one that holds the videos"
    ):
        run(folder)


def test_lists_in_another_order_are_refused(folder: Path) -> None:
    labels = write(folder / "labels.csv", "id,name", "0,kick", "1,run")
    videos = write(folder / "val.csv", "video,label", "kick/a.avi,run", "run/b.avi,kick")
    official = Official(videos=touch(folder / "videos", "kick/a.avi", "run/b.avi"), files=videos, labels=labels)
    with pytest.raises(DataError, match="the official files number 2 classes differently: 0 is 'kick', but 1 of its 1"):
        import_data_set("csv", official=official, out=folder, options=ImportOptions())


def test_data_without_a_name_are_called_after_their_folder(folder: Path) -> None:
    official = Official(videos=touch(folder / "my_videos", "kick/a.avi"))
    import_data_set("folders", official=official, out=folder / "my_videos", options=ImportOptions())
    assert read_video_data(folder / "my_videos").name == "my_videos"
