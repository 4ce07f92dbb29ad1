"""Where no filter of system calls can be had, most attacks still come to nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.contract.errors import UndecodableVideoError
from service.decoding.pool import DecodePool
from tests.service.decoding.asking import attack
from tests.service.decoding.rules import RULES

LANDLOCK_WITH_SIGNALS = 6
# What the other guards see to: Landlock, the limits, and the user.
REFUSED_UNFILTERED = {
    "open a file": "EACCES",
    "open a file for writing": "EACCES",
    "open the gateway's environment": "EACCES",
    "open the gateway's memory": "EACCES",
    "list the processes": "EACCES",
    "probe the gateway": "EPERM",
    "fork": "EAGAIN",
    "start a thread": "RuntimeError",
    "cut the room": "EPERM",
    "take much memory": "MemoryError",
    "raise its own limit of files": "ValueError",
}


@pytest.fixture(scope="module")
def pool() -> Iterator[DecodePool]:
    decode_pool = DecodePool(RULES, num_workers=1, entry="tests.service.decoding.entries.hostile_unfiltered")
    report = decode_pool.start()
    if report.landlock_version < LANDLOCK_WITH_SIGNALS:
        pytest.skip(f"the kernel's Landlock has version {report.landlock_version}")
    yield decode_pool
    decode_pool.close()


@pytest.mark.parametrize(("name", "answer"), REFUSED_UNFILTERED.items())
async def test_without_a_filter_the_other_guards_hold(pool: DecodePool, tmp_path: Path, name: str, answer: str) -> None:
    with pytest.raises(UndecodableVideoError, match=f"^refused with {answer}$"):
        await attack(pool, name, folder=tmp_path)
