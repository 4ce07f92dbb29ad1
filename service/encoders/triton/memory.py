"""Views handed to a Triton server on the same machine through shared memory, in place of bytes in a message.

It saves the copies into and out of the message, and needs a ``/dev/shm`` that both sides see: the same host, and for
containers a shared IPC namespace. Where the server cannot open a region, messages carry the bytes as they do otherwise.
"""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import numpy as np
import structlog
from tritonclient.utils import InferenceServerException

from service.encoders.triton.connection import TritonConnection

_logger = structlog.get_logger(__name__)
_PREFIX = "duoact-"
_DIRECTORY = Path("/dev/shm")
# As many calls at a time use regions; further ones send their bytes.
_NUM_REGIONS = 8
# Below this a message is as quick.
_MIN_BYTES = 1 << 16
_REFUSALS = ("StatusCode.INVALID_ARGUMENT", "StatusCode.INTERNAL", "StatusCode.UNIMPLEMENTED")


def is_forgotten(error: InferenceServerException) -> bool:
    """Whether a call failed because the server, started anew, does not know the region it names."""
    return "shared memory region" in (error.message() or "").lower()


@dataclass
class _Region:
    memory: SharedMemory
    is_registered: bool = False


class SharedViews:
    """Regions of memory that this process fills and the server reads.

    A region is filled again as soon as its call has ended, even if the server still reads it for a call that was given
    up: nobody reads that answer, and rows of a batch do not depend on one another.
    """

    def __init__(self, connection: TritonConnection) -> None:
        self._connection = connection
        self._regions: list[_Region] = []
        self._free: list[_Region] = []
        self._is_refused = False

    @asynccontextmanager
    async def lend(self, array: np.ndarray, *, timeout_seconds: float) -> AsyncIterator[str | None]:
        """Put an array where the server sees it, and give the region's name; None where the message must carry it.

        Raises:
            InferenceServerException: the server does not answer.
        """
        region = None if self._is_refused or array.nbytes < _MIN_BYTES else self._take(array.nbytes)
        if region is None:
            yield None
            return
        try:
            is_usable = region.is_registered or await self._register(region, timeout_seconds=timeout_seconds)
            if is_usable:
                np.ndarray(array.shape, array.dtype, buffer=region.memory.buf)[...] = array
            yield region.memory.name if is_usable else None
        finally:
            self._free.append(region)

    def forget(self) -> None:
        """Have every region registered again, as a server that was started anew needs."""
        for region in self._regions:
            region.is_registered = False

    def close(self) -> None:
        """Give the memory back."""
        for region in self._regions:
            region.memory.close()
            region.memory.unlink()
        self._regions, self._free = [], []

    def _take(self, num_bytes: int) -> _Region | None:
        """A free region that is large enough, or a new one; none where all are in use or memory is short."""
        fitting = [region for region in self._free if region.memory.size >= num_bytes]
        if fitting:
            self._free.remove(fitting[0])
            return fitting[0]
        if len(self._regions) == _NUM_REGIONS:
            return None
        try:
            memory = SharedMemory(f"{_PREFIX}{secrets.token_hex(8)}", create=True, size=num_bytes)
        except OSError as error:
            _logger.warning("no shared memory", error=str(error))
            return None
        self._regions.append(_Region(memory))
        return self._regions[-1]

    async def _register(self, region: _Region, *, timeout_seconds: float) -> bool:
        client, name = self._connection.client, region.memory.name
        try:
            if not any(known.is_registered for known in self._regions):
                await self._unregister_abandoned(timeout_seconds=timeout_seconds)
            await client.register_system_shared_memory(
                name, f"/{name}", region.memory.size, client_timeout=timeout_seconds
            )
        except InferenceServerException as error:
            if error.status() in _REFUSALS or "restricted" in (error.message() or ""):
                _logger.warning("shared memory refused, messages carry views", error=error.message())
                self._is_refused = True
                return False
            # Another call of this process may have registered it meanwhile.
            if error.status() != "StatusCode.ALREADY_EXISTS":
                raise
        region.is_registered = True
        return True

    async def _unregister_abandoned(self, *, timeout_seconds: float) -> None:
        """Have the server let go of what earlier processes registered and left."""
        client = self._connection.client
        status = await client.get_system_shared_memory_status(client_timeout=timeout_seconds)
        for name in status.regions:
            if name.startswith(_PREFIX) and not (_DIRECTORY / name).exists():
                await client.unregister_system_shared_memory(name, client_timeout=timeout_seconds)
