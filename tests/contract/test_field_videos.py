"""Forms in which people send videos and no writer of ours makes them; each stands for a kind."""

import re
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from service.contract.containers import DecodeLimits, open_video
from service.contract.packets import read_packet_index
from service.contract.side_data import read_side_data
from tests.containers import (
    DISPLAY_HEIGHT,
    DISPLAY_WIDTH,
    PIXEL_CROP_LEFT,
    PIXEL_CROP_RIGHT,
    PIXEL_CROP_TOP,
    crop_matroska,
    crop_mp4,
    remux,
    turn_by_message,
    write_exif_timelapse,
    write_to_pipe,
)
from tests.contract.test_decode import decode, numbers
from tests.videos import Encoding, cut, draw_number, stored_frame, write_numbered_video, write_two_videos

SHORT_GROUPS = Encoding(options={"g": "10", "bf": "2"})


def test_side_data_of_unknown_types_refuses_nothing(tmp_path: Path) -> None:
    path = write_exif_timelapse(tmp_path / "timelapse.avi", num_frames=12)
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        assert isinstance(frame, av.VideoFrame)
        # The keys of PyAV's stubs are those of another class.
        assert [each.type.value for each in frame.side_data] == [31]  # type: ignore[attr-defined]
        assert read_side_data(frame, kind="DISPLAYMATRIX") is None
    assert numbers(decode(path)) == list(range(12))


def test_an_avi_with_empty_index_entries_keeps_its_times(tmp_path: Path) -> None:
    plain = write_numbered_video(tmp_path / "clip.mp4", num_frames=120, encoding=Encoding(options={"bf": "2"}))
    copied = decode(remux(plain, tmp_path / "copy.avi"))
    assert numbers(copied) == list(range(120))
    assert copied.info.duration_seconds == pytest.approx(4.8, abs=0.02)
    assert copied.time_seconds == pytest.approx(np.arange(120) / 25, abs=0.02)
    assert copied.degraded is None


@pytest.mark.parametrize(
    ("container_format", "codec"),
    [("avi", "libx264"), ("avi", "mpeg4"), ("matroska", "libx264"), ("webm", "libvpx"), ("flv", "libx264")],
)
def test_what_was_written_to_a_pipe_is_whole(tmp_path: Path, container_format: str, codec: str) -> None:
    encoding = Encoding(codec)
    path = write_to_pipe(tmp_path / "clip", num_frames=50, encoding=encoding, container_format=container_format)
    decoded = decode(path)
    assert numbers(decoded) == list(range(50))
    assert decoded.degraded is None


def forget_durations(path: Path) -> Path:
    """Rename the tags that tell how long each track is, as other writers do not write them."""
    path.write_bytes(path.read_bytes().replace(b"DURATION", b"DURATIOX"))
    return path


@pytest.mark.parametrize(
    ("name", "encoding", "reason"),
    [
        ("clip.mkv", SHORT_GROUPS, r"it ends at 1\.\d\d of 2\.40 seconds"),
        ("clip.webm", Encoding("libvpx"), r"it ends at 1\.\d\d of 2\.40 seconds"),
        ("clip.ogv", Encoding("libvpx"), r"its end is missing"),
        ("clip.gif", Encoding("gif", pixel_format="rgb8"), r"its end is missing"),
    ],
)
def test_a_file_cut_in_half_is_said_to_be(tmp_path: Path, name: str, encoding: Encoding, reason: str) -> None:
    path = forget_durations(write_numbered_video(tmp_path / name, num_frames=60, encoding=encoding))
    assert decode(path).degraded is None
    decoded = decode(cut(path, fraction=0.6))
    assert re.search(f"^the file is cut off: {reason}$", decoded.degraded or "")
    # What there is of the last picture of a GIF is drawn on the one before.
    assert numbers(decoded)[:-1] == list(range(decoded.info.num_frames - 1))


def test_an_flv_that_ends_between_two_packets_is_cut_off(tmp_path: Path) -> None:
    content = write_numbered_video(tmp_path / "clip.flv", num_frames=60, encoding=Encoding("flv")).read_bytes()
    assert decode(content).degraded is None
    # A tag is a head of 11 bytes with its length, a body, and the length of both; the first one tells of the file.
    end = 13
    for _ in range(31):
        end += 11 + int.from_bytes(content[end + 1 : end + 4], "big") + 4
    decoded = decode(content[:end])
    assert numbers(decoded) == list(range(30))
    assert decoded.degraded == "the file is cut off: it ends at 1.16 of 2.40 seconds"


@pytest.mark.parametrize("has_tags", [True, False])
def test_less_than_a_second_that_is_missing_is_said(tmp_path: Path, has_tags: bool) -> None:
    path = write_numbered_video(tmp_path / "clip.mkv", num_frames=20, encoding=Encoding(options={"g": "5", "bf": "0"}))
    decoded = decode(cut(path if has_tags else forget_durations(path), fraction=0.8))
    assert 10 < decoded.info.num_frames < 20
    assert re.fullmatch(r"the file is cut off: it ends at 0\.\d\d of 0\.80 seconds", decoded.degraded or "")


