"""The length of an FLV file: numbers of ``onMetaData``, which most writers add (Adobe FLV specification 10.1, E.5)."""

import struct

from service.contract.byte_source import ByteSource
from service.contract.tracks import ContainerHeader

_HEAD_BYTES = 16 * 1024
_NUMBER = b"\0"


def read(source: ByteSource) -> ContainerHeader | None:
    """Read how long the file is and lasts; None where it is no FLV that says so."""
    head = source.read(0, _HEAD_BYTES)
    if not head.startswith(b"FLV") or b"onMetaData" not in head:
        return None
    num_bytes, duration_seconds = (_read_number(head, name) for name in (b"filesize", b"duration"))
    return ContainerHeader(num_bytes > source.num_bytes if num_bytes else None, duration_seconds)


def _read_number(head: bytes, name: bytes) -> float | None:
    """Read a property of a script data object: the length of its name, the name, a type and eight bytes."""
    key = len(name).to_bytes(2, "big") + name + _NUMBER
    at = head.find(key)
    if at < 0:
        return None
    value: float = struct.unpack_from(">d", head, at + len(key))[0]
    return value if 0 < value < 2**53 else None
