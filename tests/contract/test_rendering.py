"""Rendered videos: right colours, whole files, clear refusals. That no CPU writes other bytes is tested elsewhere."""

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from jaxtyping import UInt8

from service.contract.rendering import convert_to_yuv420p, write_h264


def plain(*rgb: int, height: int = 4, width: int = 6) -> UInt8[np.ndarray, "H W 3"]:
    return np.full((height, width, 3), rgb, dtype=np.uint8)


# Of ITU-R BT.601, limited range: the primaries, black, white and grey.
@pytest.mark.parametrize(
    ("rgb", "expected"),
    [
        ((0, 0, 0), (16, 128, 128)),
        ((255, 255, 255), (235, 128, 128)),
        ((128, 128, 128), (126, 128, 128)),
        ((255, 0, 0), (81, 90, 240)),
        ((0, 255, 0), (145, 54, 34)),
        ((0, 0, 255), (41, 240, 110)),
    ],
)
def test_colours_are_those_of_the_standard(rgb: tuple[int, int, int], expected: tuple[int, int, int]) -> None:
    planes = convert_to_yuv420p(plain(*rgb))
    assert planes.shape == (6, 6)
    luma, blue, red = np.split(planes.reshape(-1), [24, 30])
    assert (set(luma), set(blue), set(red)) == ({expected[0]}, {expected[1]}, {expected[2]})


def test_colour_is_the_mean_of_two_by_two_pixels() -> None:
    picture = plain(0, 0, 255, height=2, width=2)
    picture[0, 0] = 0
    luma, colour = np.split(convert_to_yuv420p(picture).reshape(-1), [4])
    np.testing.assert_array_equal(luma, [16, 41, 41, 41])
    np.testing.assert_array_equal(colour, [212, 114])


@pytest.mark.parametrize(("height", "width"), [(4, 5), (3, 4)])
def test_odd_size_is_refused_and_leaves_no_file(tmp_path: Path, height: int, width: int) -> None:
    with pytest.raises(ValueError, match=rf"picture of {width}x{height} cannot be H.264; give an even width"):
        write_h264(tmp_path / "a.mp4", [plain(0, 0, 0, height=height, width=width)], frame_rate=25)
    assert list(tmp_path.iterdir()) == []


def test_video_without_frames_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.mp4 would have no frame; give at least one"):
        write_h264(tmp_path / "a.mp4", [], frame_rate=25)
    assert list(tmp_path.iterdir()) == []


def test_frames_come_back_in_their_order_and_rate(tmp_path: Path) -> None:
    levels = [0, 60, 120, 180, 240]
    frames = (plain(level, level, level, height=34, width=48) for level in levels)
    write_h264(tmp_path / "a.mp4", frames, frame_rate=12, options={"crf": "4"})
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, str(stream.average_rate), stream.codec.name) == (48, 34, "12", "h264")
        found = [frame.to_ndarray(format="rgb24").mean() for frame in container.decode(stream)]
    np.testing.assert_allclose(found, levels, atol=2)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_video_that_fails_half_way_has_no_name(tmp_path: Path) -> None:
    def frames() -> Iterator[UInt8[np.ndarray, "H W 3"]]:
        yield plain(0, 0, 0, height=32, width=32)
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        write_h264(tmp_path / "a.mp4", frames(), frame_rate=25)
    assert not (tmp_path / "a.mp4").exists()
