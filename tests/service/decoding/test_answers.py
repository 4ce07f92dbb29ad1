"""What the gateway believes of a packet: nothing that a sound worker would not say."""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contract.decode import VideoInfo
from service.contract.errors import (
    ImpossibleRequestError,
    UndecodableVideoError,
    UnsupportedVideoError,
    VideoError,
    VideoTooLargeError,
)
from service.contract.views import VideoViews, ViewPlan
from service.decoding.answers import Failure, pack_failure, pack_refusal, pack_views, read_answer
from service.decoding.frames import MAX_TEXT_BYTES, Frame, FrameError, Kind
from service.decoding.requests import Request
from service.decoding.room import Room
from tests.service.decoding.rules import RULES

ROOM = Room.of(RULES, ViewPlan.parse("2x3"))
INFO = VideoInfo(1.5, 25, 96, 54, "h264", 25.0, 90, "pq", ("colours are assumed",))
TICKET = 2**63 + 5
PACKET = Frame(Kind.FAILURE, b"{}").pack()
SOUND = {**vars(INFO), "degraded": "cut off"}


def make_views(**changes: object) -> VideoViews:
    random = np.random.default_rng(0)
    arrays = {
        "views": random.integers(0, 256, ROOM.view_shape, dtype=np.uint8),
        "indices": random.integers(0, 25, ROOM.clip_shape),
        "time_seconds": random.random(ROOM.clip_shape),
    }
    return VideoViews(**{**arrays, "info": INFO, "degraded": "cut off", **changes})  # type: ignore[arg-type]


@pytest.fixture
def place() -> Iterator[int]:
    with ROOM.open() as descriptor:
        yield descriptor


def read(packet: bytes, place: int) -> VideoViews | VideoError | Failure:
    return read_answer(packet, ticket=TICKET, room=ROOM, descriptor=place)


def test_views_come_back_as_they_were(place: int) -> None:
    views = make_views()
    ROOM.write(place, views)
    back = read(pack_views(views, ticket=TICKET, room=ROOM), place)
    assert isinstance(back, VideoViews)
    assert (back.info, back.degraded) == (INFO, "cut off")
    for name in ("views", "indices", "time_seconds"):
        np.testing.assert_array_equal(getattr(back, name), getattr(views, name), strict=True)


def test_a_room_holds_exactly_its_arrays(place: int) -> None:
    assert ROOM.num_bytes == 6 * 4 * 64 * 64 * 3 + 2 * 8 * 2 * 4 == os.fstat(place).st_size
    with pytest.raises(ValueError, match=r"arrays have the shapes \(\(1, 4, 64, 64, 3\), .*the room is for \(6, 4, 64"):
        ROOM.write(place, make_views(views=np.zeros((1, 4, 64, 64, 3), np.uint8)))


@pytest.mark.parametrize("size", [0, ROOM.num_bytes - 1, ROOM.num_bytes + 1])
def test_a_room_keeps_its_size(place: int, size: int) -> None:
    with pytest.raises(PermissionError):
        os.ftruncate(place, size)


@pytest.mark.parametrize("kind", [UnsupportedVideoError, UndecodableVideoError, VideoTooLargeError])
def test_refusals_come_back_as_they_were(place: int, kind: type[VideoError]) -> None:
    back = read(pack_refusal(kind("9 pixels; at most 4 are accepted"), ticket=TICKET), place)
    assert type(back) is kind
    assert str(back) == "9 pixels; at most 4 are accepted"


def test_a_failure_says_what_and_where(place: int) -> None:
    try:
        json.loads("{")
    except ValueError as error:
        packet = pack_failure(error, ticket=TICKET)
    back = read(packet, place)
    assert isinstance(back, Failure)
    assert back.message.startswith(f"JSONDecodeError at {Path(json.__file__).parent}")
    assert "nowhere" in str(read(pack_failure(ValueError(), ticket=TICKET), place))


