"""Real Triton servers that live as long as a module, over bundles and over repositories that a test spoils."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.contract.manifest import Bundle, open_bundle
from tests.end_to_end.server import ROOT
from tests.tiny_graphs import write_tiny_bundle
from tests.triton.server import Installation, TritonServer, find_server_python

StartServer = Callable[..., TritonServer]


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    python = find_server_python()
    if python is None:
        reason = "no tritonserver: .ci/test installs one, and TESTS_TRITON_PYTHON names its Python"
        if os.environ.get("TESTS_REQUIRE_TRITON") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return Installation(python, backends=tmp_path_factory.mktemp("backends"))


@pytest.fixture(scope="module")
def start_server(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartServer]:
    """Start servers that live as long as the module: ``start_server(repository, "--flag")``."""
    servers: list[TritonServer] = []

    def start(repository: Path, *arguments: str) -> TritonServer:
        log = tmp_path_factory.mktemp("triton") / "log"
        servers.append(TritonServer(installation, repository=repository, log=log, arguments=arguments))
        servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


@pytest.fixture(scope="session")
def demo() -> Bundle:
    return open_bundle(ROOT / "model_repository" / "demo")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return open_bundle(write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny"))
