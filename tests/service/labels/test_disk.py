"""The label store beside the event loop: reading does not wait for writing, and neither goes on for nobody."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np

from service.encoders.base import TextEmbedding
from service.labels.disk import DiskLabels
from service.labels.entries import TextKey
from service.labels.store import LabelStore
from tests.encoders import unit_vector

KEY = TextKey("en", "a" * 64, "a video of {}", "label", "running")
KEYS = [KEY._replace(text=str(number)) for number in range(2000)]
EMBEDDING = TextEmbedding(unit_vector("x"), unit_vector("y")[None].astype(np.float16))
# A mebibyte each.
LARGE = TextEmbedding(np.zeros(1 << 18, dtype=np.float32), np.zeros((0, 1 << 18), dtype=np.float16))


class SlowStore(LabelStore):
    """A store on a disk that takes its time, until it is told to go on."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, max_bytes=256 << 20)
        self.going_on = threading.Event()
        self.num_read = 0
        self.written: list[TextKey] = []

    def read(self, keys: Sequence[TextKey]) -> dict[TextKey, TextEmbedding]:
        self.num_read += len(keys)
        time.sleep(0.02)
        return super().read(keys)

    def write(self, entries: Mapping[TextKey, TextEmbedding]) -> None:
        self.going_on.wait()
        self.written.extend(entries)
        super().write(entries)


@asynccontextmanager
async def open_disk(tmp_path: Path) -> AsyncIterator[tuple[DiskLabels, SlowStore]]:
    store = SlowStore(tmp_path / "labels.sqlite")
    disk = DiskLabels(store)
    await disk.open()
    yield disk, store
    store.going_on.set()
    await disk.close()


async def test_what_waits_to_be_written_is_written_before_the_end(tmp_path: Path) -> None:
    async with open_disk(tmp_path) as (disk, _):
        for key in KEYS[:20]:
            disk.write({key: EMBEDDING})
    async with open_disk(tmp_path) as (disk, _):
        assert len(await disk.read(KEYS)) == 20


async def test_reading_does_not_wait_for_writing(tmp_path: Path) -> None:
    async with open_disk(tmp_path) as (disk, store):
        disk.write({KEY: EMBEDDING})
        assert await asyncio.wait_for(disk.read([KEY]), 5.0) == {}
        assert store.written == []


async def test_what_waits_to_be_written_is_bounded_in_bytes(tmp_path: Path) -> None:
    async with open_disk(tmp_path) as (disk, store):
        for key in KEYS[:50]:
            disk.write({key: LARGE})
        store.going_on.set()
        while await disk.read(KEYS[31:32]) == {}:
            await asyncio.sleep(0.01)
        disk.write({KEYS[60]: EMBEDDING})
    assert store.written == [*KEYS[:32], KEYS[60]]


async def test_reading_ends_soon_when_nobody_waits(tmp_path: Path) -> None:
    async with open_disk(tmp_path) as (disk, store):
        reading = asyncio.create_task(disk.read(KEYS))
        await asyncio.sleep(0.01)
        reading.cancel()
        await asyncio.wait([reading])
        await asyncio.sleep(0.1)
        assert store.num_read <= 512
