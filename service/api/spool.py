"""Where uploads lie while they are asked about: files without a name, which end with whoever holds them.

All uploads together have a quota. What goes wrong with the folder is told apart from a full one.
"""

import asyncio
import errno
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from service.contract.errors import DuoActError, StorageFullError, StorageUnavailableError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# What is written to see whether anything can be: one block of a file system.
_PROBE = bytes(4096)


class Spool:
    """The folder of uploads; used by any thread.

    Args:
        directory: the folder, which must exist.
        max_bytes: what all uploads may hold together.
    """

    def __init__(self, directory: Path, *, max_bytes: int) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self.num_bytes = 0

    @contextmanager
    def open(self) -> Iterator["SpooledFile"]:
        """Open a file for one upload; it is gone at the end of the block, or when this process ends.

        Raises:
            StorageFullError: the folder has no room.
            StorageUnavailableError: the folder cannot be written to.
        """
        try:
            # Linux makes it without a name (O_TMPFILE); a file system that cannot loses the name at once.
            file = tempfile.TemporaryFile(prefix="duoact-", dir=self._directory, buffering=0)  # noqa: SIM115
        except OSError as error:
            raise _explain(error) from error
        spooled = SpooledFile(self, file)
        try:
            yield spooled
        finally:
            self._release(spooled.num_bytes)
            file.close()

    async def check(self) -> None:
        """Write a little and throw it away.

        Raises:
            StorageFullError, StorageUnavailableError: as ``open``.
        """
        await asyncio.to_thread(self._write_probe)

    def reserve(self, num_bytes: int) -> None:
        """Count bytes of an upload before they are written.

        Raises:
            StorageFullError: the quota is used up.
        """
        with self._lock:
            if self.num_bytes + num_bytes > self._max_bytes:
                raise StorageFullError(
                    f"uploads hold {self.num_bytes} bytes and this one needs {num_bytes} more; at most "
                    f"{self._max_bytes} are allowed at the same time: try again later"
                )
            self.num_bytes += num_bytes

    def _release(self, num_bytes: int) -> None:
        with self._lock:
            self.num_bytes -= num_bytes

    def _write_probe(self) -> None:
        try:
            with tempfile.TemporaryFile(prefix="duoact-", dir=self._directory, buffering=0) as file:
                file.write(_PROBE)
        except OSError as error:
            raise _explain(error) from error


class SpooledFile:
    """The file of one upload."""

    def __init__(self, spool: Spool, file: IO[bytes]) -> None:
        self._spool = spool
        self._file = file
        self.num_bytes = 0

    @property
    def descriptor(self) -> int:
        """By which it is read while it is open."""
        return self._file.fileno()

    def write(self, content: bytes) -> None:
        """Append bytes.

        Raises:
            StorageFullError: the quota is used up, or the folder has no room.
            StorageUnavailableError: the folder cannot be written to.
        """
        self._spool.reserve(len(content))
        self.num_bytes += len(content)
        left = memoryview(content)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise _explain(error) from error


def _explain(error: OSError) -> DuoActError:
    """Say what is wrong with the folder, but not where it is: this travels to clients."""
    if error.errno in _FULL:
        return StorageFullError("the folder of uploads is full; try again later")
    return StorageUnavailableError(f"the folder of uploads cannot be written to: {error.strerror}; try again later")
