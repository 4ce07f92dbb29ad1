"""Shared memory is used where it helps and can be had; elsewhere messages carry the bytes."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from service.contract.manifest import open_bundle
from service.encoders.triton.connection import TritonConnection
from service.encoders.triton.memory import SharedViews, is_forgotten
from tests.end_to_end.server import free_port
from tests.service.encoders.triton.stand_in import TritonStandIn, serve_stand_in
from tests.tiny_graphs import write_tiny_bundle

LARGE = np.arange(1 << 16, dtype=np.uint8)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[tuple[TritonStandIn, SharedViews]]:
    async with serve_stand_in(open_bundle(write_tiny_bundle(tmp_path / "tiny"))) as (stand_in, address):
        views = SharedViews(TritonConnection(address))
        yield stand_in, views
        views.close()


async def lend(views: SharedViews, array: np.ndarray) -> str | None:
    async with views.lend(array, timeout_seconds=5.0) as name:
        return name


async def test_array_lies_where_the_server_was_told(server: tuple[TritonStandIn, SharedViews]) -> None:
    stand_in, views = server
    async with views.lend(LARGE, timeout_seconds=5.0) as name:
        assert stand_in.regions == {name: (f"/{name}", LARGE.nbytes)}
        assert Path("/dev/shm", str(name)).read_bytes() == LARGE.tobytes()
    assert await lend(views, LARGE[::-1]) == name
    views.close()
    assert not Path("/dev/shm", str(name)).exists()


async def test_small_array_is_not_worth_it(server: tuple[TritonStandIn, SharedViews]) -> None:
    assert await lend(server[1], LARGE[:-1]) is None
    assert server[0].regions == {}


async def test_server_that_was_started_anew_is_told_again(server: tuple[TritonStandIn, SharedViews]) -> None:
    stand_in, views = server
    name = await lend(views, LARGE)
    stand_in.regions.clear()
    views.forget()
    assert await lend(views, LARGE) == name
    assert list(stand_in.regions) == [name]


async def test_region_that_the_server_knows_already_is_used(server: tuple[TritonStandIn, SharedViews]) -> None:
    stand_in, views = server
    name = await lend(views, LARGE)
    views.forget()
    assert await lend(views, LARGE) == name
    assert list(stand_in.regions) == [name]


async def test_what_earlier_processes_left_is_let_go(server: tuple[TritonStandIn, SharedViews]) -> None:
    stand_in, views = server
    stand_in.regions |= {"duoact-gone": ("/duoact-gone", 1), "others": ("/others", 1)}
    assert set(stand_in.regions) == {"duoact-gone", "others"}
    assert {await lend(views, LARGE), "others"} == set(stand_in.regions)


@pytest.mark.parametrize(
    "refusal",
    [
        (grpc.StatusCode.INVALID_ARGUMENT, "Unable to open shared memory region"),
        (grpc.StatusCode.UNAVAILABLE, "This protocol is restricted, expecting header 'triton-grpc-protocol-key'"),
    ],
)
async def test_server_that_refuses_is_not_asked_again(
    server: tuple[TritonStandIn, SharedViews], refusal: tuple[grpc.StatusCode, str]
) -> None:
    stand_in, views = server
    stand_in.memory_refusal = refusal
    assert await lend(views, LARGE) is None
    stand_in.memory_refusal = None
    assert await lend(views, LARGE) is None


async def test_calls_beyond_the_regions_send_their_bytes(server: tuple[TritonStandIn, SharedViews]) -> None:
    async with AsyncExitStack() as stack:
        calls = [server[1].lend(LARGE, timeout_seconds=5.0) for _ in range(10)]
        names = [await stack.enter_async_context(call) for call in calls]
    assert names[8:] == [None, None]
    assert len(set(names[:8])) == 8


async def test_memory_that_cannot_be_had_is_done_without(server: tuple[TritonStandIn, SharedViews]) -> None:
    impossible = np.broadcast_to(np.uint8(0), (1 << 62,))
    assert await lend(server[1], impossible) is None


async def test_server_that_is_away_is_an_error() -> None:
    views = SharedViews(TritonConnection(f"127.0.0.1:{free_port()}"))
    with pytest.raises(InferenceServerException, match="UNAVAILABLE"):
        await lend(views, LARGE)
    views.close()


@pytest.mark.parametrize(
    ("message", "expected"),
    [("Unable to find shared memory region: 'duoact-1'", True), ("unexpected shape", False), (None, False)],
)
def test_forgotten_region_is_told_from_other_failures(message: str | None, expected: bool) -> None:
    assert is_forgotten(InferenceServerException(message, "StatusCode.INVALID_ARGUMENT")) == expected
