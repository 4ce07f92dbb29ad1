"""Whether an H.264 or HEVC packet carries a display orientation message, which holds for all frames after it.

The message is supplemental enhancement information of payload type 47 (ITU-T H.264, D.1.27; H.265, D.2.18). FFmpeg
decodes it; who decodes from a keyframe in the middle must know which packet to decode for it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from av.video.stream import VideoStream

_ORIENTATION = 47
_START_CODE = b"\0\0\1"
# Units of a packet and bytes of a unit that are looked at: more than settings and messages before a picture take.
_MAX_UNITS, _MAX_UNIT_BYTES = 64, 16 * 1024
# NAL unit types of such messages, and those below which pictures are.
_H264_SEI, _HEVC_SEI = 6, 39
_H264_PICTURES, _HEVC_PICTURES = range(1, 6), range(32)


@dataclass(frozen=True)
class OrientationMessages:
    """How to find the messages in a stream's packets.

    ``num_length_bytes`` come before each NAL unit (ISO/IEC 14496-15); 0 where start codes part them (Annex B).
    """

    is_hevc: bool
    num_length_bytes: int

    @classmethod
    def of(cls, stream: VideoStream) -> "OrientationMessages | None":
        """Look at a stream's settings; None for codecs without such messages."""
        codec = stream.codec_context.codec.canonical_name
        if codec not in ("h264", "hevc"):
            return None
        at = 21 if codec == "hevc" else 4
        settings = stream.codec_context.extradata or b""
        has_lengths = len(settings) > at and settings[0] == 1
        return cls(codec == "hevc", (settings[at] & 3) + 1 if has_lengths else 0)

    def are_in(self, packet: memoryview) -> bool:
        """Whether a message comes before the packet's picture."""
        sei, pictures = (_HEVC_SEI, _HEVC_PICTURES) if self.is_hevc else (_H264_SEI, _H264_PICTURES)
        for unit in islice(self._units(packet), _MAX_UNITS):
            kind = unit[0] >> 1 & 0x3F if self.is_hevc else unit[0] & 0x1F
            if kind in pictures:
                return False
            if kind == sei and _ORIENTATION in _payload_types(unit[2 if self.is_hevc else 1 : _MAX_UNIT_BYTES]):
                return True
        return False

    def _units(self, packet: memoryview) -> Iterator[memoryview]:
        return _split_by_length(packet, self.num_length_bytes) if self.num_length_bytes else _split_by_code(packet)


def _split_by_length(packet: memoryview, num_length_bytes: int) -> Iterator[memoryview]:
    offset = num_length_bytes
    while offset < len(packet):
        size = int.from_bytes(packet[offset - num_length_bytes : offset], "big")
        if not size:
            return
        yield packet[offset : offset + size]
        offset += size + num_length_bytes


def _split_by_code(packet: memoryview) -> Iterator[memoryview]:
    content = bytes(packet)
    start = content.find(_START_CODE) + 3
    while 3 <= start < len(content):
        end = content.find(_START_CODE, start)
        yield packet[start : end if end >= 0 else len(content)]
        start = end + 3


def _payload_types(messages: memoryview) -> Iterator[int]:
    """Yield the types of a unit's messages; each has a type and a size, of bytes 255 and a last one (7.3.2.3.1)."""
    offset = 0
    while offset + 2 < len(messages):
        numbers = []
        for _ in range(2):
            number = 0
            while offset < len(messages) and messages[offset] == 0xFF:
                number, offset = number + 0xFF, offset + 1
            number += messages[offset] if offset < len(messages) else 0
            numbers.append(number)
            offset += 1
        yield numbers[0]
        offset += numbers[1]
