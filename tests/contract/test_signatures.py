from pathlib import Path

import pytest

from service.contract.errors import UndecodableVideoError, UnsupportedVideoError
from service.contract.signatures import name_content
from tests.contract.test_decode import decode
from tests.videos import Encoding, write_numbered_video

FTYP = b"\0\0\0\x18ftyp"


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (FTYP + b"heic", "a HEIC picture; send the video, not a picture"),
        (FTYP + b"mif1", "a HEIC picture"),
        (FTYP + b"avif", "an AVIF picture"),
        (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "a WebP picture"),
        (b"II*\0", "a TIFF or raw picture"),
        (b"\xff\xd8\xff\xe1", "a JPEG picture; send the video, not a picture; of a motion photo, its video part"),
        (b"BM\x36\0\0\0\0\0\0\0", "a BMP picture"),
        (b"ID3\x04", "an MP3 file; it holds sound alone; send a video"),
        (b"fLaC", "a FLAC file"),
        (b"PK\x03\x04", "a ZIP archive; unpack it and send the video inside"),
        (b"%PDF-1.7", "a PDF document"),
        (b"#EXTM3U\n", "an HLS playlist, which holds no video itself; send the video that it leads to"),
        (b'<?xml version="1.0"?>\n<MPD>', "a DASH manifest"),
        (b"\x06\x0e\x2b\x34", "an MXF file; convert it, as `ffmpeg -i FILE video.mp4` does"),
        (b"YUV4MPEG2 W2", r"raw pictures (YUV4MPEG2)"),
    ],
)
def test_what_is_no_video_is_named_with_what_to_do(head: bytes, words: str) -> None:
    named = name_content(head + bytes(64))
    assert named is not None
    assert named.startswith(f"the bytes are not a readable video but {words}")


@pytest.mark.parametrize("head", [b"", b"x", b"diary", bytes(64), FTYP + b"isom", b"RIFF\0\0\0\0AVI "])
def test_what_is_not_known_is_not_named(head: bytes) -> None:
    assert name_content(head) is None


@pytest.mark.parametrize(
    ("name", "codec", "words"),
    [
        ("raw.h264", "libx264", "a raw H.264 stream; it has no container"),
        ("raw.hevc", "libx265", "a raw HEVC stream; it has no container"),
        ("vp9.ivf", "libvpx-vp9", "an IVF file of raw VP8, VP9 or AV1; it has no container"),
        ("raw.obu", "libsvtav1", "a raw AV1 stream; it has no container"),
        ("raw.m2v", "mpeg2video", "a raw MPEG-1 or MPEG-2 video stream; it has no container"),
    ],
)
def test_a_raw_stream_is_named_with_the_command_that_gives_it_a_container(
    tmp_path: Path, name: str, codec: str, words: str
) -> None:
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    path = write_numbered_video(tmp_path / name, num_frames=3, encoding=Encoding(codec, options))
    with pytest.raises(UnsupportedVideoError, match=words):
        decode(path)


def test_a_picture_in_a_container_of_videos_is_named(tmp_path: Path) -> None:
    path = write_numbered_video(tmp_path / "still.avif", num_frames=1, encoding=Encoding("libsvtav1"))
    with pytest.raises(UnsupportedVideoError, match="but an AVIF picture; send the video, not a picture"):
        decode(path)
    unnamed = path.read_bytes().replace(b"ftypavif", b"ftypxxxx")
    with pytest.raises(UnsupportedVideoError, match="the file holds a picture; send a video"):
        decode(unnamed)


def test_an_animated_picture_is_a_video(tmp_path: Path) -> None:
    path = write_numbered_video(tmp_path / "moving.avif", num_frames=9, encoding=Encoding("libsvtav1"))
    assert decode(path).info.num_frames == 9


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_asf_is_read_where_its_codec_is_accepted(tmp_path: Path, codec: str) -> None:
    path = write_numbered_video(tmp_path / "clip.wmv", num_frames=9, encoding=Encoding(codec))
    assert decode(path).info.num_frames == 9


@pytest.mark.parametrize(("codec", "name"), [("wmv2", "wmv2"), ("msmpeg4", "msmpeg4v3")])
def test_a_codec_of_asf_that_is_not_accepted_is_named(tmp_path: Path, codec: str, name: str) -> None:
    path = write_numbered_video(tmp_path / "clip.wmv", num_frames=3, encoding=Encoding(codec))
    with pytest.raises(UnsupportedVideoError, match=f"the video codec is {name}; accepted codecs: h264"):
        decode(path)


def test_an_encrypted_video_is_called_so(tmp_path: Path) -> None:
    options = {
        "encryption_scheme": "cenc-aes-ctr",
        "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb",
        "encryption_kid": "a7e61c373e219033c21091fa607bf3b8",
    }
    path = write_numbered_video(tmp_path / "clip.mp4", num_frames=3, container_options=options)
    with pytest.raises(
        UndecodableVideoError, match=r"the h264 stream is encrypted .*; send a video without protection"
    ):
        decode(path)
