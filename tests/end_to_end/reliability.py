"""What a service does under more load than it can work off, and beside clients that are slow, silent or greedy.

``.ci/bench reliability --seconds 300`` serves the demo bundle, asks it from this other process and prints JSON. In an
open loop of 1, 2 and 5 times what it works off: whether every request had a valid answer, and how long the accepted
ones took. For one healthy client beside many slow ones: how its times compare with those alone. A miniature is in
``test_reliability``.
"""

import argparse
import asyncio
import itertools
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from tests.end_to_end.server import DEMO, run_server
from tests.videos import Encoding, as_another_file, write_numbered_video

_FIELDS = {"label_set": "motion_shapes", "top_k": "3"}
_NUM_CLIENTS = 4
_LIMIT = httpx.Timeout(90.0)
# What may stand in place of an answer, with the time to come back.
_REFUSALS = (429, 503)


@dataclass(frozen=True)
class Reply:
    """One request: when it was due, how long it took from then on, its status, and whether it is a valid answer."""

    due_at: float
    seconds: float
    status: int
    is_valid: bool


@dataclass(frozen=True)
class Summary:
    """Requests of one kind; ``num_invalid`` had no answer, a wrong one, or a refusal without the time to come back."""

    num_requests: int
    num_answered: int
    num_invalid: int
    statuses: dict[int, int]
    p50_seconds: float
    p99_seconds: float

    @classmethod
    def of(cls, replies: list[Reply]) -> "Summary":
        """Count replies."""
        seconds = [each.seconds for each in replies if each.status == 200] or [float("nan")]
        return cls(
            num_requests=len(replies),
            num_answered=sum(each.status == 200 for each in replies),
            num_invalid=sum(not each.is_valid for each in replies),
            statuses=dict(Counter(each.status for each in replies)),
            p50_seconds=round(float(np.percentile(seconds, 50)), 3),
            p99_seconds=round(float(np.percentile(seconds, 99)), 3),
        )


class Asker:
    """Asks a service about a video that is new each time, and knows the right answer."""

    def __init__(self, url: str, video: bytes) -> None:
        self.url = url
        self._video = video
        self._numbers = itertools.count()
        self._expected: Any = None

    async def ask(self, client: httpx.AsyncClient, *, due_at: float | None = None) -> Reply:
        """Ask once."""
        due_at = time.monotonic() if due_at is None else due_at
        content = as_another_file(self._video, mark=f"{next(self._numbers)}-{due_at}")
        try:
            response = await client.post(f"{self.url}/recognize", files={"video": content}, data=_FIELDS)
        except httpx.TransportError:
            return Reply(due_at, time.monotonic() - due_at, 0, is_valid=False)
        is_valid = response.status_code in _REFUSALS and "retry-after" in response.headers
        if response.status_code == 200:
            ranked = [(each["label"], round(each["score"], 4)) for each in response.json()["predictions"]]
            self._expected = self._expected or ranked
            is_valid = ranked == self._expected
        return Reply(due_at, time.monotonic() - due_at, response.status_code, is_valid)

    async def ask_in_turn(self, *, seconds: float, num_clients: int) -> list[Reply]:
        """Ask from some clients, each as soon as it was answered."""
        end = time.monotonic() + seconds

        async def go_on(client: httpx.AsyncClient) -> list[Reply]:
            replies = []
            while time.monotonic() < end:
                replies.append(await self.ask(client))
            return replies

        async with _client() as client:
            return [each for own in await asyncio.gather(*(go_on(client) for _ in range(num_clients))) for each in own]

    async def ask_at_a_rate(self, *, per_second: float, seconds: float) -> list[Reply]:
        """Ask at fixed times, however long the answers take."""
        began_at = time.monotonic()
        asking: list[asyncio.Task[Reply]] = []
        async with _client() as client:
            for number in range(round(per_second * seconds)):
                due_at = began_at + number / per_second
                await asyncio.sleep(max(due_at - time.monotonic(), 0.0))
                asking.append(asyncio.create_task(self.ask(client, due_at=due_at)))
            return await asyncio.gather(*asking)


