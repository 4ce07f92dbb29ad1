"""Caption files in their layouts, and videos found by name."""

import json
from pathlib import Path

import pytest

from training.data.captions import read_captioned_videos
from training.errors import DataError

MSR_VTT = {
    "videos": [{"video_id": "video1", "split": "train"}, {"video_id": "video2", "split": "test"}],
    "sentences": [
        {"video_id": "video2", "caption": "a man sings", "sen_id": 0},
        {"video_id": "video1", "caption": "a dog runs", "sen_id": 1},
        {"video_id": "video2", "caption": "somebody sings", "sen_id": 2},
    ],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("video1.mp4", "video2.webm", "clip.mp4"):
        (tmp_path / name).touch()
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "key,vid_key,video_id,sentence\nret0,msr1,video2,a man sings\nret1,msr2,video1,a dog runs\n",
        "video,caption\nvideo2.webm,a man sings\nvideo1.mp4,a dog runs\n",
    ],
)
def test_tables_give_videos_in_their_order(folder: Path, text: str) -> None:
    found = read_captioned_videos(write(folder / "c.csv", text), directory=folder, split=None)
    assert [path.name for path in found.videos] == ["video2.webm", "video1.mp4"]
    assert found.captions == ("a man sings", "a dog runs")
    assert (found.video_ids.tolist(), found.language, found.name) == ([0, 1], "en", "c")


@pytest.mark.parametrize(("split", "video_ids"), [(None, [0, 1, 0]), ("test", [0, 0])])
def test_json_has_several_captions_a_video_and_splits(folder: Path, split: str | None, video_ids: list[int]) -> None:
    file = write(folder / "c.json", json.dumps(MSR_VTT))
    found = read_captioned_videos(file, directory=folder, split=split)
    assert found.video_ids.tolist() == video_ids
    assert found.captions[-1] == "somebody sings"


def test_chinese_captions_are_told_apart(folder: Path) -> None:
    found = read_captioned_videos(write(folder / "c.csv", "video,caption\nclip,挥手\n"), directory=folder, split=None)
    assert found.language == "zh"


@pytest.mark.parametrize(
    ("name", "text", "split", "message"),
    [
        (
            "c.csv",
            "clip,text\n",
            None,
            "c.csv has the columns clip, text; it needs one of video_id, video and one of s",
        ),
        ("c.csv", "video,caption\n", None, "c.csv has 0 captions, some without a video or a text; give each both"),
        ("c.csv", "video,caption\nclip,\n", None, "c.csv has 1 captions, some without a video or a text"),
        ("c.csv", "video,caption\nclip,x\n", "test", "split is 'test', but .*c.csv is a table, which has no splits"),
        ("c.csv", "video,caption\nno,x\n", None, r"1 of 1 videos are missing in .*: no; names may end in .mp4, .avi"),
        ("c.csv", "video,caption\n../clip,x\n", None, r"1 of 1 videos are missing"),
        ("c.csv", "video,caption\nclip,x\nclip,挥手\n", None, "has captions in two languages, such as 'x' and '挥手'"),
        ("c.json", "{", None, "c.json cannot be read: Expecting"),
        ("c.json", "[]", None, "c.json is not in MSR-VTT's layout of videos and sentences: TypeError"),
        ("c.json", json.dumps(MSR_VTT), "val", "split is 'val', but .* has test, train; choose one of these"),
    ],
)
def test_wrong_caption_files_are_refused(folder: Path, name: str, text: str, split: str | None, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_captioned_videos(write(folder / name, text), directory=folder, split=split)
