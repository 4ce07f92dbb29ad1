"""Captions of MSR-VTT as the table that retrieval reads."""

import json
from pathlib import Path

import pytest

from tests.training.data.datasets.files import touch, write
from training.data.captions import read_captioned_videos
from training.data.datasets.msr_vtt import import_captions
from training.errors import DataError

VALUES = {
    "videos": [{"video_id": "video1", "split": "train"}, {"video_id": "video2", "split": "test"}],
    "sentences": [
        {"video_id": "video2", "caption": "a man, singing"},
        {"video_id": "video1", "caption": "a dog runs"},
    ],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "MSRVTT_data.json", json.dumps(VALUES))
    touch(tmp_path / "videos", "video1.mp4", "video2.mp4")
    return tmp_path


def test_captions_of_a_split_become_a_table(folder: Path) -> None:
    videos = folder / "videos"
    imported = import_captions(
        folder / "MSRVTT_data.json", videos=videos, out=videos, split="test", allow_missing=False
    )
    assert (imported.num_captions, imported.num_videos, imported.missing) == (1, 1, ())
    assert imported.file.read_text() == 'video,caption\nvideo2.mp4,"a man, singing"\n'
    assert read_captioned_videos(imported.file, directory=videos, split=None).captions == ("a man, singing",)


def test_missing_videos_are_refused_or_listed(folder: Path) -> None:
    (folder / "videos" / "video1.mp4").unlink()
    with pytest.raises(DataError, match=r"1 of 2 videos are missing in .*: video1; add them, or leave them out with"):
        import_captions(folder / "MSRVTT_data.json", videos=folder / "videos", out=folder, split=None,
                        allow_missing=False)  # fmt: skip
    imported = import_captions(
        folder / "MSRVTT_data.json", videos=folder / "videos", out=folder / "out", split=None, allow_missing=True
    )
    assert (imported.num_captions, imported.missing) == (1, ("video1",))
    assert (folder / "out" / "missing.txt").read_text() == "video1\n"
