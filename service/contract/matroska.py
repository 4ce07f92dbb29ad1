"""The header of a Matroska or WebM file (RFC 9559): EBML elements of an identifier, a size and a body (RFC 8794)."""

import struct
from collections.abc import Iterator

from service.contract.byte_source import ByteSource
from service.contract.pictures import Crop
from service.contract.tracks import ContainerHeader, VideoTrack

_EBML, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
_INFO, _TIMESTAMP_SCALE, _DURATION = 0x1549A966, 0x2AD7B1, 0x4489
_TRACKS, _TRACK_ENTRY, _TRACK_TYPE, _VIDEO = 0x1654AE6B, 0xAE, 0x83, 0xE0
_CROP_LEFT, _CROP_TOP, _CROP_RIGHT, _CROP_BOTTOM = 0x54CC, 0x54BB, 0x54DD, 0x54AA
_CONTENT_ENCODINGS, _CONTENT_ENCODING, _CONTENT_ENCRYPTION = 0x6D80, 0x6240, 0x5035
_VIDEO_TRACK = 1
# Nanoseconds; the default of TimestampScale.
_MILLISECOND = 1_000_000
# Bodies that are read: far more than tracks and their codecs' settings take.
_MAX_BODY_BYTES = 1024 * 1024
# Elements that one is looked at for; what comes after them is left out.
_MAX_ELEMENTS = 256
_HEAD_BYTES = 12


def read(source: ByteSource) -> ContainerHeader | None:
    """Read the header; None where it is not Matroska."""
    if source.read(0, 4) != _EBML.to_bytes(4, "big"):
        return None
    is_cut_off: bool | None = None
    duration_seconds: float | None = None
    tracks: tuple[VideoTrack, ...] = ()
    offset = 0
    for _ in range(_MAX_ELEMENTS):
        identifier, start, size = _read_head(source.read(offset, _HEAD_BYTES), 0)
        if identifier == _CLUSTER:
            break
        if identifier == _SEGMENT:
            is_cut_off = None if size is None else offset + start + size > source.num_bytes
            offset += start
            continue
        if identifier in (_INFO, _TRACKS) and size is not None:
            body = source.read(offset + start, min(size, _MAX_BODY_BYTES))
            if identifier == _INFO:
                duration_seconds = _read_duration(body)
            else:
                tracks = tuple(_read_tracks(body))
        if size is None or offset + start + size >= source.num_bytes:
            break
        offset += start + size
    return ContainerHeader(is_cut_off, duration_seconds, tracks)


def _read_head(content: bytes, offset: int) -> tuple[int, int, int | None]:
    """Read an element's identifier, where its body starts, and the body's size, None where that is not known.

    Raises:
        IndexError: the content ends.
    """
    id_length = _length(content[offset])
    identifier = int.from_bytes(content[offset : offset + id_length], "big")
    at = offset + id_length
    length = _length(content[at])
    value = int.from_bytes(content[at : at + length], "big") & ((1 << 7 * length) - 1)
    return identifier, at + length, None if value == (1 << 7 * length) - 1 else value


def _length(first: int) -> int:
    """Length of a variable-size integer by the leading zeros of its first byte."""
    if not first:
        raise ValueError("no integer of at most eight bytes starts with 0")
    return 9 - first.bit_length()


def _elements(body: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    for _ in range(_MAX_ELEMENTS):
        if offset >= len(body):
            return
        identifier, start, size = _read_head(body, offset)
        offset = len(body) if size is None else start + size
        yield identifier, body[start:offset]


def _read_duration(info: bytes) -> float | None:
    values = dict(_elements(info))
    duration = values.get(_DURATION, b"")
    if len(duration) not in (4, 8):
        return None
    scale = int.from_bytes(values[_TIMESTAMP_SCALE], "big") if _TIMESTAMP_SCALE in values else _MILLISECOND
    (count,) = struct.unpack(">f" if len(duration) == 4 else ">d", duration)
    return float(count * scale / 1e9)


def _read_tracks(body: bytes) -> Iterator[VideoTrack]:
    for identifier, entry in _elements(body):
        values = dict(_elements(entry)) if identifier == _TRACK_ENTRY else {}
        if int.from_bytes(values.get(_TRACK_TYPE, b""), "big") == _VIDEO_TRACK:
            encodings = list(_elements(values.get(_CONTENT_ENCODINGS, b"")))
            yield VideoTrack(
                crop=_read_crop(values.get(_VIDEO, b"")),
                is_encrypted=any(
                    kind == _CONTENT_ENCODING and _CONTENT_ENCRYPTION in dict(_elements(encoding))
                    for kind, encoding in encodings
                ),
            )


def _read_crop(video: bytes) -> Crop:
    values = dict(_elements(video))
    left, top, right, bottom = (
        int.from_bytes(values.get(edge, b""), "big") for edge in (_CROP_LEFT, _CROP_TOP, _CROP_RIGHT, _CROP_BOTTOM)
    )
    return Crop(left, top, right, bottom)