class Crowd:
    """Clients that a service has to bear beside the others."""

    def __init__(self, url: str, *, num_dripping: int, num_half_open: int, num_uploads: int, upload_bytes: int) -> None:
        address = httpx.URL(url)
        self._address = (address.host, address.port or 80)
        self._kinds = {
            self._drip: num_dripping,
            self._open_half: num_half_open,
            self._upload: num_uploads,
        }
        self._upload_bytes = upload_bytes
        self.num_ended = 0

    @asynccontextmanager
    async def around(self) -> AsyncIterator[None]:
        """Keep all of them at it for as long as the block runs: who is sent away comes back."""
        tasks = [asyncio.create_task(self._again(kind)) for kind, number in self._kinds.items() for _ in range(number)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _again(self, kind: Any) -> None:  # noqa: ANN401
        while True:
            try:
                reader, writer = await asyncio.open_connection(*self._address)
            except OSError:
                await asyncio.sleep(0.2)
                continue
            try:
                await asyncio.wait_for(_until_first(kind(writer), reader.read()), timeout=120.0)
            except (OSError, TimeoutError):
                pass
            finally:
                writer.transport.abort()
                self.num_ended += 1
            await asyncio.sleep(0.1)

    async def _drip(self, writer: asyncio.StreamWriter) -> None:
        writer.write(_head(10_000_000))
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(2.0)

    async def _open_half(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"POST /recognize HTTP/1.1\r\nHost: loc")
        await asyncio.sleep(120.0)

    async def _upload(self, writer: asyncio.StreamWriter) -> None:
        """Send a large file that is no video, a piece at a time."""
        part = b'--edge\r\nContent-Disposition: form-data; name="video"; filename="a"\r\n\r\n'
        end = b"\r\n--edge--\r\n"
        writer.write(_head(len(part) + self._upload_bytes + len(end)) + part)
        for start in range(0, self._upload_bytes, 65_536):
            writer.write(bytes(min(65_536, self._upload_bytes - start)))
            await writer.drain()
            await asyncio.sleep(0.05)
        writer.write(end)
        await writer.drain()
        await asyncio.sleep(60.0)


async def _until_first(*works: Coroutine[Any, Any, Any]) -> None:
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _head(length: int) -> bytes:
    return (
        b"POST /recognize HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=edge\r\n"
        b"Content-Length: %d\r\n\r\n" % length
    )


def _client() -> httpx.AsyncClient:
    return httpx.AsyncClient(timeout=_LIMIT, limits=httpx.Limits(max_connections=None))


async def measure(asker: Asker, *, seconds: float, crowd: Crowd) -> dict[str, Any]:
    """Measure everything, each part for so many seconds."""
    alone = await asker.ask_in_turn(seconds=seconds, num_clients=_NUM_CLIENTS)
    per_second = len(alone) / seconds
    found: dict[str, Any] = {"worked_off_per_second": round(per_second, 2), "load": {}}
    for factor in (1, 2, 5):
        replies = await asker.ask_at_a_rate(per_second=per_second * factor, seconds=seconds)
        found["load"][f"{factor}x"] = asdict(Summary.of(replies))
    healthy = Summary.of(await asker.ask_in_turn(seconds=seconds, num_clients=1))
    async with crowd.around():
        await asyncio.sleep(1.0)
        beside = Summary.of(await asker.ask_in_turn(seconds=seconds, num_clients=1))
    found["healthy_client"] = {"alone": asdict(healthy), "beside_a_crowd": asdict(beside), "sent_away": crowd.num_ended}
    return found


def run(folder: Path, *, seconds: float, **crowd: int) -> dict[str, Any]:
    """Serve the demo bundle and measure."""
    encoding = Encoding(size=(320, 240))
    video = write_numbered_video(folder / "clip.mp4", num_frames=100, encoding=encoding).read_bytes()
    with run_server(DEMO, log=folder / "log", settings={"DUOACT_LOG_LEVEL": "error"}) as client:
        url = str(client.base_url)
        return asyncio.run(measure(Asker(url, video), seconds=seconds, crowd=Crowd(url, **crowd)))


def main() -> None:
    """Read arguments and print the findings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0, help="of each of the six parts")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = run(
            Path(folder),
            seconds=arguments.seconds,
            num_dripping=100,
            num_half_open=200,
            num_uploads=50,
            upload_bytes=50_000_000,
        )
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
