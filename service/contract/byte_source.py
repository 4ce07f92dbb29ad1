"""Random access to the bytes of an open file."""

from os import SEEK_END
from typing import Protocol, runtime_checkable


@runtime_checkable
class SeekableBytes(Protocol):
    """An open binary file, whatever it is made of."""

    def read(self, size: int = -1, /) -> bytes:
        """Read at most ``size`` bytes."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to an offset."""

    def tell(self) -> int:
        """Answer the offset."""


class FirstBytes:
    """The first bytes of an open file, as a file of their own."""

    def __init__(self, file: SeekableBytes, num_bytes: int) -> None:
        self._file = file
        self._num_bytes = num_bytes

    def read(self, size: int = -1, /) -> bytes:
        """Read at most ``size`` bytes; all that is left where it is negative."""
        left = max(self._num_bytes - self._file.tell(), 0)
        return self._file.read(left if size < 0 else min(size, left))

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to an offset from the start, the position or the end."""
        return self._file.seek(self._num_bytes + offset) if whence == SEEK_END else self._file.seek(offset, whence)

    def tell(self) -> int:
        """Answer the offset."""
        return self._file.tell()


class ByteSource:
    """Reads parts of a file, which may end before them."""

    def __init__(self, file: SeekableBytes) -> None:
        self._file = file
        self.num_bytes = file.seek(0, SEEK_END)

    def read(self, offset: int, num_bytes: int) -> bytes:
        """Read at most so many bytes from an offset on."""
        self._file.seek(offset)
        return self._file.read(num_bytes)
