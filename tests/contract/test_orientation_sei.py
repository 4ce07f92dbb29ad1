import pytest

from service.contract.orientation_sei import OrientationMessages

TURN = bytes([47, 3, 0x18, 0x00, 0x09])
OTHER = bytes([5, 2, 1, 2])
# A message longer than a byte can say.
LONG = bytes([5, 0xFF, 1]) + bytes(256)
H264_SEI, H264_PICTURE, HEVC_SEI, HEVC_PICTURE = (
    b"\x06",
    b"\x65\x88\x84",
    bytes([39 << 1, 1]),
    bytes([19 << 1, 1, 0xAF]),
)


def join(*units: bytes, num_length_bytes: int) -> memoryview:
    heads = (len(unit).to_bytes(num_length_bytes, "big") if num_length_bytes else b"\0\0\0\1" for unit in units)
    return memoryview(b"".join(head + unit for head, unit in zip(heads, units, strict=True)))


@pytest.mark.parametrize("num_length_bytes", [0, 2, 4])
@pytest.mark.parametrize(
    ("messages", "expected"),
    [(TURN, True), (OTHER + TURN, True), (LONG + TURN, True), (OTHER, False), (b"", False), (b"\xff", False)],
)
def test_a_message_is_found_before_the_picture(num_length_bytes: int, messages: bytes, expected: bool) -> None:
    for is_hevc, sei, picture in ((False, H264_SEI, H264_PICTURE), (True, HEVC_SEI, HEVC_PICTURE)):
        packet = join(sei + messages + b"\x80", picture, num_length_bytes=num_length_bytes)
        assert OrientationMessages(is_hevc, num_length_bytes).are_in(packet) is expected


def test_what_follows_the_picture_does_not_count() -> None:
    packet = join(H264_PICTURE, H264_SEI + TURN + b"\x80", num_length_bytes=4)
    assert not OrientationMessages(is_hevc=False, num_length_bytes=4).are_in(packet)


@pytest.mark.parametrize(
    "packet", [b"", b"\0", b"\0\0\0\0", b"\0\0\0\xff\x06", b"\xff" * 9, b"\0\0\0\1", b"\0\0\1", bytes(9)]
)
@pytest.mark.parametrize("num_length_bytes", [0, 4])
@pytest.mark.parametrize("is_hevc", [False, True])
def test_damaged_packets_hold_no_message(packet: bytes, num_length_bytes: int, is_hevc: bool) -> None:
    assert not OrientationMessages(is_hevc, num_length_bytes).are_in(memoryview(packet))
