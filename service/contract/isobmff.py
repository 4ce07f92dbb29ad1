"""The video tracks of a file of boxes in boxes, such as MP4, MOV and 3GP (ISO/IEC 14496-12)."""

import struct
from collections.abc import Iterator

from service.contract.byte_source import ByteSource
from service.contract.pictures import Crop
from service.contract.tracks import ContainerHeader, VideoTrack

_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp")
_FRAGMENTED, _FRAGMENT, _INDEX_OF_FRAGMENTS = b"mvex", b"moof", b"mfra"
# Boxes of a file, and of one box, that are looked at; what comes after them is left out.
_MAX_BOXES, _MAX_BOXES_INSIDE = 4096, 256
_MAX_MOOV_BYTES = 16 * 1024 * 1024
# Fields of a sample description, and of a visual sample entry, before the boxes inside.
_STSD_FIELDS, _ENTRY_FIELDS = 8, 78
_HANDLER = slice(8, 12)
_ENTRY_SIZE = slice(24, 28)


def read(source: ByteSource) -> ContainerHeader | None:
    """Read the tracks, and whether the last fragment is whole where there are any; None where it is no such file."""
    if source.read(4, 4) not in _FIRST_BOXES:
        return None
    tracks: tuple[VideoTrack, ...] = ()
    kinds: set[bytes] = set()
    offset = 0
    for _ in range(_MAX_BOXES):
        kind, start, size = _read_head(source.read(offset, 16), 0)
        kinds.add(kind)
        if kind == b"moov" and 0 < size <= _MAX_MOOV_BYTES:
            moov = source.read(offset + start, size - start)
            tracks = tuple(_read_tracks(moov))
            if _FRAGMENTED not in dict(_boxes(moov)):
                # All packets are listed here; what is missing of them, FFmpeg tells.
                return ContainerHeader(video_tracks=tracks)
        if not size:
            break
        if offset + size > source.num_bytes and kind == _FRAGMENT:
            # FFmpeg gives up the whole file for a list of packets that is not whole.
            return ContainerHeader(is_cut_off=True, video_tracks=tracks, num_usable_bytes=offset)
        offset += size
        if offset + 8 > source.num_bytes:
            is_cut_off = offset != source.num_bytes and kind != _INDEX_OF_FRAGMENTS
            # Pictures, HEIC and AVIF, are items of a list; a film has tracks, and perhaps such a list too.
            is_picture = not is_cut_off and b"meta" in kinds and b"moov" not in kinds
            return ContainerHeader(is_cut_off, video_tracks=tracks, is_picture=is_picture)
    return ContainerHeader(video_tracks=tracks)


def _read_head(content: bytes, offset: int) -> tuple[bytes, int, int]:
    """Read a box's kind, the size of its head, and its whole size, 0 for one that reaches to the end.

    Raises:
        struct.error: the content ends.
        ValueError: a size below that of the head.
    """
    size, kind = struct.unpack_from(">I4s", content, offset)
    head = 8
    if size == 1:
        (size,) = struct.unpack_from(">Q", content, offset + 8)
        head = 16
    if size and size < head:
        raise ValueError(f"box {kind!r} of {size} bytes")
    return kind, head, size


def _boxes(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    offset = 0
    for _ in range(_MAX_BOXES_INSIDE):
        if offset + 8 > len(body):
            return
        kind, head, size = _read_head(body, offset)
        end = offset + size if size else len(body)
        yield kind, body[offset + head : end]
        offset = end


def _read_tracks(moov: bytes) -> Iterator[VideoTrack]:
    for kind, track in _boxes(moov):
        media = dict(_boxes(dict(_boxes(track)).get(b"mdia", b""))) if kind == b"trak" else {}
        if media.get(b"hdlr", b"")[_HANDLER] == b"vide":
            tables = dict(_boxes(dict(_boxes(media.get(b"minf", b""))).get(b"stbl", b"")))
            yield _read_entry(tables.get(b"stsd", b"")[_STSD_FIELDS:])


def _read_entry(entries: bytes) -> VideoTrack:
    """Read the first sample entry of a video track."""
    for kind, entry in _boxes(entries):
        inside = dict(_boxes(entry[_ENTRY_FIELDS:]))
        crop = Crop()
        if len(inside.get(b"clap", b"")) >= 32:
            width, height = struct.unpack(">HH", entry[_ENTRY_SIZE])
            crop = _read_clean_aperture(inside[b"clap"], width=width, height=height)
        return VideoTrack(crop, is_encrypted=kind == b"encv" or b"sinf" in inside)
    return VideoTrack()


def _read_clean_aperture(clap: bytes, *, width: int, height: int) -> Crop:
    """Read the shown part of a picture, given by its size and the signed distance of its centre (12.1.4)."""
    numbers = struct.unpack(">IIIIiIiI", clap[:32])
    if not all(numbers[1::2]):
        raise ValueError("a clean aperture of fractions over 0")
    shown_width, shown_height, across, down = (numbers[at] / numbers[at + 1] for at in range(0, len(numbers), 2))
    left = round((width - shown_width) / 2 + across)
    top = round((height - shown_height) / 2 + down)
    return Crop(left, top, width - left - round(shown_width), height - top - round(shown_height))
