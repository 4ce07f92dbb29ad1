import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.contract.containers import SeekableBytes
from service.contract.views import ViewPlan
from service.decoding.held_file import HeldFile
from tests.service.decoding.rules import RULES
from tests.videos import write_numbered_video

CONTENT = bytes(range(10))


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "file").write_bytes(CONTENT)
    opened = os.open(tmp_path / "file", os.O_RDONLY)
    yield opened
    os.close(opened)


def test_it_reads_as_other_files_do(descriptor: int) -> None:
    file = HeldFile(descriptor)
    assert isinstance(file, SeekableBytes)
    assert (file.read(3), file.tell()) == (CONTENT[:3], 3)
    assert (file.seek(2, os.SEEK_CUR), file.read(2)) == (5, CONTENT[5:7])
    assert (file.seek(-1, os.SEEK_END), file.read()) == (9, CONTENT[9:])
    assert (file.read(5), file.read()) == (b"", b"")
    assert (file.seek(20), file.read(), file.tell()) == (20, b"", 20)
    assert (file.seek(0), file.read()) == (0, CONTENT)


def test_nothing_lies_before_the_start(descriptor: int) -> None:
    with pytest.raises(ValueError, match="offset -1 lies before the start of the file; give 0 or more"):
        HeldFile(descriptor).seek(-1)


def test_two_holders_of_one_descriptor_do_not_disturb_each_other(descriptor: int) -> None:
    first, second = HeldFile(descriptor), HeldFile(descriptor)
    assert [first.read(2), second.read(3), first.read(2)] == [CONTENT[:2], CONTENT[:3], CONTENT[2:4]]


def test_a_held_video_is_read_as_one_with_a_path(tmp_path: Path) -> None:
    path = write_numbered_video(tmp_path / "clip.mp4", num_frames=20)
    with path.open("rb") as file:
        path.unlink()
        held = RULES.read(HeldFile(file.fileno()), plan=ViewPlan())
        file.seek(0)
        read = RULES.read(file, plan=ViewPlan())
    assert held.views.tobytes() == read.views.tobytes()