def test_text_is_shortened_and_cannot_move_a_cursor(place: int) -> None:
    back = read(pack_refusal(UndecodableVideoError("\x1b[2J\r\n\ud800猫" + "x" * 5000), ticket=TICKET), place)
    assert str(back) == "\N{REPLACEMENT CHARACTER}[2J" + "\N{REPLACEMENT CHARACTER}" * 2 + "?猫" + "x" * 1992


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(
            (name, value)
            for name in ("num_frames", "width", "height")
            for value in (0, -1, 2**31, 1.0, True, "1", None)
        ),
        *((name, value) for name in ("duration_seconds", "frame_rate") for value in (0, -1.0, True, "1", None, [1.0])),
        *(("rotation_degrees", value) for value in (1, -90, 360, False, "0")),
        *(("tone_mapped_from", value) for value in ("sdr", "", 1, True, ["pq"])),
        *(("warnings", value) for value in ("w", ["w"] * 9, None, {"w": "w"})),
        *(("codec", value) for value in ("", "H264", "h264\n", "h264 ", "x" * 33, 1, None)),
        *(("degraded", value) for value in ("x" * 2001, 1, ["x"])),
        ("another", 1),
    ],
)
def test_a_wrong_field_is_named(place: int, field: str, value: object) -> None:
    ROOM.write(place, make_views())
    packet = Frame(Kind.VIEWS, json.dumps({**SOUND, field: value}).encode(), TICKET, ROOM.num_bytes).pack()
    with pytest.raises(FrameError, match=f"an answer's text is wrong at '{field}': "):
        read(packet, place)


@pytest.mark.parametrize("warning", [1, None, "w" * 2001])
def test_a_warning_is_a_sentence(place: int, warning: object) -> None:
    ROOM.write(place, make_views())
    text = json.dumps({**SOUND, "warnings": [warning]}).encode()
    packet = Frame(Kind.VIEWS, text, TICKET, ROOM.num_bytes).pack()
    with pytest.raises(FrameError, match=r"an answer's text is wrong at 'warnings\.0': "):
        read(packet, place)


@pytest.mark.parametrize("field", SOUND)
def test_a_missing_field_is_named(place: int, field: str) -> None:
    text = json.dumps({name: value for name, value in SOUND.items() if name != field})
    with pytest.raises(FrameError, match=f"an answer's text is wrong at '{field}': missing"):
        read(Frame(Kind.VIEWS, text.encode(), TICKET, ROOM.num_bytes).pack(), place)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_are_finite(place: int, number: str) -> None:
    text = json.dumps(SOUND).replace("1.5", number)
    with pytest.raises(FrameError, match=r"an answer's text is wrong at '(duration_seconds|its start)': "):
        read(Frame(Kind.VIEWS, text.encode(), TICKET, ROOM.num_bytes).pack(), place)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"indices": np.full(ROOM.clip_shape, 25)}, "an answer shows frames 25 to 25 of 25"),
        ({"indices": np.full(ROOM.clip_shape, -1)}, "an answer shows frames -1 to -1 of 25"),
        ({"time_seconds": np.full(ROOM.clip_shape, np.nan)}, "times that are negative or not finite"),
        ({"time_seconds": np.full(ROOM.clip_shape, np.inf)}, "times that are negative or not finite"),
        ({"time_seconds": np.full(ROOM.clip_shape, -0.5)}, "times that are negative or not finite"),
    ],
)
def test_arrays_are_looked_at(place: int, changes: dict[str, object], message: str) -> None:
    views = make_views(**changes)
    ROOM.write(place, views)
    with pytest.raises(FrameError, match=message):
        read(pack_views(views, ticket=TICKET, room=ROOM), place)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (Frame(Kind.VIEWS, b"{}", TICKET, 2**60), f"claims {2**60} bytes of arrays; it may have {ROOM.num_bytes}"),
        (Frame(Kind.REFUSAL, b"{}", TICKET, 1), "claims 1 bytes of arrays; it may have 0"),
        (Frame(Kind.READ, b"{}", TICKET), "an answer is of the kind READ"),
        (Frame(Kind.READY, b"{}", TICKET), "an answer is of the kind READY"),
        (Frame(Kind.REFUSAL, b"[", TICKET), "wrong at 'its start': json_invalid"),
        (Frame(Kind.REFUSAL, b"[" * MAX_TEXT_BYTES, TICKET), "wrong at 'its start': json_invalid"),
        (Frame(Kind.FAILURE, b'{"message": "\xff"}', TICKET), "wrong at 'its start': json_invalid"),
        (Frame(Kind.FAILURE, b'{"message": "\\udfff"}', TICKET), "wrong at 'its start': json_invalid"),
        (
            Frame(Kind.REFUSAL, b'{"name": "OSError", "message": ""}', TICKET),
            "names the error 'OSError'; known",
        ),
    ],
)
def test_a_wrong_frame_is_refused(place: int, frame: Frame, message: str) -> None:
    with pytest.raises(FrameError, match=message):
        read(frame.pack(), place)


