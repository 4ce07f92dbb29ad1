import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import Int64, UInt8

from service.contract.decode import DecodedFrames, DecodeLimits, VideoInfo, VideoSource, decode_frames
from service.contract.errors import UndecodableVideoError, UnsupportedVideoError, VideoTooLargeError
from tests.videos import Encoding, cut, read_number, write_audio, write_numbered_video, write_two_videos

NUM_FRAMES = 60
CHOSEN = [0, 59, 30, 3, 3, 41, 14]
FORMATS = {
    "h264-long-gop-b-frames.mp4": Encoding(options={"bf": "3", "g": "250"}),
    "h264-many-keyframes.mp4": Encoding(options={"bf": "2", "g": "8"}),
    "h264-open-gop.mkv": Encoding(options={"x264-params": "bframes=3:open-gop=1:keyint=12:min-keyint=4"}),
    "h264-intra-refresh.mp4": Encoding(options={"x264-params": "intra-refresh=1:keyint=20"}),
    "h264-interlaced.ts": Encoding(options={"x264-params": "interlaced=1"}),
    "h264.flv": Encoding(options={"bf": "3"}),
    "h264-10-bit.mp4": Encoding(pixel_format="yuv420p10le"),
    "h264-444-odd.mp4": Encoding(pixel_format="yuv444p", size=(97, 63)),
    "h264-without-presentation-times.avi": Encoding(options={"bf": "3"}),
    "hevc.mp4": Encoding("libx265", {"x265-params": "log-level=none:keyint=20"}),
    "hevc-10-bit.mkv": Encoding("libx265", {"x265-params": "log-level=none"}, "yuv420p10le"),
    "vp8-hidden-frames.webm": Encoding("libvpx", {"auto-alt-ref": "1", "lag-in-frames": "16", "b:v": "500k"}),
    "vp9-hidden-frames.webm": Encoding("libvpx-vp9", {"cpu-used": "5", "lag-in-frames": "16", "b:v": "500k"}),
    "av1.mp4": Encoding("libsvtav1", {"preset": "12", "svtav1-params": "keyint=20"}),
    "mpeg4-b-frames.avi": Encoding("mpeg4", {"bf": "2", "qscale": "3"}),
    "mpeg4.mp4": Encoding("mpeg4", {"bf": "2"}),
    "mpeg2.ts": Encoding("mpeg2video", {"bf": "2"}),
    "mpeg1.mpg": Encoding("mpeg1video"),
    "mjpeg-odd.avi": Encoding("mjpeg", pixel_format="yuvj420p", size=(97, 63)),
    "prores.mov": Encoding("prores_ks", pixel_format="yuv422p10le"),
    "flv1.flv": Encoding("flv"),
    "h263.3gp": Encoding("h263", size=(352, 288)),
    "vp8.ogv": Encoding("libvpx"),
    "gif.gif": Encoding("gif", pixel_format="rgb8"),
}


def choose(indices: list[int]) -> Callable[[int], Int64[np.ndarray, " N"]]:
    return lambda num_frames: np.minimum(np.array(indices, dtype=np.int64), num_frames - 1)


def decode(source: VideoSource, indices: list[int] | None = None, limits: DecodeLimits | None = None) -> DecodedFrames:
    select = choose(indices) if indices else np.arange
    return decode_frames(source, select=select, transform=np.copy, limits=limits)


def numbers(decoded: DecodedFrames) -> list[int]:
    return [read_number(frame) for frame in decoded.frames]


@pytest.mark.parametrize("name", FORMATS)
def test_the_frames_asked_for_come_out_of_every_format(tmp_path: Path, name: str) -> None:
    path = write_numbered_video(tmp_path / name, num_frames=NUM_FRAMES, encoding=FORMATS[name])
    chosen, everything = decode(path, CHOSEN), decode(path)
    assert numbers(chosen) == CHOSEN == chosen.indices.tolist()
    assert numbers(everything) == list(range(NUM_FRAMES))
    assert chosen.time_seconds == pytest.approx(np.array(CHOSEN) / 25, abs=1e-3)
    assert chosen.info.num_frames == NUM_FRAMES
    assert chosen.info.duration_seconds == pytest.approx(2.4)
    assert chosen.degraded is None


@pytest.mark.parametrize("name", FORMATS)
def test_a_frame_has_the_same_pixels_alone_and_among_all_others(tmp_path: Path, name: str) -> None:
    path = write_numbered_video(tmp_path / name, num_frames=NUM_FRAMES, encoding=FORMATS[name])
    np.testing.assert_array_equal(decode(path, [41]).frames[0], decode(path).frames[41])


