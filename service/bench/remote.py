"""A running service, asked over HTTP as any client asks it."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from pydantic import ValidationError

from service.api.schemas import Answer, LabelSetList
from service.bench.plan import BenchError
from service.bench.target import RequestError, Subject, choose_label_set
from service.contract.manifest import Manifest
from service.contract.views import ViewPlan
from service.settings import Settings

# The service gives up first, and says why.
_PATIENCE_SECONDS = 10.0
_NUM_FREE_BYTES = 8


@asynccontextmanager
async def open_client(url: str, *, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Open a client that sends the first of the API keys, where some are set.

    Raises:
        BenchError: this is no URL.
    """
    headers = [("Authorization", f"Bearer {key}") for key in settings.read_api_keys()[:1]]
    timeout = httpx.Timeout(settings.deadline_seconds + _PATIENCE_SECONDS)
    # Without limits, so that no request waits for a connection.
    limits = httpx.Limits()
    try:
        client = httpx.AsyncClient(base_url=url, headers=headers, timeout=timeout, limits=limits)
    except httpx.InvalidURL as error:
        raise BenchError(f"--url is {url!r}: {error}; give an address such as http://127.0.0.1:8000") from error
    async with client:
        yield client


class RemoteTarget:
    """A service behind a client; ``connect`` makes one."""

    def __init__(self, client: httpx.AsyncClient, *, content: bytes, fields: dict[str, str], subject: Subject) -> None:
        self._client = client
        self._content = content
        self._fields = fields
        self.subject = subject

    @classmethod
    async def connect(
        cls, client: httpx.AsyncClient, *, content: bytes, views: ViewPlan, label_set: str | None
    ) -> "RemoteTarget":
        """Ask a service what it serves, and choose what its requests ask about a video with these bytes.

        Raises:
            BenchError: it does not answer, is not ready, is not DuoAct, or has no such label set.
        """
        await _fetch(client, "/readyz")
        bundle = await _fetch(client, "/bundle")
        stored = await _fetch(client, "/label-sets")
        try:
            manifest = Manifest.model_validate_json(bundle.content)
            chosen = choose_label_set(
                label_set, manifest=manifest, stored=LabelSetList.model_validate_json(stored.content).label_sets
            )
        except ValidationError as error:
            raise BenchError(_no_duoact(client, error)) from error
        fields = {"views": str(views), **({} if chosen is None else {"label_set": chosen.name})}
        subject = Subject.of(
            manifest, digest=bundle.headers.get("ETag", "").strip('"'), label_set=chosen, url=_address(client)
        )
        return cls(client, content=content, fields=fields, subject=subject)

    async def ask(self, *, is_new: bool) -> Answer:
        """Send the video; with other free bytes at its end where it shall be new to the service."""
        content = self._content + (make_filler(self._content) if is_new else b"")
        try:
            response = await self._client.post("/recognize", files={"video": content}, data=self._fields)
            response.raise_for_status()
            return Answer.model_validate_json(response.content)
        except httpx.HTTPError as error:
            raise RequestError(_describe(error)) from error
        except ValidationError as error:
            raise RequestError(_no_duoact(self._client, error)) from error


def make_filler(content: bytes) -> bytes:
    """Make random bytes that players skip at the end of a video: a free box, an EBML Void, or else as they are."""
    free = os.urandom(_NUM_FREE_BYTES)
    if content[4:8] == b"ftyp":
        return (8 + _NUM_FREE_BYTES).to_bytes(4, "big") + b"free" + free
    if content.startswith(b"\x1a\x45\xdf\xa3"):
        return b"\xec" + (0x80 | _NUM_FREE_BYTES).to_bytes(1, "big") + free
    return free


async def _fetch(client: httpx.AsyncClient, path: str) -> httpx.Response:
    try:
        response = await client.get(path)
        return response.raise_for_status()
    except httpx.HTTPError as error:
        raise BenchError(
            f"{_address(client)}{path} cannot be asked: {_describe(error)}; "
            "start `duoact serve` there, or correct --url"
        ) from error


def _address(client: httpx.AsyncClient) -> str:
    return str(client.base_url).rstrip("/")


def _describe(error: httpx.HTTPError) -> str:
    """Say what went wrong: the detail of a problem document where there is one."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"status {error.response.status_code}, {error.response.text[:500]}"
    return f"{type(error).__name__} {error}".strip()


def _no_duoact(client: httpx.AsyncClient, error: ValidationError) -> str:
    return f"{_address(client)} does not answer as this version of DuoAct does: {error.errors()[0]['msg']}"
