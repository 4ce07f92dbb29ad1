"""The packets that cross between the gateway and its decoding workers: a fixed header, and text of bounded length.

Their socket keeps packets apart, so that half a packet is a wrong one and nothing is ever waited for. Arrays travel
beside them (``room``), videos as open descriptors. Nothing here is unpickled or evaluated, in either direction.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

MAX_TEXT_BYTES = 64 * 1024
_MAGIC = b"DUOA"
_VERSION = 1
# Magic, version, kind, nothing, bytes of text, bytes of arrays, ticket.
_HEADER = struct.Struct("<4sBBHIQQ")
MAX_FRAME_BYTES = _HEADER.size + MAX_TEXT_BYTES


class FrameError(ValueError):
    """A packet, or what it says, is not what a sound worker sends."""


class Kind(IntEnum):
    """What a packet is for."""

    READ = 1
    READY = 2
    VIEWS = 3
    REFUSAL = 4
    FAILURE = 5


@dataclass(frozen=True)
class Frame:
    """One packet.

    Attributes:
        kind: what it is for.
        text: JSON.
        ticket: which request it is or answers, so that no answer passes for that of another; 0 where none was made.
        num_array_bytes: what lies in the room beside it.
    """

    kind: Kind
    text: bytes
    ticket: int = 0
    num_array_bytes: int = 0

    def pack(self) -> bytes:
        """Write the packet."""
        header = _HEADER.pack(_MAGIC, _VERSION, self.kind, 0, len(self.text), self.num_array_bytes, self.ticket)
        return header + self.text

    @classmethod
    def unpack(cls, packet: bytes) -> "Frame":
        """Read a packet from whoever sent it.

        Raises:
            FrameError: it is none, or of another length than it says.
        """
        if not _HEADER.size <= len(packet) <= MAX_FRAME_BYTES:
            raise FrameError(f"a packet has {len(packet)} bytes; {_HEADER.size} to {MAX_FRAME_BYTES} are allowed")
        magic, version, kind, nothing, num_text_bytes, num_array_bytes, ticket = _HEADER.unpack_from(packet)
        if (magic, version, nothing) != (_MAGIC, _VERSION, 0) or kind not in set(Kind):
            raise FrameError(f"a packet begins with {packet[:8]!r}, which is no header of version {_VERSION}")
        text = packet[_HEADER.size :]
        if num_text_bytes != len(text):
            raise FrameError(f"a packet claims {num_text_bytes} bytes of text and has {len(text)}")
        return cls(Kind(kind), text, ticket, num_array_bytes)
