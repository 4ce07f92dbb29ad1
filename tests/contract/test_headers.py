import io
import struct
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contract.headers import read_header
from service.contract.pictures import Crop
from service.contract.tracks import ContainerHeader, VideoTrack
from tests.videos import Encoding, write_numbered_video, write_two_videos

NOTHING = ContainerHeader()


def element(identifier: int, *bodies: bytes, size: int | None = None) -> bytes:
    """An EBML element; its size is written in eight bytes."""
    body = b"".join(bodies)
    name = identifier.to_bytes((identifier.bit_length() + 7) // 8, "big")
    return name + (len(body) if size is None else size).to_bytes(8, "big").replace(b"\0", b"\1", 1) + body


def number(identifier: int, value: int) -> bytes:
    return element(identifier, value.to_bytes(2, "big"))


def matroska(*children: bytes, size: int | None = None) -> bytes:
    return element(0x1A45DFA3) + element(0x18538067, *children, size=size)


def box(kind: bytes, *bodies: bytes) -> bytes:
    body = b"".join(bodies)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def mp4(entry: bytes, *, handler: bytes = b"vide") -> bytes:
    stsd = box(b"stsd", bytes(8), entry)
    media = box(b"mdia", box(b"hdlr", bytes(8) + handler), box(b"minf", box(b"stbl", stsd)))
    return box(b"ftyp", b"isom") + box(b"moov", box(b"trak", media))


def visual(kind: bytes, *inside: bytes) -> bytes:
    return box(kind, bytes(24) + struct.pack(">HH", 128, 96) + bytes(50), *inside)


# 64 x 48, its centre 12 to the left of the picture's and 8 below it.
CLEAN_APERTURE = box(b"clap", struct.pack(">8i", 64, 1, 48, 1, -12, 1, 8, 1))
STARTS = (b"", b"\x1a\x45\xdf\xa3", b"\0\0\0\x08ftyp", b"RIFF\0\0\0\x01AVI ", b"FLVonMetaData", b"\x47" * 600)


def read(content: bytes) -> ContainerHeader:
    return read_header(io.BytesIO(content))


def test_matroska_tells_duration_crop_and_encryption() -> None:
    info = element(0x1549A966, element(0x2AD7B1, (500_000).to_bytes(3, "big")), element(0x4489, struct.pack(">d", 5e3)))
    crop = element(0xE0, number(0x54CC, 1), number(0x54BB, 2), number(0x54DD, 3), number(0x54AA, 4))
    encrypted = element(0x6D80, element(0x6240, element(0x5035)))
    compressed = element(0x6D80, element(0x6240, element(0x5034)))
    tracks = element(
        0x1654AE6B,
        element(0xAE, number(0x83, 1), crop),
        element(0xAE, number(0x83, 2), encrypted),
        element(0xAE, number(0x83, 1), encrypted),
        element(0xAE, number(0x83, 1), compressed),
    )
    assert read(matroska(info, tracks, element(0x1F43B675))) == ContainerHeader(
        is_cut_off=False,
        duration_seconds=2.5,
        video_tracks=(VideoTrack(Crop(1, 2, 3, 4)), VideoTrack(is_encrypted=True), VideoTrack()),
    )


@pytest.mark.parametrize(("size", "is_cut_off"), [(None, False), (10**6, True), (2**56 - 1, None)])
def test_a_segment_tells_whether_it_has_its_end(size: int | None, is_cut_off: bool | None) -> None:
    assert read(matroska(element(0x1549A966), size=size)).is_cut_off is is_cut_off


@pytest.mark.parametrize(
    ("content", "track"),
    [
        (mp4(visual(b"avc1")), VideoTrack()),
        (mp4(visual(b"encv", box(b"sinf"))), VideoTrack(is_encrypted=True)),
        (mp4(visual(b"avc1", box(b"sinf"))), VideoTrack(is_encrypted=True)),
        (mp4(visual(b"avc1", CLEAN_APERTURE)), VideoTrack(Crop(20, 32, 44, 16))),
    ],
)
def test_mp4_tells_crop_and_encryption(content: bytes, track: VideoTrack) -> None:
    assert read(content).video_tracks == (track,)
    assert read(content.replace(b"vide", b"soun")).video_tracks == ()


@pytest.mark.parametrize(
    "content",
    [
        box(b"ftyp", b"isom") + struct.pack(">I4s", 7, b"free"),
        box(b"ftyp", b"isom") + struct.pack(">I4s", 0, b"mdat"),
        mp4(b""),
        mp4(visual(b"avc1")).replace(b"trak", b"free"),
    ],
)
def test_mp4_without_a_sound_list_of_tracks_tells_of_none(content: bytes) -> None:
    assert all(track == VideoTrack() for track in read(content).video_tracks)


def test_a_box_may_have_a_long_size() -> None:
    long = struct.pack(">I4sQ", 1, b"mdat", 16 + 100) + bytes(100)
    content = mp4(visual(b"encv"))
    assert read(content[:12] + long + content[12:]).video_tracks == (VideoTrack(is_encrypted=True),)


def test_an_aperture_over_zero_is_nonsense() -> None:
    assert read(mp4(visual(b"avc1", box(b"clap", struct.pack(">8i", 64, 0, 48, 1, 0, 1, 0, 1))))) == NOTHING


@pytest.mark.parametrize(
    ("content", "is_cut_off"),
    [
        (b"RIFF" + struct.pack("<I", 4) + b"AVI ", False),
        (b"RIFF" + struct.pack("<I", 4) + b"AVI " + b"RIFF" + struct.pack("<I", 99) + b"AVIX", True),
        (b"RIFF" + struct.pack("<I", 5) + b"AVI 1", False),
        (b"RIFF" + struct.pack("<I", 999) + b"AVI ", True),
        (b"RIFF" + struct.pack("<I", 0) + b"AVI ", None),
        (b"RIFF" + struct.pack("<I", 0xFFFFFFFF) + b"AVI ", None),
    ],
)
def test_riff_chunks_tell_whether_they_have_their_end(content: bytes, is_cut_off: bool | None) -> None:
    assert read(content).is_cut_off is is_cut_off


def test_flv_tells_what_it_should_be(tmp_path: Path) -> None:
    content = write_numbered_video(tmp_path / "clip.flv", num_frames=25, encoding=Encoding("flv")).read_bytes()
    assert read(content) == ContainerHeader(is_cut_off=False, duration_seconds=1.0)
    assert read(content[:-1]).is_cut_off
    assert read(content.replace(b"filesize", b"filesizf")).is_cut_off is None


@pytest.mark.parametrize("stride", [188, 192, 204])
def test_a_transport_stream_tells_its_last_video_streams(tmp_path: Path, stride: int) -> None:
    path = write_two_videos(tmp_path / "two.ts", num_frames=3, sizes=((64, 64), (64, 64)))
    plain = path.read_bytes()
    before = bytes(4) if stride == 192 else b""
    after = bytes(16) if stride == 204 else b""
    packets = (plain[at : at + 188] for at in range(0, len(plain), 188))
    content = b"".join(before + packet + after for packet in packets)
    assert read(content).last_video_pids == {256, 257}


def program_map(program: int, *pids: int) -> bytes:
    streams = b"".join(struct.pack(">BHH", 0x1B, 0xE000 | pid, 0xF000) for pid in pids)
    length = 9 + len(streams) + 4
    section = struct.pack(">BHHBBBHH", 2, 0xB000 | length, program, 0xC1, 0, 0, 0xE100, 0xF000) + streams + bytes(4)
    return (b"\x47\x50\x00\x10\x00" + section).ljust(188, b"\xff")


@pytest.mark.parametrize(
    ("maps", "expected"),
    [
        ([(1, 256), (1, 256)], {256}),
        ([(1, 256), (1, 512)], {512}),
        ([(1, 256), (2, 512)], {256, 512}),
        ([(1, 256), (2, 512), (1, 257), (2, 512, 513)], {257, 512, 513}),
        ([(1,), (1,)], set()),
    ],
)
def test_of_each_program_the_last_map_counts(maps: list[tuple[int, ...]], expected: set[int]) -> None:
    content = b"".join(program_map(*each) for each in maps) + b"\x47".ljust(188, b"\xff") * 2
    assert read(content).last_video_pids == expected


@pytest.mark.parametrize(("name", "codec"), [("clip.ogv", "libvpx"), ("clip.gif", "gif")])
def test_ogg_and_gif_mark_their_end(tmp_path: Path, name: str, codec: str) -> None:
    encoding = Encoding(codec, pixel_format="rgb8" if codec == "gif" else "yuv420p")
    content = write_numbered_video(tmp_path / name, num_frames=9, encoding=encoding).read_bytes()
    assert read(content).is_cut_off is False
    assert read(content[:-3]).is_cut_off is True


@pytest.mark.parametrize("start", [*STARTS, b"OggS", b"GIF89a"])
@given(rest=st.binary(max_size=300))
def test_no_bytes_make_reading_fail(start: bytes, rest: bytes) -> None:
    assert isinstance(read(start + rest), ContainerHeader)


@pytest.mark.parametrize(
    "content",
    [
        matroska(element(0x1654AE6B, b"\xec\x80" * 500_000)),
        box(b"ftyp", b"isom") + box(b"moov", struct.pack(">I4s", 8, b"trak") * 1_000_000),
        box(b"ftyp", b"isom") + struct.pack(">I4s", 8, b"free") * 1_000_000,
        (b"RIFF" + struct.pack("<I", 4) + b"AVI ") * 1_000_000,
    ],
    ids=["matroska", "boxes in a box", "boxes", "riff"],
)
def test_what_is_read_is_bounded(content: bytes) -> None:
    started_at = time.process_time()
    read(content)
    assert time.process_time() - started_at < 0.5
