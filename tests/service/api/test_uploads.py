"""Forms as they arrive: limits hold while reading, and nothing of the client names a file."""

import asyncio
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.api.spool import Spool
from service.api.uploads import Form, FormLimits, read_form
from service.contract.errors import LabelError, MalformedRequestError, VideoTooLargeError

LIMITS = FormLimits(video_bytes=3 << 20, field_bytes=100, num_labels=3)
SPOOL = Spool(Path(tempfile.gettempdir()), max_bytes=1 << 30)
HEADERS = {"content-type": "multipart/form-data; boundary=edge"}


def part(name: str, value: bytes, *, filename: str | None = None) -> bytes:
    file = "" if filename is None else f'; filename="{filename}"'
    return f'--edge\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + value + b"\r\n"


END = b"--edge--\r\n"


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def read(*chunks: bytes, headers: dict[str, str] = HEADERS) -> tuple[Form, bytes | None]:
    with SPOOL.open() as file:
        form = await read_form(stream(*chunks), file=file, headers=headers, limits=LIMITS)
        return form, None if form.video is None else os.pread(form.video.descriptor, LIMITS.video_bytes, 0)


@pytest.mark.parametrize("chunk_bytes", [1, 7, 1 << 16])
async def test_video_and_fields_arrive_whole_however_the_body_is_cut(chunk_bytes: int) -> None:
    body = (
        part("labels", "跑".encode())
        + part("video", b"\r\n--edg\r\n" * 99, filename="a.mp4")
        + part("top_k", b"1")
        + END
    )
    chunks = [body[start : start + chunk_bytes] for start in range(0, len(body), chunk_bytes)]
    form, stored = await read(*chunks)
    assert form.fields == (("labels", "跑".encode()), ("top_k", b"1"))
    assert stored == b"\r\n--edg\r\n" * 99
    assert form.video is not None
    assert form.video.video_id == hashlib.sha256(stored).hexdigest()


async def test_video_larger_than_the_memory_buffer_goes_to_disk() -> None:
    piece = bytes(1 << 19)
    _, stored = await read(part("video", b"", filename="a")[:-2], *[piece] * 5, b"\r\n" + END)
    assert stored == piece * 5


async def test_form_without_a_video_has_none() -> None:
    form, stored = await read(part("labels", b"run") + END)
    assert (form.video, stored) == (None, None)


async def test_endless_body_costs_no_more_than_the_limit() -> None:
    num_chunks = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal num_chunks
        yield part("video", b"", filename="a.mp4")[:-2]
        while True:
            num_chunks += 1
            yield bytes(1 << 18)
            await asyncio.sleep(0)

    with SPOOL.open() as file, pytest.raises(VideoTooLargeError, match="at most 3145728 bytes of video"):
        await read_form(endless(), file=file, headers=HEADERS, limits=LIMITS)
    assert num_chunks == 13


async def test_announced_length_beyond_the_limit_is_refused_before_reading() -> None:
    async def unread() -> AsyncIterator[bytes]:
        raise AssertionError
        yield b""

    headers = {**HEADERS, "content-length": "999999999"}
    with SPOOL.open() as file, pytest.raises(VideoTooLargeError, match="the body has 999999999 bytes"):
        await read_form(unread(), file=file, headers=headers, limits=LIMITS)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (part("video", b"12", filename="a"), "ends in the middle of the form"),
        (b"", "ends in the middle of the form"),
        (b"--other\r\n\r\n", "not a well-formed multipart form"),
        (b"--edge\r\nContent-Disposition: form-data\r\n\r\nx\r\n" + END, "a part of the form has no name"),
        (b"--edge\r\nX-Other: 1\r\n\r\nx\r\n" + END, "a part of the form has no name"),
        (part("labels", b"a" * 101) + END, "text fields hold more than 100 bytes"),
        (part("a", b"a" * 60) + part("b", b"b" * 60) + END, "text fields hold more than 100 bytes"),
        (part("labels", b"", filename="labels.txt") + END, "field 'labels' holds a file; only 'video' may"),
        (part("video", b"1", filename="a") * 2 + END, "'video' was given twice"),
    ],
)
async def test_broken_form_is_refused_and_the_fault_named(body: bytes, message: str) -> None:
    with pytest.raises(MalformedRequestError, match=message):
        await read(body)


async def test_flood_of_fields_is_refused() -> None:
    with pytest.raises(LabelError, match="more than 3 labels were given"):
        await read(part("labels", b"") * 68 + END)
