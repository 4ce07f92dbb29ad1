"""Real Redis servers that live as long as a test."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.redis_server import RedisServer, find_redis_server

StartRedis = Callable[..., RedisServer]


@pytest.fixture
def start_redis(tmp_path: Path) -> Iterator[StartRedis]:
    """Start servers that live as long as the test: ``start_redis("--maxmemory 1mb")``."""
    if find_redis_server() is None:
        reason = "no redis-server: .ci/test installs one"
        if os.environ.get("TESTS_REQUIRE_REDIS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    servers: list[RedisServer] = []

    def start(*arguments: str, certificate: tuple[Path, Path] | None = None) -> RedisServer:
        directory = tmp_path / f"redis{len(servers)}"
        directory.mkdir()
        servers.append(RedisServer(directory, arguments=arguments, certificate=certificate))
        servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


@pytest.fixture
def redis_server(start_redis: StartRedis) -> RedisServer:
    """One server with nothing in it."""
    return start_redis()
