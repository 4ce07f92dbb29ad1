"""Files that appear whole or not at all."""

from pathlib import Path

import pytest

from service.contract.files import write_whole


def test_file_takes_its_name_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_text("old")
    with write_whole(path) as unfinished:
        unfinished.write_text("new")
        assert (path.read_text(), unfinished.suffix) == ("old", ".npy")
    assert ([each.name for each in tmp_path.iterdir()], path.read_text()) == (["a.npy"], "new")


def fail_half_way(path: Path) -> None:
    with write_whole(path) as unfinished:
        unfinished.write_text("half")
        raise ValueError("half way")


def test_file_that_could_not_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(ValueError, match="half way"):
        fail_half_way(tmp_path / "a.txt")
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {"a.txt": "old"}


def test_rest_of_a_writer_that_was_killed_is_written_over(tmp_path: Path) -> None:
    (tmp_path / ".partial.a.txt").write_text("a longer rest")
    with write_whole(tmp_path / "a.txt") as unfinished:
        unfinished.write_text("new")
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {"a.txt": "new"}
