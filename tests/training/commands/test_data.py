"""`duoact-train data` as a command: official files in, a data folder out, and a check that fails where it should."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.training.data.datasets.files import touch, write
from tests.videos import Encoding, write_numbered_video
from training.commands.menu import app


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["data", *map(str, arguments)], env={"COLUMNS": "300"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate(("Archery", "Bowling")):
        (tmp_path / "videos" / name).mkdir(parents=True)
        write_numbered_video(
            tmp_path / "videos" / name / "a.mp4", num_frames=3 + number, encoding=Encoding(size=(48, 32))
        )
    return tmp_path


def test_folders_are_imported_and_checked(folder: Path) -> None:
    result = call("import", "folders", "--videos", folder / "videos", "--split", "test")
    assert result.exit_code == 0, result.output
    assert "videos: test 2" in result.output
    assert "labels: 2, 2 of them with Chinese" in result.output
    checked = call("check", folder / "videos", "--decode", "all", "--workers", 1)
    assert checked.exit_code == 0, checked.output
    assert "decoded from first to last frame: 2 videos" in checked.output
    assert "sound" in checked.output


def test_check_fails_with_json_where_something_is_wrong(folder: Path) -> None:
    call("import", "folders", "--videos", folder / "videos")
    (folder / "videos/Archery/a.mp4").write_bytes(b"not a video")
    checked = call("check", folder / "videos", "--json", "--workers", 1)
    values = json.loads(checked.stdout)
    assert (checked.exit_code, values["sound"], values["problems"][0]["kind"]) == (1, False, "unreadable")
    assert "error, unreadable: Archery/a.mp4: " in call("check", folder / "videos", "--workers", 1).output


def test_long_lists_of_labels_are_cut(folder: Path) -> None:
    names = ["Archery", *(f"class {number}" for number in range(30))]
    labels = write(folder / "labels.txt", *names)
    (folder / "videos/Bowling/a.mp4").unlink()
    call("import", "folders", "--videos", folder / "videos", "--labels", labels)
    assert "and 11 more (--json shows all)" in call("check", folder / "videos", "--workers", 1).output


def test_many_problems_of_a_kind_are_cut(tmp_path: Path) -> None:
    videos = touch(tmp_path, *(f"{number}.mp4" for number in range(13)))
    rows = [f"{number}.mp4,kick,{split}" for number in range(13) for split in ("train", "test")]
    call("import", "csv", "--videos", videos, "--files", write(tmp_path / "a.csv", "video,label,split", *rows))
    result = call("check", tmp_path, "--decode", 0)
    assert (result.exit_code, result.output.count("error, leak: the same video")) == (1, 10)
    assert "error, leak: and 3 more (--json shows all)" in result.output


def test_lists_are_imported_elsewhere(folder: Path) -> None:
    labels = write(folder / "labels.txt", "Archery", "Bowling")
    lists = [write(folder / f"{name}.txt", f"{video}/a.mp4 {i}") for i, (name, video) in enumerate(
        (("train", "Archery"), ("val", "Bowling")))]  # fmt: skip
    result = call("import", "lists", "--videos", folder / "videos", "--labels", labels, "--list", f"train={lists[0]}",
                  "--list", f"val={lists[1]},{labels}", "--rename", "val=test", "--out", folder / "out")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert (folder / "out/annotations.csv").read_text() == (
        "video,label_id,split\nArchery/a.mp4,0,train\nBowling/a.mp4,1,test\n"
    )
    assert call("check", folder / "out", "--decode", 0).exit_code == 0


def test_missing_videos_are_told(folder: Path) -> None:
    table = write(folder / "a.csv", "video,label", "Archery/a.mp4,Archery", "gone.mp4,Bowling")
    arguments = ("import", "csv", "--videos", folder / "videos", "--files", table)
    assert "leave them out with --allow-missing" in call(*arguments).output
    assert "missing: 1, listed in" in call(*arguments, "--allow-missing").output


def test_captions_are_imported(tmp_path: Path) -> None:
    table = write(tmp_path / "captions_1ka.csv", "key,vid_key,video_id,sentence", "ret0,msr1,video2,a man sings")
    result = call("import", "msr_vtt", "--videos", touch(tmp_path, "video2.mp4"), "--files", table)
    assert f"1 captions of 1 videos: {tmp_path / 'captions.csv'}" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["import", "kinetics"], "data set is 'kinetics'; known are hmdb51, ucf101,"),
        (["import", "msr_vtt"], "msr_vtt needs --files, its JSON or its table of captions"),
        (["import", "lists", "--list", "val.txt"], "--list is 'val.txt'; write SPLIT=FILE,CLASSES, or SPLIT=FILE with"),
        (["import", "lists", "--list", "val=a.txt"], "--list is 'val=a.txt'; write SPLIT=FILE,CLASSES"),
        (["import", "folders", "--rename", "val"], "--rename is 'val'; write OLD=NEW, like val=test"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    result = call(*arguments, "--videos", tmp_path)
    assert (result.exit_code, message in result.output) == (1, True)


def test_number_of_videos_to_decode_must_be_one(tmp_path: Path) -> None:
    assert "--decode is 'some'; write a number from 0 on, or all" in call("check", tmp_path, "--decode", "some").output


def test_list_of_classes_is_checked(tmp_path: Path) -> None:
    sound = call("check", write(tmp_path / "classInd.txt", "1 run", "2 kick", end="\r\n"))
    assert (sound.exit_code, "note: lines end with CR LF" in sound.output) == (0, True)
    faulty = write(tmp_path / "labels.csv", "id,name", "0,run", "0,kick")
    assert "error: id 0 is given to 'run' and to 'kick'" in call("check", faulty).output
    values = json.loads(call("check", faulty, "--json").stdout)
    assert (values["num_labels"], values["problems"]) == (2, ["id 0 is given to 'run' and to 'kick'"])
