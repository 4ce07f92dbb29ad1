"""The label store beside the event loop: one thread that reads for answers, and one that writes when there is time."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial

from service.encoders.base import TextEmbedding
from service.labels.entries import TextKey
from service.labels.store import LabelStore

# Few enough that a request which is given up stops soon.
_CHUNK_KEYS = 256
# What may wait to be written; a disk that is slower than the text towers loses the rest.
_MAX_WAITING_BYTES = 32 << 20


class DiskLabels:
    """A label store that nobody waits for longer than it takes to read."""

    def __init__(self, store: LabelStore) -> None:
        self._store = store
        self._reading, self._writing = (
            ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"label_store_{name}") for name in ("read", "write")
        )
        self._waiting_bytes = 0

    async def open(self) -> None:
        """Open the store."""
        await _run(self._writing, self._store.open)

    async def close(self) -> None:
        """Close the store after what waits to be written."""
        self._reading.shutdown(cancel_futures=True)
        await _run(self._writing, self._store.close)
        self._writing.shutdown()

    async def read(self, keys: Sequence[TextKey]) -> dict[TextKey, TextEmbedding]:
        """Read what is stored of the keys."""
        found: dict[TextKey, TextEmbedding] = {}
        for start in range(0, len(keys), _CHUNK_KEYS):
            chunk = keys[start : start + _CHUNK_KEYS]
            found |= await asyncio.get_running_loop().run_in_executor(self._reading, self._store.read, chunk)
        return found

    def write(self, entries: Mapping[TextKey, TextEmbedding]) -> None:
        """Store entries some time later, unless too many wait already."""
        num_bytes = sum(entry.num_bytes for entry in entries.values())
        if self._waiting_bytes + num_bytes > _MAX_WAITING_BYTES:
            return
        self._waiting_bytes += num_bytes
        written = asyncio.get_running_loop().run_in_executor(self._writing, self._store.write, entries)
        written.add_done_callback(partial(self._settle, num_bytes))

    def _settle(self, num_bytes: int, written: asyncio.Future[None]) -> None:
        self._waiting_bytes -= num_bytes
        # A fault of the service itself shows in the log.
        written.result()


async def _run(thread: Executor, work: Callable[[], None]) -> None:
    await asyncio.get_running_loop().run_in_executor(thread, work)