@pytest.mark.parametrize("name", ["clip.mkv", "clip.avi"])
def test_a_file_that_lacks_its_index_alone_is_whole(tmp_path: Path, name: str) -> None:
    path = write_numbered_video(tmp_path / name, num_frames=60, encoding=Encoding("mpeg4"))
    path.write_bytes(path.read_bytes()[:-12])
    decoded = decode(path)
    assert (decoded.info.num_frames, decoded.degraded) == (60, None)


def test_a_fragmented_file_that_ends_within_a_fragment_is_cut_off(tmp_path: Path) -> None:
    options = {"movflags": "frag_keyframe+empty_moov"}
    path = write_numbered_video(tmp_path / "clip.mp4", num_frames=60, encoding=SHORT_GROUPS, container_options=options)
    assert decode(path).degraded is None
    content = path.read_bytes()
    last = [found.start() for found in re.finditer(b"moof", content)][-1]
    # Within the head of the list of packets, within the list, and after it.
    for end in (last, last + 40, last + 70, content.index(b"mdat", last) - 2):
        decoded = decode(content[:end])
        assert numbers(decoded) == list(range(50))
        assert decoded.degraded is not None
        assert decoded.degraded.startswith("the file is cut off: ")


def test_a_fragmented_file_that_lacks_its_index_alone_is_whole(tmp_path: Path) -> None:
    options = {"movflags": "frag_keyframe+empty_moov"}
    path = write_numbered_video(tmp_path / "clip.mp4", num_frames=20, encoding=SHORT_GROUPS, container_options=options)
    decoded = decode(path.read_bytes()[:-6])
    assert (decoded.info.num_frames, decoded.degraded) == (20, None)


@pytest.mark.parametrize("num_frames", [20, 400])
def test_a_transport_stream_that_goes_on_with_another_stream_says_so(tmp_path: Path, num_frames: int) -> None:
    parts = [
        write_numbered_video(
            tmp_path / f"{pid}.ts",
            num_frames=num_frames,
            container_options={"mpegts_start_pid": str(pid), "mpegts_pmt_start_pid": str(pid + 4096)},
        ).read_bytes()
        for pid in (256, 512)
    ]
    assert decode(parts[0], [0]).degraded is None
    decoded = decode(b"".join(parts), [0, 5])
    assert decoded.info.num_frames == num_frames
    assert decoded.degraded is not None
    assert decoded.degraded.startswith("the transport stream goes on with another video stream (PID 512)")


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("num_stills", [1, 2])
def test_the_track_that_moves_comes_before_a_larger_still(tmp_path: Path, suffix: str, num_stills: int) -> None:
    path = tmp_path / f"motion.{suffix}"
    encodings = [Encoding(size=(64, 64)), Encoding(size=(256, 256), frame_rate=1)]
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("libx264", rate=each.frame_rate) for each in encodings]
        for stream, each in zip(streams, encodings, strict=True):
            stream.width, stream.height = each.size
        for stream, each, num_frames in zip(streams, encodings, (30, num_stills), strict=True):
            for number in range(num_frames):
                container.mux(stream.encode(stored_frame(number, each)))
            container.mux(stream.encode(None))
    assert numbers(decode(path)) == list(range(30))


def test_of_two_stills_the_larger_is_read(tmp_path: Path) -> None:
    path = write_two_videos(tmp_path / "two.mkv", num_frames=1, sizes=((64, 64), (96, 96)))
    assert decode(path).info.width == 96


@pytest.mark.parametrize("matrix", ["YCgCo", "bt2020c", "smpte2085", "chroma-derived-nc", "ICtCp"])
@pytest.mark.parametrize(("size", "taken"), [((96, 96), "BT.601"), ((1280, 720), "BT.709")])
def test_a_colour_matrix_that_is_not_converted_is_replaced_and_told(
    tmp_path: Path, matrix: str, size: tuple[int, int], taken: str
) -> None:
    encoding = Encoding(options={"x264-params": f"colormatrix={matrix}", "preset": "ultrafast"}, size=size)
    decoded = decode(write_numbered_video(tmp_path / "clip.mp4", num_frames=2, encoding=encoding))
    assert numbers(decoded) == [0, 1]
    (warning,) = decoded.info.warnings
    assert re.match(rf"the colour matrix is number \d+ of ITU-T H.273, .* read by {taken} and may be wrong", warning)
    assert decoded.degraded is None


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turn_that_the_first_frame_alone_carries_holds_for_the_clip(tmp_path: Path, degrees: int) -> None:
    size = (128, 64) if degrees == 180 else (64, 128)
    # Stored turned back, so that the player's turn brings it upright; without a matrix in the container.
    encoding = Encoding(options={"g": "8", "bf": "2"}, size=(128, 64), turn_degrees=degrees)
    stored = tmp_path / "stored.mp4"
    with av.open(str(stored), "w") as container:
        stream = container.add_stream("libx264", rate=25, options=encoding.options)
        stream.width, stream.height = size
        for number in range(40):
            container.mux(stream.encode(stored_frame(number, encoding)))
        container.mux(stream.encode(None))
    turned = decode(turn_by_message(stored, tmp_path / "turned.mp4", degrees=degrees))
    assert numbers(turned) == list(range(40))
    late = decode(tmp_path / "turned.mp4", [33, 38])
    assert numbers(late) == [33, 38]
    assert (late.info.width, late.info.height, late.info.rotation_degrees) == (128, 64, degrees)


