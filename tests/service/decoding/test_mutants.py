"""Damaged videos through the real pool: each is answered, no worker falls, and nothing happens that nobody foresaw.

``.ci/fuzz`` runs more of them: TESTS_NUM_MUTANTS says how many, TESTS_MUTANT_SEED which.
"""

import asyncio
import hashlib
import itertools
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from service.contract.errors import UndecodableVideoError, UnsupportedVideoError, VideoTooLargeError
from service.decoding.pool import DecodePool
from tests.material import VIDEOS
from tests.mutants import CHANGES, breed
from tests.service.decoding.asking import read
from tests.service.decoding.encoded import ENCODINGS, write_encoded
from tests.service.decoding.rules import RULES
from tests.videos import read_number, write_numbered_video

NUM_MUTANTS = int(os.environ.get("TESTS_NUM_MUTANTS", "150"))
SEED = int(os.environ.get("TESTS_MUTANT_SEED", "0"))
_MAX_REAL_BYTES = 200_000
_NUM_AT_ONCE = 2


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("originals")
    made = [write_encoded(folder, name).read_bytes() for name in ENCODINGS]
    # Real videos hold what no encoder of ours writes; a few mutants would not get to it.
    real = [path.read_bytes() for path in sorted(VIDEOS.rglob("*.*")) if path.stat().st_size <= _MAX_REAL_BYTES]
    return [*made, *real] if NUM_MUTANTS > 1000 else made


def test_a_seed_gives_the_same_mutants_every_time() -> None:
    def digest(seed: int) -> str:
        mutants = itertools.islice(breed([bytes(range(256)) * 40, b"another" * 500], seed=seed), 200)
        return hashlib.sha256(b"".join(mutants)).hexdigest()

    assert digest(0) == digest(0) != digest(1)


def test_mutants_differ_from_their_originals_in_every_way() -> None:
    original = bytes(range(256)) * 40
    mutants = list(itertools.islice(breed([original], seed=0), 200))
    assert sum(mutant != original for mutant in mutants) > 195
    assert len(set(mutants)) > 195
    assert any(len(mutant) < len(original) for mutant in mutants)
    assert any(len(mutant) > len(original) for mutant in mutants)
    assert len(set(CHANGES)) == 8


async def test_mutants_harm_nobody(
    originals: Sequence[bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good = write_numbered_video(tmp_path / "good.mp4", num_frames=20)
    mutants = enumerate(itertools.islice(breed(originals, seed=SEED), NUM_MUTANTS))
    outcomes: Counter[str] = Counter()
    pool = DecodePool(RULES, num_workers=_NUM_AT_ONCE)
    pool.start()

    async def find_outcome(path: Path) -> str:
        try:
            views = await read(pool, path, timeout_seconds=60.0)
        except (UnsupportedVideoError, UndecodableVideoError, VideoTooLargeError) as error:
            return type(error).__name__
        assert views.views.shape == (1, 4, 64, 64, 3)
        return "degraded" if views.degraded else "read"

    async def read_mutants() -> None:
        for number, mutant in mutants:
            path = tmp_path / f"mutant-{number}"
            path.write_bytes(mutant)
            outcomes[await find_outcome(path)] += 1
            path.unlink()  # what harms stays to be looked at

    await asyncio.gather(*(read_mutants() for _ in range(_NUM_AT_ONCE)))
    views = await read(pool, good, timeout_seconds=60.0)
    assert [read_number(frame) for frame in views.views[0]] == [2, 7, 12, 17]
    assert sum(outcomes.values()) == NUM_MUTANTS
    assert {"read", "degraded", "UnsupportedVideoError", "UndecodableVideoError"} <= outcomes.keys()
    assert caplog.text == ""
    assert {cause for cause, number in pool.deaths.items() if number} <= {"renewed"}
    pool.close()
    print(dict(outcomes))  # noqa: T201 - shown where more of them are run
