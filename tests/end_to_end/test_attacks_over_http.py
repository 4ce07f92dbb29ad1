"""What a served bundle answers to requests that mean harm: a table; it stays ready, and the log has no traceback."""

import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.attacks import (
    LABELS,
    PATHS,
    field_attacks,
    form_attacks,
    http_attacks,
    path_request,
    video_attacks,
)
from tests.end_to_end.server import run_server
from tests.tiny_graphs import write_tiny_bundle
from tests.videos import write_numbered_video

# By name, where it is another than that of most.
HTTP = {
    "unknown version": 505, "host of another site": 421, "header of 40 KB": 431, "thousand headers": 431,
    "path of 40 KB": 431, "line feed in a header": 200, "websocket": 200, "unknown method": 405, "trace": 405,
    "request id that breaks lines": 200,
}  # fmt: skip
FORMS = {"length beyond the limit": 413, "20,000 parts": 422, "file name that climbs": 415}
MALFORMED = (
    "top_k '+-5'", "top_k 'nan'", "top_k '9999999999999999'", "top_k '½'", "lambda '0x1'", "deadline_seconds 'later'",
    "strict 'maybe'", "labels: NaN", "labels: labels 100,000 deep", "labels: two million objects",
    "labels: label with unknown keys",
)  # fmt: skip
VIDEOS = {"video with a wrong end": 422}
ANSWERED_PATHS = {"metrics": 200, "recognition by GET": 405}
# Nobody who is refused waits longer, on a busy machine either.
_LIMIT_SECONDS = 20.0


@dataclass(frozen=True)
class Served:
    """A service, its log, and a sound video."""

    client: httpx.Client
    log: Path
    video: bytes

    def send(self, request: bytes) -> int:
        """Send bytes as they are; returns the status of the answer, 0 where there is none."""
        url = self.client.base_url
        with socket.create_connection((url.host, url.port or 80), timeout=_LIMIT_SECONDS) as connection:
            answer = b""
            with suppress(ConnectionError):  # it may be refused before it is whole
                connection.sendall(request)
            while b"\r\n" not in answer and (chunk := connection.recv(65_536)):
                answer += chunk
        return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0

    def ask(self, data: dict[str, str], *, video: bytes | None = None) -> httpx.Response:
        files = {"video": self.video if video is None else video}
        return self.client.post("/recognize", files=files, data=data, timeout=_LIMIT_SECONDS)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("attacked")
    bundle = write_tiny_bundle(folder / "tiny")
    video = write_numbered_video(folder / "sound.mp4", num_frames=8).read_bytes()
    with run_server(bundle, log=folder / "log", python=sys.executable) as client:
        yield Served(client, folder / "log", video)
        assert client.get("/readyz").status_code == 200
        assert client.get("/healthz").status_code == 200
        text = (folder / "log").read_text()
        assert "Traceback" not in text
        assert "passwd:" not in text


@pytest.mark.parametrize(("name", "request_bytes"), [*http_attacks()], ids=[name for name, _ in http_attacks()])
def test_bytes_that_are_no_request(served: Served, name: str, request_bytes: bytes) -> None:
    assert served.send(request_bytes) == HTTP.get(name, 400)


@pytest.mark.parametrize(("name", "request_bytes"), [*form_attacks()], ids=[name for name, _ in form_attacks()])
def test_bodies_that_are_no_form(served: Served, name: str, request_bytes: bytes) -> None:
    assert served.send(request_bytes) == FORMS.get(name, 400)


@pytest.mark.parametrize(("name", "data"), [*field_attacks()], ids=[name for name, _ in field_attacks()])
def test_fields_out_of_bounds(served: Served, name: str, data: dict[str, str]) -> None:
    answer = served.ask(data)
    assert answer.status_code == (404 if name.startswith("label_set") else 400 if name in MALFORMED else 422)
    assert answer.headers["content-type"] == "application/problem+json"
    # What was sent is named, and never echoed whole.
    assert len(answer.content) < 2_000


def test_files_that_are_no_videos(served: Served, tmp_path: Path) -> None:
    for name, content in video_attacks(tmp_path):
        answer = served.ask({"labels": LABELS}, video=content)
        assert answer.status_code == VIDEOS.get(name, 415), name
        assert "root:" not in answer.text, name


@pytest.mark.parametrize("name", PATHS)
def test_paths_that_lead_elsewhere(served: Served, name: str) -> None:
    assert served.send(path_request(PATHS[name])) == ANSWERED_PATHS.get(name, 404)


def test_sound_request_is_answered_after_all_that(served: Served) -> None:
    assert served.ask({"labels": LABELS}).status_code == 200