def test_errors_of_requests_are_none_of_a_worker_s(place: int) -> None:
    frame = Frame(Kind.REFUSAL, json.dumps({"name": ImpossibleRequestError.__name__, "message": ""}).encode(), TICKET)
    with pytest.raises(FrameError, match="names the error 'ImpossibleRequestError'"):
        read(frame.pack(), place)


@pytest.mark.parametrize(
    ("packet", "message"),
    [
        (b"", "a packet has 0 bytes; 28 to 65564 are allowed"),
        (b"x" * 27, "a packet has 27 bytes"),
        (b"x" * (28 + MAX_TEXT_BYTES + 1), "a packet has 65565 bytes"),
        (b"x" * 28, "a packet begins with b'xxxxxxxx', which is no header of version 1"),
        (PACKET[:-1], "a packet claims 2 bytes of text and has 1"),
        (PACKET + b"x", "a packet claims 2 bytes of text and has 3"),
        *(
            (
                Frame(Kind.FAILURE, b"{}").pack()[:position]
                + b"\x63"
                + Frame(Kind.FAILURE, b"{}").pack()[position + 1 :],
                "is no header of version 1",
            )
            for position in range(8)
        ),
    ],
)
def test_what_is_no_packet_is_refused(packet: bytes, message: str) -> None:
    with pytest.raises(FrameError, match=message):
        Frame.unpack(packet)


@given(st.sampled_from(Kind), st.binary(max_size=200), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_frames_come_back_as_they_were(kind: Kind, text: bytes, ticket: int, num_array_bytes: int) -> None:
    frame = Frame(kind, text, ticket, num_array_bytes)
    assert Frame.unpack(frame.pack()) == frame


@given(st.data())
def test_no_bytes_whatever_raise_anything_else(data: st.DataObject) -> None:
    packet = bytearray(pack_views(make_views(), ticket=TICKET, room=ROOM))
    for _ in range(data.draw(st.integers(0, 4))):
        packet[data.draw(st.integers(0, len(packet) - 1))] = data.draw(st.integers(0, 255))
    with ROOM.open() as place:
        ROOM.write(place, make_views())
        with suppress(FrameError):
            read(bytes(packet), place)


@pytest.mark.parametrize("ticket", [0, TICKET - 1])
def test_the_answer_to_another_request_is_none(place: int, ticket: int) -> None:
    packet = pack_refusal(UndecodableVideoError("x"), ticket=ticket)
    with pytest.raises(FrameError, match="an answer is not to this request"):
        read(packet, place)


def test_requests_come_back_as_they_were() -> None:
    request = Request(ViewPlan.parse("4x3"), 12.5)
    assert Request.unpack(request.pack()) == request
    assert Request(request.plan, 12.5).ticket != request.ticket