def test_the_video_is_described(tmp_path: Path) -> None:
    encoding = Encoding("libsvtav1", {"preset": "12"}, size=(128, 64), frame_rate=50)
    path = write_numbered_video(tmp_path / "clip.mkv", num_frames=10, encoding=encoding)
    expected = VideoInfo(
        duration_seconds=0.2, num_frames=10, width=128, height=64, codec="av1", frame_rate=50.0, rotation_degrees=0
    )
    info = decode(path, [0]).info
    assert (
        replace(info, duration_seconds=round(info.duration_seconds, 6), frame_rate=round(info.frame_rate, 6))
        == expected
    )


def test_frames_of_a_variable_rate_have_their_own_times(tmp_path: Path) -> None:
    times_ms = [0, 40, 50, 400, 410, 1000]
    path = write_numbered_video(tmp_path / "vfr.mp4", num_frames=6, times_ms=times_ms)
    decoded = decode(path)
    assert numbers(decoded) == [0, 1, 2, 3, 4, 5]
    assert decoded.time_seconds.tolist() == pytest.approx([0, 0.04, 0.05, 0.4, 0.41, 1.0])
    assert decoded.info.duration_seconds == pytest.approx(1.04)


@pytest.mark.parametrize("turn_degrees", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_turned_and_mirrored_videos_come_out_upright(tmp_path: Path, turn_degrees: int, mirrored: bool) -> None:
    encoding = Encoding(size=(128, 64), turn_degrees=turn_degrees, mirrored=mirrored)
    decoded = decode(write_numbered_video(tmp_path / "clip.mov", num_frames=4, encoding=encoding))
    assert numbers(decoded) == [0, 1, 2, 3]
    assert decoded.frames.shape == (4, 64, 128, 3)
    assert decoded.info.rotation_degrees == (-turn_degrees % 360 if mirrored else turn_degrees)


@pytest.mark.parametrize(
    ("ratio", "turn_degrees", "expected"),
    [
        (Fraction(4, 3), 0, (128, 96)),
        (Fraction(3, 4), 0, (96, 128)),
        (Fraction(64, 51), 0, (120, 96)),
        (Fraction(4, 3), 90, (96, 128)),
    ],
)
def test_pixels_become_square(tmp_path: Path, ratio: Fraction, turn_degrees: int, expected: tuple[int, int]) -> None:
    encoding = Encoding(size=(96, 96), sample_aspect_ratio=ratio, turn_degrees=turn_degrees)
    decoded = decode(write_numbered_video(tmp_path / "clip.mp4", num_frames=3, encoding=encoding))
    assert numbers(decoded) == [0, 1, 2]
    assert (decoded.info.width, decoded.info.height) == expected
    assert decoded.frames.shape == (3, expected[1], expected[0], 3)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "gif", "ts"])
def test_one_frame_is_a_video(tmp_path: Path, suffix: str) -> None:
    encoding = Encoding("gif", pixel_format="rgb8") if suffix == "gif" else Encoding()
    decoded = decode(write_numbered_video(tmp_path / f"one.{suffix}", num_frames=1, encoding=encoding))
    assert numbers(decoded) == [0]
    assert decoded.time_seconds.tolist() == [0.0]
    assert decoded.info.duration_seconds == pytest.approx(0.04, abs=0.07)


def test_among_several_video_streams_the_largest_is_read(tmp_path: Path) -> None:
    path = write_two_videos(tmp_path / "two.mkv", num_frames=10, sizes=((64, 64), (96, 96)))
    assert numbers(decode(path)) == list(range(1000, 1010))


def test_the_stream_marked_as_default_comes_before_a_larger_one(tmp_path: Path) -> None:
    path = write_two_videos(tmp_path / "two.mkv", num_frames=10, sizes=((64, 64), (96, 96)), default=0)
    assert numbers(decode(path)) == list(range(10))


def test_times_that_start_again_give_way_to_the_frame_rate(tmp_path: Path) -> None:
    path = write_numbered_video(tmp_path / "clip.ts", num_frames=9)
    decoded = decode(path.read_bytes() * 2)
    assert numbers(decoded) == [*range(9), *range(9)]
    assert decoded.time_seconds == pytest.approx(np.arange(18) / 25)


def test_a_stream_that_first_appears_midway_changes_nothing(tmp_path: Path) -> None:
    pictures = write_numbered_video(tmp_path / "clip.ts", num_frames=200)
    sound = write_audio(tmp_path / "sound.ts")
    decoded = decode(pictures.read_bytes() + sound.read_bytes())
    assert numbers(decoded)[:190] == list(range(190))


