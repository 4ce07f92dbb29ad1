"""The most memory that this process and those below it have held at once, as Linux counts it."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROCESSES = Path("/proc")
_KIBIBYTE = 1024


@dataclass(frozen=True)
class PeakMemory:
    """Peak resident memory; ``decoding_bytes`` adds up the worker processes, each with the pages that all share."""

    service_bytes: int
    decoding_bytes: int


def read_service_memory(processes: Path = _PROCESSES) -> PeakMemory | None:
    """Read the peaks of the service, which is this process, and of all that run below it; None where unknown."""
    own = os.getpid()
    if not (processes / str(own) / "status").is_file():
        return None
    parents = dict(_read_parents(processes))
    below = [process for process in parents if own in _ancestors(process, parents)]
    return PeakMemory(
        service_bytes=_read_peak_bytes(processes / str(own)),
        decoding_bytes=sum(_read_peak_bytes(processes / str(process)) for process in below),
    )


def _read_parents(processes: Path) -> Iterator[tuple[int, int]]:
    for entry in processes.iterdir():
        # A process may end while the list of them is read.
        with suppress(OSError):
            if entry.name.isdecimal():
                # The name stands in parentheses and may itself hold some; state and parent follow the last one.
                yield int(entry.name), int((entry / "stat").read_text().rpartition(")")[2].split()[1])


def _ancestors(process: int, parents: dict[int, int]) -> Iterator[int]:
    while process in parents:
        process = parents[process]
        yield process


def _read_peak_bytes(process: Path) -> int:
    """The high-water mark of a process; 0 of one that ended, or that has no memory of its own any more."""
    with suppress(OSError):
        for line in (process / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * _KIBIBYTE
    return 0
