"""Label embeddings in a Redis server that several gateways share, behind each gateway's memory and disk.

A Redis that is away, slow, hangs, is full or holds something else costs time, and little of it: every exchange has a
short timeout, all exchanges of a request together have one more, and after a failure Redis is left alone for some
seconds. Embeddings count as the same whatever arithmetic
their gateway's engine uses, as in the store on disk.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from service.encoders.base import TextEmbedding
from service.labels.allowance import Allowance
from service.labels.circuit import Circuit
from service.labels.entries import LAYOUT, TextKey, is_sensible, pack_embedding, unpack_embedding

_logger = structlog.get_logger(__name__)
_PREFIX = f"duoact:label:{LAYOUT}:"
# About a megabyte of the largest towers, so that one exchange fits into a short timeout.
_CHUNK_KEYS = 64
# Writes under way; a Redis that is slower than the text towers gets no more of them.
_MAX_WRITES = 16
# A server that is no Redis answers with what the client cannot read as a number either.
_FAULTS = (RedisError, OSError, ValueError)

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class RedisOptions:
    """How a Redis server is used.

    Args:
        timeout_seconds: the longest that one exchange of up to 64 embeddings may take, connecting included.
        request_seconds: the longest that all lookups of one request may take.
        rest_seconds: how long Redis is not asked after a failure.
        lifetime_seconds: how long an embedding is kept.
    """

    timeout_seconds: float = 0.25
    request_seconds: float = 1.0
    rest_seconds: float = 5.0
    lifetime_seconds: int = 30 * 86_400


class RedisLabels:
    """Label embeddings in Redis; counts what it found and did, by result.

    Args:
        url: ``redis://``, ``rediss://`` (TLS) or ``unix://``, with user, password and database where needed.
        dimension: length of the embeddings; others are not taken.
        options: timeouts and lifetime.

    Raises:
        ValueError: the address is not one of Redis; the message leaves out the password.
    """

    def __init__(self, url: str, *, dimension: int, options: RedisOptions) -> None:
        self._client = _open_client(url, timeout_seconds=options.timeout_seconds)
        self._dimension = dimension
        self._options = options
        self._circuit = Circuit(rest_seconds=options.rest_seconds)
        self._num_writing = 0
        self.lookups = Counter(hit=0, miss=0, invalid=0, failed=0, skipped=0)
        self.writes = Counter(written=0, refused=0, failed=0, skipped=0)

    @property
    def is_up(self) -> bool:
        """Whether Redis answered the last time it was asked."""
        return self._circuit.is_closed

    def allow(self) -> Allowance:
        """What a new request may spend on lookups."""
        return Allowance(self._options.request_seconds)

    async def read(self, keys: Sequence[TextKey], *, allowance: Allowance) -> dict[TextKey, TextEmbedding]:
        """Read what is stored of the keys; what is no embedding of its key counts as absent."""
        found: dict[TextKey, TextEmbedding] = {}
        for chunk in _chunks(keys):
            with allowance.spend():
                values = await self._read_values(chunk, limit_seconds=allowance.remaining_seconds)
            for key, value in zip(chunk, values, strict=False):
                embedding = None if value is None else self._unpack(key, value)
                if embedding is not None:
                    found[key] = embedding
                self.lookups[_name_result(value, embedding)] += 1
        return found

    async def write(self, entries: Mapping[TextKey, TextEmbedding]) -> None:
        """Store entries, also in place of what is no embedding."""
        if self._num_writing >= _MAX_WRITES:
            self.writes["skipped"] += len(entries)
            return
        self._num_writing += 1
        try:
            for chunk in _chunks(list(entries)):
                await self._write({key: entries[key] for key in chunk})
        finally:
            self._num_writing -= 1

    async def _write(self, entries: Mapping[TextKey, TextEmbedding]) -> None:
        values = {_redis_key(key): pack_embedding(key, entry) for key, entry in entries.items()}
        refusals = await self._attempt(partial(self._set, values), counts=self.writes, size=len(entries))
        if refusals is None:
            return
        if refusals:
            _logger.warning("shared labels refused", error=str(refusals[0]))
        self.writes["refused"] += len(refusals)
        self.writes["written"] += len(entries) - len(refusals)

    def _unpack(self, key: TextKey, value: bytes) -> TextEmbedding | None:
        """Unpack what others wrote, who are not trusted to write sense."""
        entry = unpack_embedding(key, value)
        return entry if entry is not None and is_sensible(entry, dimension=self._dimension) else None

    async def close(self) -> None:
        """Close the connections."""
        try:
            async with asyncio.timeout(self._options.timeout_seconds):
                await self._client.aclose()
        except _FAULTS as error:
            _logger.warning("shared labels not closed", error=str(error))

    async def _read_values(self, keys: Sequence[TextKey], *, limit_seconds: float) -> Sequence[bytes | None]:
        """The value of each key, empty where it is of another type; nothing at all where Redis does not answer."""
        exchange = partial(self._get, [_redis_key(key) for key in keys])
        if limit_seconds >= self._options.timeout_seconds:
            return await self._attempt(exchange, counts=self.lookups, size=len(keys)) or []
        # The end of a request's time says nothing against Redis.
        try:
            async with asyncio.timeout(limit_seconds):
                # Without time left nothing is sent.
                await asyncio.sleep(0)
                return await self._attempt(exchange, counts=self.lookups, size=len(keys)) or []
        except TimeoutError:
            self.lookups["skipped"] += len(keys)
            return []

    async def _attempt(
        self, exchange: Callable[[], Awaitable[Answer]], *, counts: Counter[str], size: int
    ) -> Answer | None:
        """Talk to Redis about ``size`` entries, or give None where it is not asked or does not answer well."""
        if not self._circuit.allows():
            counts["skipped"] += size
            return None
        try:
            async with asyncio.timeout(self._options.timeout_seconds):
                answer = await exchange()
        except _FAULTS as error:
            counts["failed"] += size
            if self._circuit.is_closed:
                _logger.warning("shared labels lost", error=f"{type(error).__name__}: {error}")
            self._circuit.fail()
            return None
        if not self._circuit.is_closed:
            _logger.info("shared labels back")
        self._circuit.succeed()
        return answer

    async def _get(self, names: Sequence[str]) -> list[bytes | None]:
        # Not MGET, which says nothing where a key holds another type.
        async with self._client.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.get(name)
            values = await pipeline.execute(raise_on_error=False)
        return [_value_of(value) for value in values]

    async def _set(self, values: Mapping[str, bytes]) -> list[ResponseError]:
        """Set values; a refusal (no memory, no permission, a replica) says nothing against reading."""
        async with self._client.pipeline(transaction=False) as pipeline:
            for name, value in values.items():
                pipeline.set(name, value, ex=self._options.lifetime_seconds)
            answers = await pipeline.execute(raise_on_error=False)
        return [answer for answer in answers if isinstance(answer, ResponseError)]


def _open_client(url: str, *, timeout_seconds: float) -> Redis:
    try:
        client = Redis.from_url(
            url,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            # One more try at once, for a connection that Redis closed while nobody used it.
            retry=Retry(NoBackoff(), 1),
        )
        # Connects to nothing; a wrong argument of the URL shows here.
        pool = client.connection_pool
        pool.connection_class(**pool.connection_kwargs)
    except (ValueError, TypeError, RedisError) as error:
        # Of the address itself any part may be a misplaced piece of the password.
        reason = str(error) if isinstance(error, TypeError) else f"its scheme is {url.partition(':')[0]!r}"
        raise ValueError(
            f"the address is none of Redis ({reason}); give redis://HOST:PORT/DATABASE, rediss:// for TLS, or unix://PATH"
        ) from None
    return client


def _redis_key(key: TextKey) -> str:
    return _PREFIX + key.row_key().hex()


def _value_of(answer: bytes | Exception | None) -> bytes | None:
    if not isinstance(answer, Exception):
        return answer
    if str(answer).startswith("WRONGTYPE"):
        return b""
    raise answer


def _name_result(value: bytes | None, embedding: TextEmbedding | None) -> str:
    if value is None:
        return "miss"
    return "invalid" if embedding is None else "hit"


def _chunks(keys: Sequence[TextKey]) -> Iterable[Sequence[TextKey]]:
    return (keys[start : start + _CHUNK_KEYS] for start in range(0, len(keys), _CHUNK_KEYS))
