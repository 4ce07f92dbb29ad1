"""Embeddings shared through a real Redis: found by others, checked, and never the reason for a missing answer."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from redis.asyncio import Redis

from service.encoders.base import TextEmbedding
from service.labels.allowance import Allowance
from service.labels.entries import TextKey, pack_embedding
from service.labels.redis import RedisLabels, RedisOptions
from tests.encoders import DIMENSION, unit_vector
from tests.redis_server import RedisServer
from tests.service.conftest import StartRedis
from tests.triton.certificates import write_certificate

# A machine that does other things answers late; that must not look like a fault.
PATIENT = RedisOptions(timeout_seconds=10.0, rest_seconds=60.0)
# Where Redis hangs on purpose, and comes back soon.
HASTY = RedisOptions(timeout_seconds=0.6, rest_seconds=0.5)
KEYS = [TextKey("en", "a" * 64, "a video of {}", "label", f"label {index}") for index in range(130)]


def embedding(key: TextKey) -> TextEmbedding:
    return TextEmbedding(
        unit_vector(key.text), np.stack([unit_vector(f"{key.text} {word}") for word in range(2)]).astype(np.float16)
    )


def embeddings(keys: Sequence[TextKey] = KEYS) -> dict[TextKey, TextEmbedding]:
    return {key: embedding(key) for key in keys}


def same(found: dict[TextKey, TextEmbedding], expected: dict[TextKey, TextEmbedding]) -> bool:
    arrays = [(found[key], expected[key]) for key in expected if key in found]
    equal = [np.array_equal(a.embedding, b.embedding) and np.array_equal(a.words, b.words) for a, b in arrays]
    return found.keys() == expected.keys() and all(equal)


async def find(
    labels: RedisLabels, keys: Sequence[TextKey] = KEYS, seconds: float = 30.0
) -> dict[TextKey, TextEmbedding]:
    return await labels.read(keys, allowance=Allowance(seconds))


@asynccontextmanager
async def open_labels(url: str, options: RedisOptions = PATIENT) -> AsyncIterator[RedisLabels]:
    labels = RedisLabels(url, dimension=DIMENSION, options=options)
    yield labels
    await labels.close()


@asynccontextmanager
async def connect(server: RedisServer) -> AsyncIterator[Any]:
    async with Redis.from_url(server.url) as client:
        yield client


async def test_one_gateway_finds_what_another_stored(redis_server: RedisServer) -> None:
    async with open_labels(redis_server.url) as one, open_labels(redis_server.url) as other:
        assert await find(one) == {}
        await one.write(embeddings())
        assert same(await find(other, [*KEYS, KEYS[0]._replace(template="{}")]), embeddings())
        assert (one.lookups["miss"], one.writes["written"]) == (130, 130)
        assert other.lookups == {"hit": 130, "miss": 1, "invalid": 0, "failed": 0, "skipped": 0}


async def test_embeddings_are_kept_for_their_lifetime(redis_server: RedisServer) -> None:
    async with open_labels(redis_server.url) as labels, connect(redis_server) as client:
        await labels.write(embeddings(KEYS[:1]))
        (name,) = await client.keys()
        assert name == b"duoact:label:2:" + KEYS[0].row_key().hex().encode()
        assert 30 * 86_400 - 60 < await client.ttl(name) <= 30 * 86_400


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"of another program",
        pack_embedding(KEYS[0], embedding(KEYS[0]))[:-4],
        pack_embedding(KEYS[1], embedding(KEYS[0])),
    ],
)
async def test_foreign_value_counts_as_absent_and_is_replaced(redis_server: RedisServer, value: bytes) -> None:
    async with open_labels(redis_server.url) as labels, connect(redis_server) as client:
        await labels.write(embeddings(KEYS[:3]))
        await client.set("duoact:label:2:" + KEYS[0].row_key().hex(), value)
        assert same(await find(labels, KEYS[:3]), embeddings(KEYS[1:3]))
        assert (labels.lookups["invalid"], labels.lookups["hit"]) == (1, 2)
        await labels.write(embeddings(KEYS[:1]))
        assert same(await find(labels, KEYS[:3]), embeddings(KEYS[:3]))


async def test_key_of_another_type_counts_as_absent_and_is_replaced(redis_server: RedisServer) -> None:
    async with open_labels(redis_server.url) as labels, connect(redis_server) as client:
        await labels.write(embeddings(KEYS[1:3]))
        await client.rpush("duoact:label:2:" + KEYS[0].row_key().hex(), "a", "list")
        assert same(await find(labels, KEYS[:3]), embeddings(KEYS[1:3]))
        assert (labels.lookups["invalid"], labels.is_up) == (1, True)
        await labels.write(embeddings(KEYS[:1]))
        assert same(await find(labels, KEYS[:1]), embeddings(KEYS[:1]))


async def test_killed_redis_costs_the_entries_and_is_used_again_when_it_is_back(redis_server: RedisServer) -> None:
    async with open_labels(redis_server.url, HASTY) as labels:
        await labels.write(embeddings())
        reading = [asyncio.create_task(find(labels, KEYS)) for _ in range(8)]
        await asyncio.sleep(0.01)
        redis_server.kill()
        for found in await asyncio.gather(*reading):
            assert same(found, embeddings(list(found)))
        assert await find(labels, KEYS) == {}
        await labels.write(embeddings())
        assert (labels.is_up, labels.writes["written"]) == (False, 130)
        assert labels.lookups["failed"] + labels.lookups["skipped"] >= 130
        redis_server.start()
        await asyncio.sleep(HASTY.rest_seconds + 0.1)
        await labels.write(embeddings())
        assert same(await find(labels, KEYS), embeddings())
        assert labels.is_up


async def test_hanging_redis_costs_one_timeout_and_then_nothing(redis_server: RedisServer) -> None:
    options = RedisOptions(timeout_seconds=0.3, rest_seconds=60.0)
    async with open_labels(redis_server.url, options) as labels:
        await labels.write(embeddings())
        redis_server.send(signal.SIGSTOP)
        started = time.monotonic()
        assert await find(labels, KEYS) == {}
        assert await find(labels, KEYS) == {}
        await labels.write(embeddings())
        assert time.monotonic() - started < 1.5
        assert (labels.lookups["failed"], labels.lookups["skipped"], labels.writes["skipped"]) == (64, 196, 130)


@asynccontextmanager
async def slow_down(server: RedisServer, *, seconds: float) -> AsyncIterator[str]:
    """The address of something that passes bytes on to a Redis, and its answers back some time later."""
    serving: set[asyncio.Task[None]] = set()

    async def move(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_seconds: float) -> None:
        with suppress(OSError):
            while content := await reader.read(1 << 20):
                await asyncio.sleep(delay_seconds)
                writer.write(content)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_redis, to_redis = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(move(reader, to_redis, 0.0), move(from_redis, writer, seconds))

    def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.create_task(pass_on(reader, writer)))

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as slow:
        yield f"redis://127.0.0.1:{slow.sockets[0].getsockname()[1]}/0"
        await asyncio.wait(serving)


async def test_lookups_of_a_request_have_one_limit_together(redis_server: RedisServer) -> None:
    keys = [KEYS[0]._replace(text=str(number)) for number in range(64 * 20)]
    async with slow_down(redis_server, seconds=0.05) as address, open_labels(address) as labels:
        allowance, began = Allowance(0.6), time.monotonic()
        for start in (0, 640):
            assert await labels.read(keys[start : start + 640], allowance=allowance) == {}
        assert time.monotonic() - began < 0.9
        assert labels.lookups["miss"] > 0
        assert labels.lookups["miss"] + labels.lookups["skipped"] == len(keys)
        # A request that ran out of time says nothing against Redis.
        assert labels.is_up


async def test_writes_that_a_slow_redis_does_not_keep_up_with_are_left_out(redis_server: RedisServer) -> None:
    async with open_labels(redis_server.url) as labels:
        redis_server.send(signal.SIGSTOP)
        writing = [asyncio.create_task(labels.write(embeddings(KEYS[:2]))) for _ in range(40)]
        await asyncio.sleep(0.1)
        redis_server.send(signal.SIGCONT)
        await asyncio.gather(*writing)
        assert labels.writes["skipped"] == 2 * 24
        assert labels.writes["written"] == 2 * 16


async def test_redis_that_hung_gives_the_right_answers_again(redis_server: RedisServer) -> None:
    async with open_labels(redis_server.url, HASTY) as labels:
        await labels.write(embeddings())
        redis_server.send(signal.SIGSTOP)
        assert await find(labels, KEYS[:5]) == {}
        redis_server.send(signal.SIGCONT)
        await asyncio.sleep(HASTY.rest_seconds + 0.1)
        assert same(await find(labels, KEYS[5:9]), embeddings(KEYS[5:9]))


async def test_cancelled_question_leaves_no_answer_for_the_next(redis_server: RedisServer) -> None:
    async with open_labels(redis_server.url) as labels:
        await labels.write(embeddings())
        redis_server.send(signal.SIGSTOP)
        asking = asyncio.create_task(find(labels, KEYS[:5]))
        await asyncio.sleep(0.05)
        asking.cancel()
        redis_server.send(signal.SIGCONT)
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert same(await find(labels, KEYS[5:9]), embeddings(KEYS[5:9]))


async def test_connection_that_redis_closed_is_opened_again_at_once(redis_server: RedisServer) -> None:
    async with open_labels(redis_server.url) as labels:
        await labels.write(embeddings(KEYS[:1]))
        redis_server.kill()
        redis_server.start()
        assert await find(labels, KEYS[:1]) == {}
        assert (labels.is_up, labels.lookups["miss"]) == (True, 1)


async def test_full_redis_is_still_read(start_redis: StartRedis) -> None:
    server = start_redis()
    async with open_labels(server.url) as labels, connect(server) as client:
        await labels.write(embeddings(KEYS[:2]))
        await client.config_set("maxmemory", "1")
        await labels.write(embeddings(KEYS[2:5]))
        assert same(await find(labels, KEYS[:5]), embeddings(KEYS[:2]))
        assert (labels.writes["refused"], labels.is_up) == (3, True)


@pytest.mark.parametrize(("password", "is_up"), [(":secret@", True), ("", False), (":wrong@", False)])
async def test_password_is_used(start_redis: StartRedis, password: str, is_up: bool) -> None:
    server = start_redis("--requirepass secret")
    async with open_labels(server.url.replace("//", f"//{password}")) as labels:
        assert await find(labels, KEYS[:2]) == {}
        assert (labels.is_up, labels.lookups["failed"]) == (is_up, 0 if is_up else 2)


async def test_database_without_permission_is_left_alone(redis_server: RedisServer) -> None:
    async with open_labels(redis_server.url.replace("//", "//reader:pw@")) as labels, connect(redis_server) as client:
        await client.acl_setuser("reader", enabled=True, passwords=["+pw"], commands=["+set", "+select"], keys=["*"])
        assert await find(labels, KEYS[:2]) == {}
        assert (labels.is_up, labels.lookups["failed"]) == (False, 2)


async def test_unix_socket_is_an_address(redis_server: RedisServer) -> None:
    async with open_labels(f"unix://{redis_server.socket_path}") as labels:
        await labels.write(embeddings(KEYS[:2]))
        assert same(await find(labels, KEYS[:2]), embeddings(KEYS[:2]))


@pytest.mark.parametrize("authority", ["own", "other", "none"])
async def test_encrypted_connection_trusts_its_authority_alone(
    start_redis: StartRedis, tmp_path: Path, authority: str
) -> None:
    server = start_redis(certificate=write_certificate(tmp_path / "own"))
    write_certificate(tmp_path / "other")
    arguments = "" if authority == "none" else f"?ssl_ca_certs={tmp_path / authority / 'certificate.pem'}"
    async with open_labels(f"rediss://127.0.0.1:{server.port}/0{arguments}") as labels:
        await labels.write(embeddings(KEYS[:2]))
        found = await find(labels, KEYS[:2])
    assert (len(found), labels.is_up) == ((2, True) if authority == "own" else (0, False))


@pytest.mark.parametrize("is_encrypted", [False, True])
async def test_hanging_redis_does_not_keep_the_service_from_ending(
    start_redis: StartRedis, tmp_path: Path, is_encrypted: bool
) -> None:
    certificate = write_certificate(tmp_path / "own")
    server = start_redis(certificate=certificate if is_encrypted else None)
    url = f"rediss://127.0.0.1:{server.port}/0?ssl_ca_certs={certificate[0]}" if is_encrypted else server.url
    labels = RedisLabels(url, dimension=DIMENSION, options=HASTY)
    await labels.write(embeddings(KEYS[:2]))
    server.send(signal.SIGSTOP)
    started = time.monotonic()
    await labels.close()
    assert time.monotonic() - started < HASTY.timeout_seconds + 0.5
    # What TLS still waits for ends with the server, and not after the test.
    server.kill()
    await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"$many\r\n", b"*1000\r\n", b"\xff" * 100, b""]
)
async def test_server_that_is_no_redis_costs_nothing_but_the_entries(answer: bytes) -> None:
    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(respond, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, open_labels(f"redis://127.0.0.1:{port}/0") as labels:
        assert await find(labels, KEYS[:2]) == {}
        await labels.write(embeddings(KEYS[:2]))
        assert (labels.is_up, labels.lookups["failed"], labels.writes["skipped"]) == (False, 2, 2)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://:pass@redis:80", "its scheme is 'http'"),
        ("redis", "its scheme is 'redis'"),
        ("redis://:pass/word@redis:6379/0", "its scheme is 'redis'"),
        ("redis://:pass@redis:6379/0?colour=red", "colour"),
    ],
)
def test_address_that_is_none_of_redis_is_refused_without_its_password(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"the address is none of Redis .*; give redis://HOST:PORT") as refusal:
        RedisLabels(url, dimension=DIMENSION, options=PATIENT)
    assert message in str(refusal.value)
    assert "pass" not in str(refusal.value)
