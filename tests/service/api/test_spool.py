"""Uploads have no names, a quota, and a folder that may be full, read-only or gone."""

import errno
import io
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from service.api.spool import Spool
from service.contract.errors import DuoActError, StorageFullError, StorageUnavailableError
from tests.conftest import RunService

FILES = {"video": ("a", b"pixels" * 1000)}
LABELS = {"labels": json.dumps(["moving left"])}


def test_file_holds_what_is_written_and_has_no_name(tmp_path: Path) -> None:
    spool = Spool(tmp_path, max_bytes=100)
    with spool.open() as file:
        file.write(b"one")
        file.write(b"two")
        assert os.pread(file.descriptor, 100, 0) == b"onetwo"
        assert (list(tmp_path.iterdir()), spool.num_bytes) == ([], 6)
    assert spool.num_bytes == 0


def test_all_uploads_share_a_quota(tmp_path: Path) -> None:
    spool = Spool(tmp_path, max_bytes=10)
    with spool.open() as first, spool.open() as second:
        first.write(bytes(7))
        with pytest.raises(StorageFullError, match="uploads hold 7 bytes and this one needs 4 more; at most 10 are"):
            second.write(bytes(4))
        second.write(bytes(3))
    with spool.open() as third:
        third.write(bytes(10))


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, StorageFullError),
        (errno.EDQUOT, StorageFullError),
        (errno.EIO, StorageUnavailableError),
        (errno.EROFS, StorageUnavailableError),
    ],
)
async def test_what_is_wrong_with_the_folder_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[DuoActError]
) -> None:
    class Broken(io.FileIO):
        """A file that opens and takes nothing."""

        def write(self, _: object) -> int:
            raise OSError(number, os.strerror(number))

    spool = Spool(tmp_path, max_bytes=1 << 20)
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Broken("/dev/null", "r+"))
    with spool.open() as file, pytest.raises(kind):
        file.write(b"pixels")
    with pytest.raises(kind):
        await spool.check()


async def test_full_device_is_a_full_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: io.FileIO("/dev/full", "r+"))
    with pytest.raises(StorageFullError, match="the folder of uploads is full; try again later"):
        await Spool(tmp_path, max_bytes=1 << 20).check()


async def ask(run_service: RunService, directory: Path, **settings: Any) -> tuple[int, dict[str, Any], list[str]]:  # noqa: ANN401
    """Ask a service whose folder of uploads is then changed by ``spoil``; returns the answer, and what is missing."""
    spoil = settings.pop("spoil", lambda: None)
    async with run_service(upload_dir=directory, **settings) as service:
        spoil()
        answer = await service.client.post("/recognize", files=FILES, data=LABELS)
        await service.app.state.gateway.readiness.replay()
        ready = await service.client.get("/readyz")
        assert ready.status_code == (503 if ready.json()["missing"] else 200)
        return answer.status_code, answer.json(), ready.json()["missing"]


async def test_folder_that_is_gone_is_a_503_and_makes_the_service_unready(
    run_service: RunService, tmp_path: Path
) -> None:
    directory = tmp_path / "uploads"
    directory.mkdir()
    status, problem, missing = await ask(run_service, directory, spoil=directory.rmdir)
    cause = "the folder of uploads cannot be written to: No such file or directory; try again later"
    assert (status, problem["type"], problem["detail"]) == (503, "urn:duoact:problem:storage-unavailable", cause)
    assert missing == [f"uploads: {cause}"]
    assert str(directory) not in json.dumps(problem)


async def test_quota_that_is_used_up_is_a_507_and_says_nothing_of_readiness(
    run_service: RunService, tmp_path: Path
) -> None:
    status, problem, missing = await ask(run_service, tmp_path, upload_quota_bytes=100)
    assert (status, problem["type"], missing) == (507, "urn:duoact:problem:storage-full", [])
    assert "this one needs 6000 more; at most 100 are allowed" in problem["detail"]


async def test_folder_that_comes_back_makes_the_service_ready_again(run_service: RunService, tmp_path: Path) -> None:
    directory = tmp_path / "uploads"
    directory.mkdir()
    async with run_service(upload_dir=directory) as service:
        directory.rmdir()
        await service.app.state.gateway.readiness.replay()
        assert (await service.client.get("/readyz")).status_code == 503
        directory.mkdir()
        await service.app.state.gateway.readiness.replay()
        assert (await service.client.get("/readyz")).status_code == 200
        assert (await service.client.post("/recognize", files=FILES, data=LABELS)).status_code == 200
