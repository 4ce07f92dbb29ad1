"""Files that appear whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def write_whole(path: Path) -> Iterator[Path]:
    """Give a place beside a file to write it to; it takes the file's name when the block ends, and goes when it fails.

    The place has the same suffix, by which some writers tell the format.
    """
    unfinished = path.with_name(f".partial.{path.name}")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