def test_paths_bytes_and_open_files_give_the_same(tmp_path: Path) -> None:
    path = write_numbered_video(tmp_path / "clip.mp4", num_frames=10)
    with path.open("rb") as file:
        decoded = [decode(path), decode(path.read_bytes()), decode(file)]
    assert [numbers(one) for one in decoded] == [list(range(10))] * 3


@pytest.mark.parametrize("name", ["h264-long-gop-b-frames.mp4", "mpeg4-b-frames.avi"])
def test_each_distinct_frame_is_transformed_once(tmp_path: Path, name: str) -> None:
    path = write_numbered_video(tmp_path / name, num_frames=NUM_FRAMES, encoding=FORMATS[name])
    seen: list[int] = []

    def transform(frame: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "1"]:
        seen.append(read_number(frame))
        return np.array([seen[-1]], np.uint8)

    decoded = decode_frames(path, select=choose([7, 3, 7, 7]), transform=transform)
    assert sorted(seen) == [3, 7]
    assert decoded.frames.tolist() == [[7], [3], [7], [7]]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("h264-many-keyframes.mp4", r"the file is (damaged or cut off after \d+ frames|cut off: \d+ of 60 frames)"),
        ("h264-open-gop.mkv", r"the file is cut off: it ends at \d\.\d\d of 2\.40 seconds"),
        ("vp9-hidden-frames.webm", r"the file is cut off: it ends at \d\.\d\d of 2\.40 seconds"),
        ("mpeg4-b-frames.avi", r"the file is (damaged or cut off after \d+ frames|cut off: \d+ of 60 frames)"),
    ],
)
def test_of_a_file_that_is_cut_off_the_frames_that_decode_are_counted(tmp_path: Path, name: str, reason: str) -> None:
    path = tmp_path / name
    options = {"movflags": "faststart"} if path.suffix == ".mp4" else {}
    write_numbered_video(path, num_frames=NUM_FRAMES, encoding=FORMATS[name], container_options=options)
    decoded = decode(cut(path, fraction=0.55))
    assert 5 < decoded.info.num_frames < NUM_FRAMES
    assert numbers(decoded) == list(range(decoded.info.num_frames))
    assert decoded.degraded is not None
    assert re.match(reason, decoded.degraded)


def test_of_a_file_with_damaged_bytes_only_whole_frames_are_counted(tmp_path: Path) -> None:
    encoding = Encoding(options={"g": "8"})
    path = write_numbered_video(tmp_path / "clip.mp4", num_frames=NUM_FRAMES, encoding=encoding)
    content = bytearray(path.read_bytes())
    start = content.index(b"mdat") + 2000
    content[start : start + 600] = bytes(600)
    decoded = decode(bytes(content))
    assert 8 < decoded.info.num_frames < NUM_FRAMES
    assert len(set(numbers(decoded))) == decoded.info.num_frames
    assert decoded.degraded is not None
    assert "packets that do not decode" in decoded.degraded or "damaged frames" in decoded.degraded


def test_a_table_with_an_absurd_packet_size_ends_the_video_there(tmp_path: Path) -> None:
    content = bytearray(write_numbered_video(tmp_path / "clip.mp4", num_frames=30).read_bytes())
    size = content.index(b"stsz") + 16 + 4 * 20
    content[size : size + 4] = (2**29).to_bytes(4, "big")
    decoded = decode(bytes(content))
    assert 0 < decoded.info.num_frames <= 20
    assert decoded.degraded is not None
    assert decoded.degraded.startswith("the container is damaged after 20 frames (Cannot allocate memory)")


