"""What the bytes of a container say that FFmpeg does not hand over: its end, encryption, and edges that are not shown.

One reader for each layout of bytes: ``matroska``, ``isobmff`` (MP4, MOV, 3GP), ``riff`` (AVI), ``flv``, ``mpegts`` and
``endings`` (Ogg, GIF). They believe nothing: what makes no sense is left out, and how much they read is bounded.
"""

import struct

from service.contract import endings, flv, isobmff, matroska, mpegts, riff
from service.contract.byte_source import ByteSource, SeekableBytes
from service.contract.tracks import ContainerHeader

_READERS = (matroska.read, isobmff.read, riff.read, flv.read, mpegts.read, endings.read)


def read_header(file: SeekableBytes) -> ContainerHeader:
    """Read what a container's own bytes say, whichever it is; nothing of one that is damaged or not known."""
    source = ByteSource(file)
    for read in _READERS:
        try:
            header = read(source)
        except (struct.error, ValueError, IndexError):
            continue
        if header is not None:
            return header
    return ContainerHeader()
