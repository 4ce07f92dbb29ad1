"""Fixtures that more than one part of the tests needs."""

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.app import Parts, build_app, build_parts, find_rules
from service.contract.cpu import describe_cpu
from service.contract.engine import choose_precision
from service.contract.manifest import open_bundle
from service.settings import Settings
from tests.bundles import write_bundle
from tests.encoders import FakeEngine
from tests.material import require_material
from tests.tracing import untraced


def pytest_report_header() -> str:
    """Say what the tests run on: some results are those of a class of CPU."""
    precision = choose_precision("auto", graph="video_encoder")
    return f"CPU: {describe_cpu()}, {os.cpu_count()} cores; videos are encoded in {precision}"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs test material where there is none, or fail it where there must be."""
    if item.get_closest_marker("material") is not None:
        require_material()


# Much of what these tests run is in other processes, and what is in this one others reach too; measured, they would
# take half as long again.
_NOT_MEASURED = ("tests/end_to_end", "tests/triton", "tests/web")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Measure no coverage where it costs much and finds nothing."""
    with untraced() if item.nodeid.startswith(_NOT_MEASURED) else contextlib.nullcontext():
        return (yield)


# Where servers and processes are waited for, a file takes a minute; begun last, it would hold up the end of the run.
_LONGEST_FIRST = (
    "tests/end_to_end",
    "tests/triton",
    "tests/training/processes",
    "tests/training/fitting",
    "tests/training",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the folders that take longest."""
    ranks = {folder: rank for rank, folder in enumerate(_LONGEST_FIRST)}
    items.sort(key=lambda item: next((r for folder, r in ranks.items() if item.nodeid.startswith(folder)), len(ranks)))


@dataclass(frozen=True)
class Service:
    """A running application with fakes inside, and a client that talks to it."""

    client: httpx.AsyncClient
    app: FastAPI
    parts: Parts
    engine: FakeEngine


RunService = Callable[..., AbstractAsyncContextManager[Service]]


@pytest.fixture
def run_service(tmp_path: Path) -> RunService:
    """Start an application in this process: ``async with run_service(engine, max_labels=3) as service``."""

    @asynccontextmanager
    async def run(
        engine: FakeEngine | None = None, *, manifest: dict[str, Any] | None = None, **settings: object
    ) -> AsyncIterator[Service]:
        engine = engine or FakeEngine()
        directory = tmp_path / "bundle"
        if not directory.exists():
            write_bundle(directory, **(manifest or {}))
        chosen = Settings.load(**{"cache_dir": tmp_path / "cache", **settings})
        bundle = open_bundle(directory)
        engine.reader.rules = find_rules(chosen, bundle=bundle)
        parts = build_parts(chosen, bundle=bundle, encoders=engine.encoders(), reader=engine.reader)
        app = build_app(parts)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(app.router.lifespan_context(app))
            client = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://service"))
            yield Service(client, app, parts, engine)

    return run


@pytest.fixture
async def service(run_service: RunService) -> AsyncIterator[Service]:
    """A running application with fakes inside and default settings."""
    async with run_service() as running:
        yield running