@pytest.mark.parametrize("codec", ["libx264", "mjpeg"])
def test_a_file_that_is_replaced_while_it_is_read_is_read_anew(tmp_path: Path, codec: str) -> None:
    encodings = {
        name: Encoding(name, pixel_format="yuvj420p", size=(512, 512), num_threads=4) for name in ("mjpeg", codec)
    }
    path = write_numbered_video(tmp_path / "clip.mkv", num_frames=60, encoding=encodings["mjpeg"])
    other = write_numbered_video(tmp_path / "other.mkv", num_frames=40, encoding=encodings[codec])

    def select_and_replace(num_frames: int) -> Int64[np.ndarray, " N"]:
        path.write_bytes(other.read_bytes())
        return np.arange(num_frames)

    assert numbers(decode_frames(path, select=select_and_replace, transform=np.copy)) == list(range(40))


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"

    def select_and_rewrite(num_frames: int) -> Int64[np.ndarray, " N"]:
        write_numbered_video(path, num_frames=num_frames - 2, encoding=Encoding("mpeg4"))
        return np.arange(num_frames)

    write_numbered_video(path, num_frames=12, encoding=Encoding("mpeg4"))
    with pytest.raises(UndecodableVideoError, match="the file changes while it is read"):
        decode_frames(path, select=select_and_rewrite, transform=np.copy)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty; send a video"),
        (b"x", "no container is recognised, or its header is damaged"),
        (b"just text " * 100, "no container is recognised, or its header is damaged"),
        (b"<html></html>" * 10, "but an HTML page; send the video itself"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "but a PNG picture; send the video, not a picture"),
        (b"PK\x03\x04" + bytes(100), "but a ZIP archive; unpack it and send the video inside"),
        (b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nm=video 5004 RTP/AVP 96\n", "the bytes are not a readable video"),
        (b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00", "not a readable video .*; accepted containers: mov, mp4"),
    ],
)
def test_bytes_that_are_no_accepted_container_are_refused(content: bytes, reason: str) -> None:
    with pytest.raises(UnsupportedVideoError, match=reason):
        decode(content)


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile clip.mp4\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nclip.mp4\n#EXT-X-ENDLIST\n",
        '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period/></MPD>',
    ],
)
@pytest.mark.parametrize("suffix", ["", ".m3u8", ".mp4"])
def test_a_playlist_does_not_open_its_neighbours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, suffix: str
) -> None:
    write_numbered_video(tmp_path / "clip.mp4", num_frames=5)
    monkeypatch.chdir(tmp_path)
    playlist = tmp_path / f"list{suffix}"
    playlist.write_text(text)
    with pytest.raises(UnsupportedVideoError, match="the bytes are not a readable video"):
        decode(playlist)


def test_a_codec_that_is_not_accepted_is_named(tmp_path: Path) -> None:
    path = write_numbered_video(tmp_path / "clip.mkv", num_frames=2, encoding=Encoding("ffv1"))
    with pytest.raises(UnsupportedVideoError, match="the video codec is ffv1; accepted codecs: h264, hevc"):
        decode(path)


def test_sound_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UndecodableVideoError, match=r"no video stream \(its streams: audio\)"):
        decode(write_audio(tmp_path / "sound.m4a"))


def test_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(UndecodableVideoError, match=r"no video stream \(its streams: audio, cover picture\)"):
        decode(write_audio(tmp_path / "album.mp4", cover=True))


def test_a_container_without_frames_is_refused(tmp_path: Path) -> None:
    path = write_numbered_video(tmp_path / "clip.flv", num_frames=0)
    with pytest.raises(UndecodableVideoError, match=r"the video stream \(h264\) holds no frames; send a video"):
        decode(path)


def test_a_video_without_one_whole_frame_is_refused(tmp_path: Path) -> None:
    path = write_numbered_video(tmp_path / "clip.mp4", num_frames=60, container_options={"movflags": "faststart"})
    with pytest.raises(
        UndecodableVideoError, match=r"h264 stream do not decode \(the file is damaged or cut off after 0"
    ):
        decode(cut(path, fraction=0.4))


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (DecodeLimits(max_duration_seconds=1.5), "the video lasts 2.4 seconds; at most 1.5 are accepted"),
        (DecodeLimits(max_frames=59), "the video has more than 59 frames"),
        (DecodeLimits(max_decoded_frames=50), "60 frames must be decoded to reach the chosen ones; at most 50"),
    ],
)
@pytest.mark.parametrize("name", ["h264-long-gop-b-frames.mp4", "mpeg4-b-frames.avi"])
def test_a_video_beyond_a_limit_is_refused(tmp_path: Path, name: str, limits: DecodeLimits, reason: str) -> None:
    path = write_numbered_video(tmp_path / name, num_frames=NUM_FRAMES, encoding=FORMATS[name])
    with pytest.raises(VideoTooLargeError, match=reason):
        decode(path, [0, 59], limits)


@pytest.mark.parametrize(
    ("name", "error", "reason"),
    [
        (
            "h264.ts",
            VideoTooLargeError,
            "the picture has 96x96 = 9216 pixels; at most 9120 are accepted; send a smaller",
        ),
        # The decoder refuses before it tells the size.
        ("mpeg4.avi", UndecodableVideoError, "packets that do not decode: 60.; send .* of at most 9120 pixels a frame"),
    ],
)
def test_a_picture_beyond_the_limit_is_refused(tmp_path: Path, name: str, error: type[Exception], reason: str) -> None:
    encoding = Encoding("mpeg4") if name == "mpeg4.avi" else Encoding()
    path = write_numbered_video(tmp_path / name, num_frames=NUM_FRAMES, encoding=encoding)
    with pytest.raises(error, match=reason):
        decode(path, limits=DecodeLimits(max_pixels=96 * 95))


