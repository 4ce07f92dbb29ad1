"""A service that answers what a test tells it to, and remembers what the page sent; the page itself is the real one."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

import service

WEB = Path(service.__file__).parent / "web"
POLICY = "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:"


@dataclass
class Stub:
    """What to answer next, and the form fields of the requests that came."""

    answer: dict[str, Any]
    manifest: dict[str, Any]
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    is_held: bool = False
    is_disconnected: asyncio.Event = field(default_factory=asyncio.Event)
    received: list[list[tuple[str, str | bytes]]] = field(default_factory=list)

    async def recognize(self, request: Request) -> Response:
        async with request.form() as form:
            self.received.append([(name, await _read(value)) for name, value in form.multi_items()])
        if self.is_held:
            while not await request.is_disconnected():
                await asyncio.sleep(0.01)
            self.is_disconnected.set()
        return JSONResponse(self.answer, self.status, self.headers)

    async def bundle(self, _: Request) -> Response:
        return JSONResponse(self.manifest)

    async def label_sets(self, _: Request) -> Response:
        return JSONResponse(
            {"label_sets": [{"name": "shapes", "num_labels": 32}, {"name": "ucf101", "num_labels": 101}]}
        )


async def _read(value: UploadFile | str) -> str | bytes:
    return await value.read() if isinstance(value, UploadFile) else value


async def _index(_: Request) -> Response:
    return FileResponse(WEB / "index.html", headers={"Content-Security-Policy": POLICY})


def build_stub_app(stub: Stub) -> Starlette:
    """Build an application of the real page and the stub's answers."""
    return Starlette(
        routes=[
            Route("/", _index),
            Route("/recognize", stub.recognize, methods=["POST"]),
            Route("/bundle", stub.bundle),
            Route("/label-sets", stub.label_sets),
            Mount("/static", StaticFiles(directory=WEB)),
        ]
    )


@contextlib.asynccontextmanager
async def serve(app: Starlette) -> AsyncIterator[str]:
    """Serve an application on a free port, without its lifespan; yields the page's address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            server.should_exit = True
            await serving
