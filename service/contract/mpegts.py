"""The video streams that an MPEG transport stream ends with (ISO/IEC 13818-1): those of its last program map.

FFmpeg learns of streams as they come, and its reader's list of them is made at the start.
"""

import numpy as np

from service.contract.byte_source import ByteSource
from service.contract.tracks import ContainerHeader

_SYNC = 0x47
# Packets alone; behind a time code, as cameras and Blu-ray discs store them; with error correction.
_LAYOUTS = ((188, 0), (192, 4), (204, 0))
_PACKET_BYTES = 188
_TAIL_BYTES = 2 * 1024 * 1024
_PROGRAM_MAP = 0x02
# MPEG-1, MPEG-2, MPEG-4 part 2, H.264 and H.265; table 2-34.
_VIDEO_TYPES = (0x01, 0x02, 0x10, 0x1B, 0x24)
_FIXED_FIELDS, _CHECKSUM = 12, 4


def read(source: ByteSource) -> ContainerHeader | None:
    """Read the last program map; None where it is no transport stream."""
    head = source.read(0, 4 * 204)
    for stride, offset in _LAYOUTS:
        if len(head) > offset + 2 * stride and all(head[offset + i * stride] == _SYNC for i in range(3)):
            return ContainerHeader(last_video_pids=_read_pids(source, stride, offset))
    return None


def _read_pids(source: ByteSource, stride: int, offset: int) -> frozenset[int]:
    num_packets = source.num_bytes // stride
    first = max(0, num_packets - _TAIL_BYTES // stride)
    tail = source.read(first * stride, (num_packets - first) * stride)
    packets = np.frombuffer(tail, np.uint8)[: len(tail) // stride * stride].reshape(-1, stride)
    packets = packets[:, offset : offset + _PACKET_BYTES]
    starts = packets[(packets[:, 0] == _SYNC) & (packets[:, 1] & 0x40 > 0)]
    # A broadcast carries several programs; of each, the last map counts.
    maps = dict(filter(None, (_read_program_map(packet.tobytes()) for packet in starts)))
    return frozenset().union(*maps.values())


def _read_program_map(packet: bytes) -> tuple[int, frozenset[int]] | None:
    """Read a program's number and its video streams from a packet in which a section starts; None if it is no map."""
    has_adaptation, has_payload = packet[3] & 0x20, packet[3] & 0x10
    at = 5 + packet[4] if has_adaptation else 4
    if not has_payload or at >= len(packet):
        return None
    section = packet[at + 1 + packet[at] :]
    if len(section) < _FIXED_FIELDS or section[0] != _PROGRAM_MAP:
        return None
    end = min(3 + ((section[1] & 0x0F) << 8 | section[2]) - _CHECKSUM, len(section) - 4)
    at = _FIXED_FIELDS + ((section[10] & 0x0F) << 8 | section[11])
    pids = set()
    while at < end:
        if section[at] in _VIDEO_TYPES:
            pids.add((section[at + 1] & 0x1F) << 8 | section[at + 2])
        at += 5 + ((section[at + 3] & 0x0F) << 8 | section[at + 4])
    return section[3] << 8 | section[4], frozenset(pids)
