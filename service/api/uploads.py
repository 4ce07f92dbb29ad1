"""Multipart forms, read as they arrive: the video goes to a private file, its bytes are counted and hashed on the way.

The client's file name is never used. A limit is enforced while reading, so that an endless body costs no more than
the limit; what the text fields mean is settled in ``fields``.
"""

import hashlib
from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass, field

from fastapi.concurrency import run_in_threadpool
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from service.api.spool import SpooledFile
from service.contract.errors import DuoActError, LabelError, MalformedRequestError, VideoTooLargeError
from service.recognition.questions import StoredVideo

FILE_FIELD = "video"
_FLUSH_BYTES = 1 << 20
# Fields besides the labels; each name may be given once, so this leaves room to say which one is repeated.
_OTHER_FIELDS = 64


class UploadTooSlowError(DuoActError):
    """The body was not whole when the request's time was over: the client's connection is at fault."""


@dataclass(frozen=True)
class FormLimits:
    """What one form may hold: bytes of the video, bytes of all text fields together, and number of labels."""

    video_bytes: int
    field_bytes: int
    num_labels: int


@dataclass(frozen=True)
class Form:
    """A form as it was sent: the stored video, or None, and the text fields in order."""

    video: StoredVideo | None
    fields: tuple[tuple[str, bytes], ...]


@dataclass
class _Part:
    """The part that is being read."""

    name: str = ""
    is_file: bool = False
    header: bytearray = field(default_factory=bytearray)
    disposition: str = ""
    value: bytearray = field(default_factory=bytearray)


async def read_form(
    body: AsyncIterable[bytes], *, file: SpooledFile, headers: Mapping[str, str], limits: FormLimits
) -> Form:
    """Read a multipart form, its video into ``file``.

    Raises:
        MalformedRequestError: not a multipart form, cut short, or too large in its text fields.
        VideoTooLargeError: the video has more bytes than allowed; raised as soon as that is known.
        StorageFullError, StorageUnavailableError: the video cannot be stored.
        LabelError: more labels than allowed.
    """
    boundary = _read_boundary(headers.get("content-type", ""))
    # Servers refuse a length that is not a number before it comes here; a chunked body has none.
    num_bytes = int(headers.get("content-length", 0))
    if num_bytes > limits.video_bytes + limits.field_bytes:
        raise VideoTooLargeError(_too_large(limits, f"the body has {num_bytes} bytes"))
    reader = _FormReader(file, boundary=boundary, limits=limits)
    async for chunk in body:
        reader.feed(chunk)
        if len(reader.pending) >= _FLUSH_BYTES:
            await run_in_threadpool(reader.flush)
    await run_in_threadpool(reader.flush)
    return reader.finish()


class _FormReader:
    """Callbacks of the multipart parser, and what they have gathered so far."""

    def __init__(self, file: SpooledFile, *, boundary: bytes, limits: FormLimits) -> None:
        self.pending = bytearray()
        self._file = file
        self._limits = limits
        self._digest = hashlib.sha256()
        self._num_video_bytes = 0
        self._num_field_bytes = 0
        self._has_video = False
        self._is_complete = False
        self._part = _Part()
        self._fields: list[tuple[str, bytes]] = []
        callbacks = {
            "on_part_begin": self._begin_part,
            "on_header_field": lambda data, start, end: self._part.header.extend(data[start:end]),
            "on_header_value": self._add_header_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._add_data,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }
        try:
            self._parser = MultipartParser(boundary, callbacks)  # type: ignore[arg-type]
        except FormParserError as error:
            raise MalformedRequestError(f"the form's boundary cannot be used: {error}") from error

    def feed(self, chunk: bytes) -> None:
        """Parse the next bytes of the body."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise MalformedRequestError(f"the body is not a well-formed multipart form: {error}") from error

    def flush(self) -> None:
        """Move what is pending of the video to disk."""
        self._digest.update(self.pending)
        self._file.write(bytes(self.pending))
        self.pending = bytearray()

    def finish(self) -> Form:
        """Give what was read, if the form was whole."""
        if not self._is_complete:
            raise MalformedRequestError("the body ends in the middle of the form; send all of it")
        video = StoredVideo(self._file.descriptor, self._digest.hexdigest()) if self._has_video else None
        return Form(video, tuple(self._fields))

    def _begin_part(self) -> None:
        self._part = _Part()

    def _add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._part.value.extend(data[start:end])

    def _end_header(self) -> None:
        if bytes(self._part.header).lower() == b"content-disposition":
            self._part.disposition = self._part.value.decode("latin-1")
        self._part.header.clear()
        self._part.value.clear()

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._part.disposition)
        if b"name" not in options:
            raise MalformedRequestError("a part of the form has no name; give every part one")
        self._part.name = options[b"name"].decode("utf-8", errors="replace")
        self._part.is_file = b"filename" in options
        if self._part.is_file:
            self._begin_file()
        elif len(self._fields) >= self._limits.num_labels + _OTHER_FIELDS:
            raise LabelError(f"more than {self._limits.num_labels} labels were given, which is the most allowed")

    def _begin_file(self) -> None:
        if self._part.name != FILE_FIELD:
            raise MalformedRequestError(f"field {self._part.name[:64]!r} holds a file; only {FILE_FIELD!r} may")
        if self._has_video:
            raise MalformedRequestError(f"{FILE_FIELD!r} was given twice; send one video in a request")
        self._has_video = True

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if not self._part.is_file:
            self._num_field_bytes += end - start
            if self._num_field_bytes > self._limits.field_bytes:
                raise MalformedRequestError(
                    f"the text fields hold more than {self._limits.field_bytes} bytes, which is the most allowed"
                )
            self._part.value.extend(data[start:end])
            return
        self._num_video_bytes += end - start
        if self._num_video_bytes > self._limits.video_bytes:
            raise VideoTooLargeError(_too_large(self._limits, "the video has more"))
        self.pending.extend(data[start:end])

    def _end_part(self) -> None:
        if not self._part.is_file:
            self._fields.append((self._part.name, bytes(self._part.value)))

    def _end(self) -> None:
        self._is_complete = True


def _read_boundary(content_type: str) -> bytes:
    media_type, options = parse_options_header(content_type)
    if media_type != b"multipart/form-data" or not options.get(b"boundary"):
        raise MalformedRequestError(
            f"Content-Type is {content_type[:128]!r}; send multipart/form-data with a boundary, "
            "as curl -F video=@clip.mp4 does"
        )
    return options[b"boundary"]


def _too_large(limits: FormLimits, found: str) -> str:
    return f"{found}; at most {limits.video_bytes} bytes of video are accepted: send a shorter or smaller video"
