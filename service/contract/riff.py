"""Whether an AVI file has all of its bytes: one or more RIFF chunks one after the other (OpenDML 1.02)."""

import struct

from service.contract.byte_source import ByteSource
from service.contract.tracks import ContainerHeader

# What stands for the size of a file that was written to a pipe, or whose writing never ended.
_PLACEHOLDERS = (0, 0xFFFFFFFF)
_MAX_CHUNKS = 4096


def read(source: ByteSource) -> ContainerHeader | None:
    """Read whether the chunks reach beyond the file; None where it is no AVI."""
    if source.read(0, 4) != b"RIFF" or source.read(8, 3) != b"AVI":
        return None
    offset = 0
    for _ in range(_MAX_CHUNKS):
        head = source.read(offset, 8)
        if len(head) < 8 or head[:4] != b"RIFF":
            break
        (size,) = struct.unpack("<I", head[4:])
        if size in _PLACEHOLDERS:
            return ContainerHeader()
        # A chunk of odd size is followed by a byte that fills it up, except at the end of many files.
        offset += 8 + size
        if offset < source.num_bytes:
            offset += size % 2
    return ContainerHeader(is_cut_off=offset > source.num_bytes)
