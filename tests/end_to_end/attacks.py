"""Requests that strangers might send to do harm: raw bytes of HTTP, forms, fields, videos and paths, each with a name.

What each is answered with stands in ``test_attacks_over_http``.
"""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from tests.videos import write_numbered_video

LABELS = '["waving", "running"]'
_HOST = b"Host: localhost\r\n"


def _request(method: bytes, path: bytes, *headers: bytes, body: bytes = b"") -> bytes:
    head = b"".join(header + b"\r\n" for header in (*headers, b"Connection: close"))
    return method + b" " + path + b" HTTP/1.1\r\n" + _HOST + head + b"\r\n" + body


def _post(
    body: bytes, *, content_type: bytes = b"multipart/form-data; boundary=edge", length: int | None = None
) -> bytes:
    size = len(body) if length is None else length
    headers = (b"Content-Type: " + content_type, b"Content-Length: " + str(size).encode())
    return _request(b"POST", b"/recognize", *headers, body=body)


def _part(name: bytes, value: bytes, *, filename: bytes | None = None, extra: bytes = b"") -> bytes:
    file = b"" if filename is None else b'; filename="' + filename + b'"'
    return (
        b'--edge\r\nContent-Disposition: form-data; name="'
        + name
        + b'"'
        + file
        + b"\r\n"
        + extra
        + b"\r\n"
        + value
        + b"\r\n"
    )


def _form(*parts: bytes) -> bytes:
    return _post(b"".join(parts) + b"--edge--\r\n")


def path_request(path: str) -> bytes:
    """Ask for a path as it stands, which clients would make plain first."""
    return _request(b"GET", path.encode())