@pytest.mark.parametrize("suffix", ["mp4", "ts"])
def test_packets_without_a_turn_are_not_decoded_for_one(tmp_path: Path, suffix: str) -> None:
    path = write_numbered_video(tmp_path / f"clip.{suffix}", num_frames=30, encoding=SHORT_GROUPS)
    with open_video(path, limits=DecodeLimits()) as video:
        assert read_packet_index(video, limits=DecodeLimits()).turns.tolist() == []


def shown(size: tuple[int, int], *, left: int, top: int, right: int, bottom: int) -> np.ndarray:
    picture = draw_number(5, size=size)
    return picture[top : size[1] - bottom, left : size[0] - right]


def test_pictures_are_cropped_as_matroska_says(tmp_path: Path) -> None:
    path = write_numbered_video(tmp_path / "clip.mkv", num_frames=8, encoding=Encoding(size=(128, 96)))
    settings = {PIXEL_CROP_LEFT: 20, PIXEL_CROP_TOP: 10, PIXEL_CROP_RIGHT: 40}
    cropped = decode(crop_matroska(path.read_bytes(), settings), [5])
    expected = shown((128, 96), left=20, top=10, right=40, bottom=0)
    assert cropped.frames[0].shape == expected.shape == (86, 68, 3)
    assert np.abs(cropped.frames[0].astype(int) - expected).mean() < 12
    assert (cropped.info.width, cropped.info.height) == (68, 86)


@pytest.mark.parametrize(("display", "shape"), [((108, 96), (96, 108, 3)), ((54, 96), (192, 108, 3))])
def test_the_size_that_matroska_shows_is_that_of_the_cropped_picture(
    tmp_path: Path, display: tuple[int, int], shape: tuple[int, int, int]
) -> None:
    path = write_numbered_video(tmp_path / "clip.mkv", num_frames=2, encoding=Encoding(size=(128, 96)))
    settings = {PIXEL_CROP_LEFT: 20, DISPLAY_WIDTH: display[0], DISPLAY_HEIGHT: display[1]}
    assert decode(crop_matroska(path.read_bytes(), settings)).frames[0].shape == shape


@pytest.mark.parametrize(("ratio", "width"), [(None, 64), (Fraction(2), 128)])
def test_pictures_are_cropped_as_mp4_says_and_keep_the_ratio_of_their_pixels(
    tmp_path: Path, ratio: Fraction | None, width: int
) -> None:
    encoding = Encoding(size=(128, 96), sample_aspect_ratio=ratio)
    content = write_numbered_video(tmp_path / "clip.mp4", num_frames=8, encoding=encoding).read_bytes()
    # The centre of the aperture lies 12 to the left of the picture's and 8 below it.
    aperture = {"width": Fraction(64), "height": Fraction(48), "across": Fraction(-12), "down": Fraction(8)}
    cropped = decode(crop_mp4(content, **aperture), [5])
    assert cropped.frames[0].shape == (48, width, 3)
    expected = shown((128, 96), left=20, top=32, right=44, bottom=16)
    assert np.abs(cropped.frames[0][:, :: width // 64].astype(int) - expected).mean() < 12


def test_a_crop_is_applied_before_the_turn(tmp_path: Path) -> None:
    encoding = Encoding(size=(96, 128), turn_degrees=90)
    content = write_numbered_video(tmp_path / "clip.mov", num_frames=2, encoding=encoding).read_bytes()
    aperture = {"width": Fraction(100), "height": Fraction(96), "across": Fraction(14), "down": Fraction(0)}
    assert decode(crop_mp4(content, **aperture), [0]).frames[0].shape == (100, 96, 3)


def test_a_crop_that_leaves_nothing_is_told_and_not_applied(tmp_path: Path) -> None:
    path = write_numbered_video(tmp_path / "clip.mp4", num_frames=2, encoding=Encoding(size=(64, 64)))
    aperture = {"width": Fraction(80), "height": Fraction(64), "across": Fraction(0), "down": Fraction(0)}
    decoded = decode(crop_mp4(path.read_bytes(), **aperture))
    assert numbers(decoded) == [0, 1]
    (warning,) = decoded.info.warnings
    assert warning.startswith("the container's crop does not fit its 64x64 pictures")
