"""Whether an Ogg or a GIF file has the end that its format demands; both say nothing of their length."""

from service.contract.byte_source import ByteSource
from service.contract.tracks import ContainerHeader

# The longest page of Ogg: its head and 255 segments of 255 bytes (RFC 3533, section 6).
_PAGE_BYTES = 65_307
_FLAGS, _SEGMENTS, _END_OF_STREAM = 5, 26, 0x04
_GIF_TRAILER = b";"
# Some writers fill up what they write.
_FILLING = b"\0\n"
_TAIL_BYTES = 4096


def read(source: ByteSource) -> ContainerHeader | None:
    """Read whether the end is there; None where it is neither Ogg nor GIF."""
    start = source.read(0, 4)
    if start == b"OggS":
        tail = source.read(max(0, source.num_bytes - _PAGE_BYTES), _PAGE_BYTES)
        page = tail[tail.rindex(b"OggS") :]
        head_bytes = _SEGMENTS + 1 + page[_SEGMENTS]
        is_whole = head_bytes + sum(page[_SEGMENTS + 1 : head_bytes]) <= len(page)
        return ContainerHeader(is_cut_off=not (is_whole and page[_FLAGS] & _END_OF_STREAM))
    if start == b"GIF8":
        tail = source.read(max(0, source.num_bytes - _TAIL_BYTES), _TAIL_BYTES)
        return ContainerHeader(is_cut_off=not tail.rstrip(_FILLING).endswith(_GIF_TRAILER))
    return None
