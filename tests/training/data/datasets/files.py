"""Small official files, written as the data sets write theirs."""

from pathlib import Path


def write(path: Path, *lines: str, end: str = "\n") -> Path:
    """Write lines; missing folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(line + end for line in lines).encode())
    return path


def touch(directory: Path, *names: str) -> Path:
    """Make empty files that stand for videos."""
    for name in names:
        write(directory / name, name, end="")
    return directory
