"""What a worker answers, as data: views, a refusal of the video, or a failure that nobody foresaw.

The reading side believes nothing. Every field has a type and bounds, an error is looked up by name in a fixed table,
and text is shortened, printable, and only ever shown.
"""

from dataclasses import dataclass
from typing import Annotated, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.contract.decode import VideoInfo
from service.contract.errors import UndecodableVideoError, UnsupportedVideoError, VideoError, VideoTooLargeError
from service.contract.tone_mapping import Transfer
from service.contract.views import VideoViews
from service.decoding.frames import Frame, FrameError, Kind
from service.decoding.room import Arrays, Room

_MAX_CHARACTERS = 2000
_MAX_WARNINGS = 8
_REFUSALS: dict[str, type[VideoError]] = {
    kind.__name__: kind for kind in (UnsupportedVideoError, UndecodableVideoError, VideoTooLargeError)
}

Count = Annotated[int, Field(ge=1, lt=2**31)]
Quantity = Annotated[float, Field(gt=0.0)]
Sentence = Annotated[str, Field(max_length=_MAX_CHARACTERS)]


@dataclass(frozen=True)
class Failure:
    """A sound worker met something unforeseen; ``message`` says what and where."""

    message: str


Answer = VideoViews | VideoError | Failure


class _Text(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class _Views(_Text):
    duration_seconds: Quantity
    num_frames: Count
    width: Count
    height: Count
    codec: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,32}$")]
    frame_rate: Quantity
    rotation_degrees: Annotated[int, Field(ge=0, le=270, multiple_of=90)]
    tone_mapped_from: Transfer | None
    warnings: Annotated[tuple[Sentence, ...], Field(max_length=_MAX_WARNINGS)]
    degraded: Sentence | None


class _Refusal(_Text):
    name: Sentence
    message: Sentence


class _Failure(_Text):
    message: Sentence


_AnyText = TypeVar("_AnyText", bound=_Text)


def pack_views(views: VideoViews, *, ticket: int, room: Room) -> bytes:
    """Write the answer whose arrays have been put into the room."""
    degraded = None if views.degraded is None else _shorten(views.degraded)
    warnings = tuple(_shorten(warning) for warning in views.info.warnings[:_MAX_WARNINGS])
    text = _Views(**{**vars(views.info), "warnings": warnings}, degraded=degraded)
    return Frame(Kind.VIEWS, text.model_dump_json().encode(), ticket, room.num_bytes).pack()


def pack_refusal(error: VideoError, *, ticket: int) -> bytes:
    """Write the answer that the video is at fault."""
    text = _Refusal(name=type(error).__name__, message=_shorten(str(error)))
    return Frame(Kind.REFUSAL, text.model_dump_json().encode(), ticket).pack()


def pack_failure(error: Exception, *, ticket: int) -> bytes:
    """Write the answer that something unforeseen happened, and where."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = "nowhere" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
    text = _Failure(message=_shorten(f"{type(error).__name__} at {place}: {error}"))
    return Frame(Kind.FAILURE, text.model_dump_json().encode(), ticket).pack()


def read_answer(packet: bytes, *, ticket: int, room: Room, descriptor: int) -> Answer:
    """Read the answer to one request of a worker that may have been taken over; its arrays lie at ``descriptor``.

    Raises:
        FrameError: not what a sound worker sends.
    """
    frame = Frame.unpack(packet)
    if frame.ticket != ticket:
        raise FrameError("an answer is not to this request")
    num_expected = room.num_bytes if frame.kind is Kind.VIEWS else 0
    if frame.num_array_bytes != num_expected:
        raise FrameError(f"an answer claims {frame.num_array_bytes} bytes of arrays; it may have {num_expected}")
    if frame.kind is Kind.VIEWS:
        return _check_views(_parse(_Views, frame.text), room.read(descriptor))
    if frame.kind is Kind.REFUSAL:
        return _check_refusal(_parse(_Refusal, frame.text))
    if frame.kind is Kind.FAILURE:
        return Failure(_show(_parse(_Failure, frame.text).message))
    raise FrameError(f"an answer is of the kind {frame.kind.name}")


def _check_refusal(text: _Refusal) -> VideoError:
    if text.name not in _REFUSALS:
        raise FrameError(f"an answer names the error {text.name[:64]!r}; known are {', '.join(_REFUSALS)}")
    return _REFUSALS[text.name](_show(text.message))


def _check_views(text: _Views, arrays: Arrays) -> VideoViews:
    if arrays.indices.min() < 0 or arrays.indices.max() >= text.num_frames:
        raise FrameError(
            f"an answer shows frames {arrays.indices.min()} to {arrays.indices.max()} of {text.num_frames}"
        )
    if not np.isfinite(arrays.time_seconds).all() or arrays.time_seconds.min() < 0.0:
        raise FrameError("an answer holds times that are negative or not finite")
    told = text.model_dump(exclude={"degraded", "warnings"})
    info = VideoInfo(**told, warnings=tuple(_show(warning) for warning in text.warnings))
    degraded = None if text.degraded is None else _show(text.degraded)
    return VideoViews(arrays.views, arrays.indices, arrays.time_seconds, info, degraded)


def _parse(kind: type[_AnyText], text: bytes) -> _AnyText:
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))[:64]
        raise FrameError(f"an answer's text is wrong at {place or 'its start'!r}: {first['type']}") from error


def _shorten(text: str) -> str:
    """Cut what is too long, and replace halves of characters, which no encoding can carry."""
    return text[:_MAX_CHARACTERS].encode("utf-8", "replace").decode("utf-8")


def _show(text: str) -> str:
    """Replace what could move a terminal's cursor or break a line of a log."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