def http_attacks() -> Iterator[tuple[str, bytes]]:
    """Bytes that are no HTTP, or too much of it."""
    yield "no HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n" * 3
    yield "only line ends", b"\r\n" * 5000
    yield "two lengths", _request(b"POST", b"/recognize", b"Content-Length: 1", b"Content-Length: 2", body=b"x")
    yield (
        "length and chunks",
        _request(b"POST", b"/recognize", b"Content-Length: 4", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    )
    yield "negative length", _request(b"POST", b"/recognize", b"Content-Length: -1")
    yield "length of letters", _request(b"POST", b"/recognize", b"Content-Length: ten")
    yield "unknown version", b"GET / HTTP/9.9\r\n" + _HOST + b"\r\n"
    yield "no host", b"GET / HTTP/1.1\r\n\r\n"
    yield "two hosts", b"GET / HTTP/1.1\r\n" + _HOST + _HOST + b"\r\n"
    yield "host of another site", b"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    yield "header of 40 KB", _request(b"GET", b"/", b"X: " + b"y" * 40_000)
    yield "thousand headers", _request(b"GET", b"/", *(b"X-%d: %s" % (number, b"y" * 60) for number in range(1000)))
    yield "path of 40 KB", _request(b"GET", b"/" + b"y" * 40_000)
    yield "line feed in a header", _request(b"GET", b"/", b"X: a\nInjected: b")
    yield "null byte in a header", _request(b"GET", b"/", b"X: a\x00b")
    yield "chunk of a wrong size", _request(
        b"POST", b"/recognize", b"Content-Type: multipart/form-data; boundary=edge", b"Transfer-Encoding: chunked",
        body=b"zz\r\nx\r\n0\r\n\r\n",
    )  # fmt: skip
    yield (
        "websocket",
        _request(b"GET", b"/", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: eA=="),
    )
    yield "unknown method", _request(b"PROPFIND", b"/recognize")
    yield "trace", _request(b"TRACE", b"/")
    yield "request id that breaks lines", _request(b"GET", b"/healthz", b"X-Request-ID: a\tb" + b"c" * 100)


def form_attacks() -> Iterator[tuple[str, bytes]]:
    """Bodies that are no forms, or odd ones."""
    video = _part(b"video", b"x", filename=b"a.mp4")
    labels = _part(b"labels", LABELS.encode())
    yield "no content type", _request(b"POST", b"/recognize", b"Content-Length: 1", body=b"x")
    yield "JSON in place of a form", _post(b"{}", content_type=b"application/json")
    yield "no boundary", _post(b"x", content_type=b"multipart/form-data")
    yield "boundary of a thousand letters", _post(b"x", content_type=b"multipart/form-data; boundary=" + b"e" * 1000)
    yield "empty body", _post(b"")
    yield "cut in a part", _post(video[:-9])
    yield "length beyond the limit", _post(b"x", length=10**12)
    yield "part without a name", _form(b"--edge\r\nContent-Disposition: form-data\r\n\r\nx\r\n")
    yield "labels as a file", _form(_part(b"labels", b"[]", filename=b"l.json"))
    yield "two videos", _form(video, video)
    yield "a field twice", _form(video, labels, _part(b"top_k", b"1"), _part(b"top_k", b"2"))
    yield "field that is no UTF-8", _form(video, _part(b"labels", b"\xff\xfe"))
    yield "unknown field", _form(video, labels, _part(b"keep", b"true"))
    yield "name of 10 KB", _form(video, labels, _part(b"n" * 10_000, b"x"))
    yield "part with a header of 100 KB", _form(_part(b"labels", b"x", extra=b"X: " + b"y" * 100_000 + b"\r\n"))
    yield "20,000 parts", _form(*[_part(b"labels", b"a%d" % number) for number in range(20_000)])
    yield "text fields of 9 MB", _form(_part(b"labels", b"x" * 9_000_000))
    yield "file name that climbs", _form(_part(b"video", b"x", filename=b"../../etc/passwd"), labels)
    yield (
        "multipart in multipart",
        _form(_part(b"labels", b"--in\r\n\r\n--in--", extra=b"Content-Type: multipart/mixed; boundary=in\r\n")),
    )


def field_attacks() -> Iterator[tuple[str, dict[str, str]]]:
    """Fields beside a sound video that are out of bounds, or no values at all."""
    for name, values in {
        "top_k": ("-1", "0", "+-5", "nan", "9" * 5000, "½", "10001"),
        "lambda": ("nan", "inf", "-0.1", "2", "1e400", "0x1"),
        "views": ("0x0", "11x1", "1x2", "999x999", "1x1x1", ""),
        "template": ("no place", "{} {}", "{0}", "{x!r}", "\x1b[2J{}", "{}" + "y" * 10_000),
        "deadline_seconds": ("0", "-1", "nan", "later"),
        "strict": ("maybe",),
        "label_set": ("../../etc/passwd", "", "\x00"),
    }.items():
        for value in values:
            labels = {} if name == "label_set" else {"labels": LABELS}
            yield f"{name} {value[:16]!r}", {**labels, name: value}
    for title, text in {
        "no labels": "[]",
        "empty label": '[""]',
        "label twice": '["a", "A"]',
        "NaN": "[NaN]",
        "broken surrogate": '["\\ud800"]',
        "labels 100,000 deep": "[" * 100_000,
        "two million objects": "[" + "{}," * 2_000_000 + "{}]",
        "10,001 labels": json.dumps([str(number) for number in range(10_001)]),
        "label of 10,000 letters": json.dumps(["a" * 10_000]),
        "label with unknown keys": '[{"en": "a", "__class__": "b"}]',
        "control characters": '["a\\u0000b"]',
    }.items():
        yield f"labels: {title}", {"labels": text}


def video_attacks(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Files that are no videos, or pretend to be."""
    sound = write_numbered_video(folder / "sound.mp4", num_frames=8).read_bytes()
    picture, archive = io.BytesIO(), io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(picture, "PNG")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writer:
        writer.writestr("zeros", bytes(1_000_000))
    yield "nothing", b""
    yield "one byte", b"\x00"
    yield "text", b"hello " * 1000
    yield "picture", picture.getvalue()
    yield "archive", archive.getvalue()
    yield "playlist of local files", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
    yield "list of local files", b"ffconcat version 1.0\nfile /etc/passwd\n"
    yield (
        "manifest of a network",
        b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>http://a/</BaseURL></MPD>',
    )
    yield "session of a network", b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n"
    yield "page", b"<html><script>alert(1)</script></html>"
    yield "program", b"\x7fELF" + bytes(1000)
    yield "head of a video alone", sound[:32]
    yield "half a video", sound[: len(sound) // 2]
    yield "video with a wrong end", sound[:-200] + bytes(200)
    yield "noise", np.random.default_rng(0).bytes(100_000)


PATHS = {
    "metrics": "/metrics",
    "file outside": "/static/../../../../etc/passwd",
    "file outside, encoded": "/static/%2e%2e/%2e%2e/settings.py",
    "label set outside": "/label-sets/..%2f..%2fetc",
    "nothing there": "/admin",
    "recognition by GET": "/recognize",
    "null byte": "/static/app.js%00.css",
}