def test_a_header_that_ends_too_early_is_refused(tmp_path: Path) -> None:
    path = write_numbered_video(tmp_path / "clip.mp4", num_frames=9, encoding=Encoding(options={"bf": "2"}))
    content = bytearray(path.read_bytes())
    count = content.index(b"ctts") + 8
    content[count : count + 4] = (2**28 - 1).to_bytes(4, "big")
    with pytest.raises(UnsupportedVideoError, match="they end inside the header"):
        decode(bytes(content))


def test_frames_that_need_not_be_decoded_do_not_count_against_the_limit(tmp_path: Path) -> None:
    path = write_numbered_video(tmp_path / "clip.mp4", num_frames=60, encoding=FORMATS["h264-many-keyframes.mp4"])
    assert numbers(decode(path, [0, 59], DecodeLimits(max_decoded_frames=20))) == [0, 59]


def test_pixels_are_counted_as_displayed(tmp_path: Path) -> None:
    encoding = Encoding(sample_aspect_ratio=Fraction(20, 1))
    path = write_numbered_video(tmp_path / "clip.mp4", num_frames=2, encoding=encoding)
    with pytest.raises(VideoTooLargeError, match="a frame is displayed at 1920x96 = 184320 pixels; at most 100000"):
        decode(path, limits=DecodeLimits(max_pixels=10**5))


def test_a_strip_is_refused(tmp_path: Path) -> None:
    encoding = Encoding(sample_aspect_ratio=Fraction(40, 1))
    path = write_numbered_video(tmp_path / "clip.mp4", num_frames=2, encoding=encoding)
    with pytest.raises(VideoTooLargeError, match="a frame is displayed at 3840x96; one side may be at most 32 times"):
        decode(path)


def test_a_picture_that_grows_midway_is_not_decoded(tmp_path: Path) -> None:
    sizes = ((64, 64), (512, 512))
    parts = [
        write_numbered_video(tmp_path / f"{size[0]}.ts", num_frames=9, encoding=Encoding(size=size)) for size in sizes
    ]
    decoded = decode(b"".join(part.read_bytes() for part in parts), limits=DecodeLimits(max_pixels=64 * 64 * 4))
    assert numbers(decoded) == list(range(9))
    assert decoded.degraded is not None


@pytest.mark.parametrize("size", [(4096, 4096), (8000, 8000)])
@pytest.mark.parametrize("suffix", ["avi", "mov"])
def test_one_huge_picture_is_refused_before_it_is_allocated(tmp_path: Path, size: tuple[int, int], suffix: str) -> None:
    encoding = Encoding("mjpeg", pixel_format="yuvj420p", size=size)
    path = write_numbered_video(tmp_path / f"bomb.{suffix}", num_frames=1, encoding=encoding)
    with pytest.raises((VideoTooLargeError, UndecodableVideoError), match="pixels"):
        decode(path)


def test_more_streams_than_allowed_are_refused(tmp_path: Path) -> None:
    path = write_two_videos(tmp_path / "two.mp4", num_frames=3, sizes=((64, 64), (64, 64)))
    with pytest.raises(UndecodableVideoError, match="or hold more than 1 streams; send a plain video file"):
        decode(path, limits=DecodeLimits(max_streams=1))


def test_a_table_that_claims_millions_of_entries_is_refused(tmp_path: Path) -> None:
    content = bytearray(write_numbered_video(tmp_path / "clip.mp4", num_frames=9).read_bytes())
    count = content.index(b"stts") + 8
    content[count : count + 4] = (2**28 - 1).to_bytes(4, "big")
    with pytest.raises(UndecodableVideoError, match="the container's tables need more memory than allowed"):
        decode(bytes(content))


def test_a_transform_that_runs_out_of_memory_makes_the_video_undecodable(tmp_path: Path) -> None:
    def exhaust(frame: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H W 3"]:
        raise MemoryError(f"{frame.shape}")

    path = write_numbered_video(tmp_path / "clip.mp4", num_frames=2)
    with pytest.raises(
        UndecodableVideoError, match=r"decoding ends with MemoryError \(\(96, 96, 3\)\); send an undamaged or"
    ):
        decode_frames(path, select=np.arange, transform=exhaust)
