"""Random access to the bytes of an open file."""

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


class ByteSource:
    """Reads parts of a file, which may end before them."""

    def __init__(self, file: SeekableBytes) -> None:
        self._file = file
        self.num_bytes = file.seek(0, 2)

    def read(self, offset: int, num_bytes: int) -> bytes:
        """Read at most so many bytes from an offset on."""
        self._file.seek(offset)
        return self._file.read(num_bytes)
