"""Inputs from the field that lie beside some checkouts: each has the right answer."""

from pathlib import Path

import numpy as np
import pytest

from service.contract.decode import DecodedFrames, decode_frames
from service.contract.errors import LabelError, UndecodableVideoError
from service.contract.labels import read_label_table
from tests.material import VIDEOS

pytestmark = pytest.mark.material

FIELD = VIDEOS / "field"
# A clip of 48 frames in two seconds, and what became of it.
REFERENCE = "avi_stream_copy_h264_bframes/M1_ref.mp4"
WHOLE = (
    "mjpeg_exif_timelapse/M1_timelapse_exif.avi",
    "avi_stream_copy_h264_bframes/M1_copy.avi",
    "avi_written_to_pipe/M1_pipe_h264.avi",
    "pixel_motion_photo_two_tracks/two_tracks_still_larger.mp4",
    "unsupported_colour_matrix/tagged_ycgco.mp4",
    "h264_display_orientation_sei/turned_by_sei.mp4",
)


def decode(path: Path) -> DecodedFrames:
    return decode_frames(path, select=lambda num_frames: (2 * np.arange(8) + 1) * num_frames // 16, transform=np.copy)


@pytest.mark.parametrize("name", WHOLE)
def test_a_clip_keeps_its_frames_and_times(name: str) -> None:
    decoded = decode(FIELD / name)
    assert decoded.info.num_frames == 48
    assert decoded.time_seconds == pytest.approx(0.125 + np.arange(8) * 0.25, abs=1e-3)
    assert decoded.info.duration_seconds == pytest.approx(2.0)
    assert decoded.frames.shape == (8, 240, 320, 3)
    assert decoded.degraded is None


@pytest.mark.parametrize("name", WHOLE[:5])
def test_a_clip_keeps_its_pictures(name: str) -> None:
    expected = decode(FIELD / REFERENCE).frames.astype(int)
    assert np.abs(decode(FIELD / name).frames - expected).mean() < 4


@pytest.mark.parametrize("name", ["heart_growing", "star_moving_up", "triangle_turning_clockwise"])
def test_high_dynamic_range_is_brought_down(name: str) -> None:
    decoded = decode(FIELD / "hdr_pq_not_tone_mapped" / f"{name}_pq.mp4")
    assert decoded.info.tone_mapped_from == "pq"


def test_high_dynamic_range_looks_like_its_twin_of_standard_range() -> None:
    folder = FIELD / "hdr_pq_not_tone_mapped"
    bright, plain = (decode(folder / f"heart_growing_{kind}.mp4").frames.astype(int) for kind in ("pq", "sdr"))
    assert np.abs(bright - plain).mean() < 3


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("mkv_cut_off_without_duration_tag/half_long_mm.mkv", "the file is cut off: it ends at 4.87 of 10.00 seconds"),
        ("ts_pid_change/M1_hls_disc.ts", "the transport stream goes on with another video stream (PID 512)"),
    ],
)
def test_what_is_missing_is_said(name: str, reason: str) -> None:
    degraded = decode(FIELD / name).degraded
    assert degraded is not None
    assert degraded.startswith(reason)


def test_an_encrypted_video_is_called_so() -> None:
    with pytest.raises(UndecodableVideoError, match="the h264 stream is encrypted"):
        decode(FIELD / "encrypted_mp4_message" / "encrypted_cenc.mp4")


def test_a_table_of_windows_is_named_with_its_encoding() -> None:
    with pytest.raises(LabelError, match=r"is not UTF-8 text but looks like GBK"):
        read_label_table(FIELD / "labels_csv_gbk" / "labels.csv")
