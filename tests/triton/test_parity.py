"""The same answers from Triton as from the embedded engine and from torch, on both graph formats."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from service.contract.errors import BundleError, EncoderUnavailableError
from service.contract.manifest import Bundle, open_bundle
from service.encoders.base import Encoders, TextEncoder
from service.encoders.embedded import EngineOptions, load_embedded_encoders
from service.encoders.triton.connection import TritonConnection
from tests.end_to_end.server import free_port
from tests.training.export.miniature import FUSION, LABELS, PROVENANCE, build_miniature
from tests.triton.conftest import StartServer
from tests.triton.encoders import asking
from tests.triton.server import TritonServer
from training.commands.menu import app
from training.export.bundle import export_bundle
from training.export.verify import verify_bundle

MAX_DIFFERENCE = 1e-4
TEXTS = ["circle growing", "a long green square that moves slowly to the left", "waving"]
CHINESE_TEXTS = ["圆形放大", "绿色方形向左移动", "右"]


@pytest.fixture(scope="module")
def embedded(demo: Bundle) -> Iterator[Encoders]:
    encoders = load_embedded_encoders(demo, options=EngineOptions(precision="f32", num_threads=1))
    yield encoders
    encoders.close()


@pytest.fixture(scope="module")
def server(start_server: StartServer, demo: Bundle) -> TritonServer:
    return start_server(demo.directory)


@pytest.fixture
async def remote(server: TritonServer, demo: Bundle) -> AsyncIterator[Encoders]:
    with asking(server, demo) as encoders:
        yield encoders


async def test_golden_vectors_come_back(remote: Encoders) -> None:
    await remote.check()


@pytest.mark.parametrize("num_views", [1, 4, 9])
async def test_video_features_are_equal(remote: Encoders, embedded: Encoders, num_views: int) -> None:
    views = np.random.default_rng(num_views).integers(0, 256, (num_views, 8, 48, 48, 3), dtype=np.uint8)
    found, expected = [await each.video.encode_video(views) for each in (remote, embedded)]
    np.testing.assert_allclose(found, expected, atol=MAX_DIFFERENCE)


@pytest.mark.parametrize(("language", "texts"), [("english", TEXTS), ("chinese", CHINESE_TEXTS)])
async def test_text_features_are_equal(remote: Encoders, embedded: Encoders, language: str, texts: list[str]) -> None:
    towers: list[TextEncoder] = [getattr(each, language) for each in (remote, embedded)]
    found, expected = [await tower.encode_texts(texts, template="{}") for tower in towers]
    for own, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(own.embedding, other.embedding, atol=MAX_DIFFERENCE)
        np.testing.assert_allclose(own.words, other.words, atol=MAX_DIFFERENCE)


def regions() -> set[str]:
    return {path.name for path in Path("/dev/shm").glob("duoact-*")}


async def registered(server: TritonServer) -> set[str]:
    client = TritonConnection(server.address).client
    return set((await client.get_system_shared_memory_status()).regions)


async def test_views_may_travel_through_shared_memory(server: TritonServer, demo: Bundle, embedded: Encoders) -> None:
    views = np.random.default_rng(0).integers(0, 256, (10, 8, 48, 48, 3), dtype=np.uint8)
    before = regions()
    with asking(server, demo, shared_memory=True) as encoders:
        pieces = [encoders.video.encode_video(piece) for piece in (views[:4], views[4:8], views[8:])]
        found = np.concatenate(await asyncio.gather(*pieces))
        own = regions() - before
        assert own
        assert own <= await registered(server)
    np.testing.assert_allclose(found, await embedded.video.encode_video(views), atol=MAX_DIFFERENCE)
    assert regions() == before
    with asking(server, demo, shared_memory=True) as encoders:
        await encoders.video.encode_video(views[:4])
        assert not own & await registered(server)


async def test_shared_memory_outlives_the_server(server: TritonServer, demo: Bundle, embedded: Encoders) -> None:
    views = np.random.default_rng(1).integers(0, 256, (4, 8, 48, 48, 3), dtype=np.uint8)
    with asking(server, demo, shared_memory=True) as encoders:
        await encoders.video.encode_video(views)
        server.kill()
        await asyncio.to_thread(server.start)
        async with asyncio.timeout(1.0):
            while (found := await encode_or_fail(encoders, views)) is None:
                await asyncio.sleep(0.02)
        assert await registered(server)
    np.testing.assert_allclose(found, await embedded.video.encode_video(views), atol=MAX_DIFFERENCE)


async def encode_or_fail(encoders: Encoders, views: np.ndarray) -> np.ndarray | None:
    with suppress(EncoderUnavailableError):
        return await encoders.video.encode_video(views)
    return None


async def test_torchscript_gives_what_torch_gave(start_server: StartServer, tmp_path: Path) -> None:
    bundle = export_bundle(
        build_miniature(),
        tmp_path / "mini",
        name="mini",
        label_sets={"shapes": LABELS},
        fusion=FUSION,
        provenance=PROVENANCE,
        format="torchscript",
    )
    server = start_server(bundle)
    with asking(server, open_bundle(bundle)) as encoders:
        await encoders.check()
    records = verify_bundle(bundle, triton=server.address)
    assert {record.graph for record in records if record.engine == "Triton"} == {
        "video_encoder",
        "text_encoder_en",
        "text_encoder_zh",
    }


def test_bundle_is_verified_on_the_server(server: TritonServer, demo: Bundle) -> None:
    result = CliRunner().invoke(app, ["verify", str(demo.directory), "--triton", server.address])
    assert result.exit_code == 0, result.output
    assert "Triton" in result.output


def test_server_that_cannot_run_the_bundle_does_not_verify(demo: Bundle) -> None:
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(BundleError, match=f"video_encoder does not run on Triton at {address}: .*UNAVAILABLE"):
        verify_bundle(demo.directory, triton=address)
