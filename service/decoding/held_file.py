"""A video as a worker holds it: an open descriptor, read at offsets of its own, with no name and nothing to open."""

import os


class HeldFile:
    """A readable, seekable file around a descriptor that somebody else opened and closes.

    The position lives here and not in the descriptor, which other processes may share.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._num_bytes = os.lseek(descriptor, 0, os.SEEK_END)
        self._offset = 0

    def read(self, size: int = -1, /) -> bytes:
        """Read at most ``size`` bytes; all that is left where it is negative.

        Raises:
            OSError: the descriptor is no file.
        """
        left = max(self._num_bytes - self._offset, 0)
        content = os.pread(self._descriptor, left if size < 0 else size, self._offset)
        self._offset += len(content)
        return content

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to an offset from the start, the position or the end.

        Raises:
            ValueError: it lies before the start.
        """
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._offset, os.SEEK_END: self._num_bytes}[whence]
        if base + offset < 0:
            raise ValueError(f"offset {base + offset} lies before the start of the file; give 0 or more")
        self._offset = base + offset
        return self._offset

    def tell(self) -> int:
        """Answer the offset."""
        return self._offset
