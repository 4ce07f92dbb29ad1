"""The processes below this one that belong to a decode pool, as the kernel lists them."""

import os
import time
from collections.abc import Callable
from pathlib import Path

_PROCESSES = Path("/proc")


def nursery_ids() -> list[int]:
    """The nurseries of this process; one for each pool."""
    return [child for child in children_of(os.getpid()) if b"service.decoding.nursery" in _command(child)]


def worker_ids() -> list[int]:
    """The workers of these nurseries, oldest first."""
    return sorted(worker for nursery in nursery_ids() for worker in children_of(nursery))


def read_status(process: int) -> dict[str, str]:
    """What the kernel says of a process; nothing where it is gone."""
    try:
        text = (_PROCESSES / str(process) / "status").read_text(encoding="utf-8")
    except OSError:
        return {}
    return dict(line.split(":\t", 1) for line in text.splitlines())


def computing_seconds(process: int) -> float:
    """How long a process has computed; 0 where it is gone."""
    try:
        fields = (_PROCESSES / str(process) / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_until(condition: Callable[[], bool], *, seconds: float = 20.0) -> None:
    """Wait until something holds; fail where it does not come about."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it did not come about"
        time.sleep(0.005)


def children_of(parent: int) -> list[int]:
    """The processes that a process has started itself."""
    found = []
    for entry in _PROCESSES.iterdir():
        if entry.name.isdecimal() and _parent(entry) == parent:
            found.append(int(entry.name))
    return found


def _parent(entry: Path) -> int | None:
    try:
        fields = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[1])


def _command(process: int) -> bytes:
    try:
        return (_PROCESSES / str(process) / "cmdline").read_bytes()
    except OSError:
        return b""
