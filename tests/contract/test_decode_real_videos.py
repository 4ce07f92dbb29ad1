"""Real clips that lie beside some checkouts; skipped where they do not."""

import csv
from pathlib import Path

import av
import numpy as np
import pytest

from service.contract.decode import DecodedFrames, decode_frames
from service.contract.errors import UndecodableVideoError, UnsupportedVideoError
from service.contract.pictures import Geometry, Orientation, read_orientation, read_picture
from tests.material import VIDEOS

pytestmark = pytest.mark.material

# These two hold more than one truth: damaged in the middle; several video streams.
EXCEPTIONS = ("edge/decord_corrupted.mp4", "edge/torchcodec_nasa_13013.mp4")


def read_manifest() -> list[dict[str, str]]:
    if not (VIDEOS / "manifest.csv").is_file():
        return []
    with (VIDEOS / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


ROWS = [row for row in read_manifest() if row["file"] not in EXCEPTIONS]
SOUND = [row for row in ROWS if row["frames_decoded"]]
OTHERS = [row["file"] for row in ROWS if not row["frames_decoded"]]


def decode_centres(path: Path) -> DecodedFrames:
    return decode_frames(path, select=lambda num_frames: (2 * np.arange(8) + 1) * num_frames // 16, transform=np.copy)


@pytest.mark.parametrize("row", SOUND, ids=lambda row: row["file"])
def test_a_real_video_gives_the_frames_that_decoding_from_the_start_gives(row: dict[str, str]) -> None:
    decoded = decode_centres(VIDEOS / row["file"])
    assert decoded.info.num_frames == int(row["frames_decoded"])
    assert decoded.degraded is None
    wanted, expected = decoded.indices.tolist(), {}
    with av.open(str(VIDEOS / row["file"])) as container:
        stream = container.streams.video[0]
        for index, frame in enumerate(container.decode(stream)):
            if index in wanted:
                orientation = read_orientation(frame) or Orientation()
                geometry = Geometry(stream.sample_aspect_ratio, orientation=orientation)
                expected[index] = read_picture(frame, geometry=geometry, max_pixels=10**8)
    np.testing.assert_array_equal(decoded.frames, np.stack([expected[index] for index in wanted]))


@pytest.mark.parametrize("row", SOUND, ids=lambda row: row["file"])
def test_a_real_video_is_described_as_its_manifest_says(row: dict[str, str]) -> None:
    info = decode_centres(VIDEOS / row["file"]).info
    assert info.codec == row["codec"]
    assert info.rotation_degrees == -int(row["rotation"]) % 360
    if row["fps"]:  # a container may promise up to two frames, or the sound, more than it holds
        assert info.duration_seconds == pytest.approx(float(row["duration_s"]), abs=0.4)


@pytest.mark.parametrize("name", OTHERS)
def test_a_real_file_without_pictures_is_refused(name: str) -> None:
    with pytest.raises((UnsupportedVideoError, UndecodableVideoError)):
        decode_centres(VIDEOS / name)


def test_a_real_damaged_video_yields_its_whole_frames() -> None:
    decoded = decode_centres(VIDEOS / EXCEPTIONS[0])
    assert decoded.info.num_frames == 29
    assert decoded.degraded == "packets that do not decode: 1; damaged frames: 1"


def test_of_a_real_file_with_two_videos_the_larger_is_read() -> None:
    info = decode_centres(VIDEOS / EXCEPTIONS[1]).info
    assert (info.width, info.height, info.num_frames) == (480, 270, 390)
