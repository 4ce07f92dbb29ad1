"""Small text files, read whatever ends their lines, and written whole."""

from pathlib import Path

import pytest

from training.errors import DataError
from training.files.texts import read_lines, read_records, read_rows, read_text, write_rows, write_text


@pytest.mark.parametrize("content", [b"a\nb c\n", b"a\r\nb c\r\n", b"\xef\xbb\xbfa\nb c"])
def test_lines_have_no_ends(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    assert read_lines(tmp_path / "a.txt") == ["a", "b c"]


def test_rows_are_those_with_cells(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('id, name\n\n0,"a, b"\n,\n')
    assert read_rows(tmp_path / "a.csv") == [["id", "name"], ["0", "a, b"]]
    assert read_records(tmp_path / "a.csv") == [{"id": "0", "name": "a, b"}]


def test_text_in_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("手".encode("gb18030"))
    with pytest.raises(DataError, match=r"a.txt is not UTF-8 text but looks like GBK; save it as UTF-8"):
        read_text(tmp_path / "a.txt")


def test_a_missing_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a.txt cannot be read: No such file"):
        read_text(tmp_path / "a.txt")


@pytest.mark.parametrize("name", ["x\x85y.mp4", "\u2028x.mp4", "a\u2029.mp4", "a\x0b\x1cb.mp4"])
def test_rows_keep_names_with_separators_of_lines(tmp_path: Path, name: str) -> None:
    write_rows(tmp_path / "a.csv", rows=[("video", "label"), (name, "0")])
    assert read_rows(tmp_path / "a.csv") == [["video", "label"], [name, "0"]]


def test_files_are_written_whole(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", text="手\n")
    write_rows(tmp_path / "a.csv", rows=[("id", "name"), ("0", "a, b")])
    assert (tmp_path / "a.txt").read_bytes() == "手\n".encode()
    assert (tmp_path / "a.csv").read_bytes() == b'id,name\n0,"a, b"\n'
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.txt"]
