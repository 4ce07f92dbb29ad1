"""What surrounds every request: its id, its clock, one log line, one metric, safe headers, the last net for errors."""

import re
import secrets
import time
from collections.abc import Callable

import structlog
from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.errors import render_internal_error
from service.telemetry.metrics import Metrics

_logger = structlog.get_logger(__name__)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# What nginx logs for a client that went away; it is never sent.
_CLIENT_CLOSED = 499
_DOCS = "/docs"
_PAGE_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
# The OpenAPI page of the framework loads its script and style from this place.
_DOCS_POLICY = (
    "default-src 'self' https://cdn.jsdelivr.net; img-src 'self' data: https://fastapi.tiangolo.com; "
    "script-src 'self' 'unsafe-inline' https://cdn.jsdelivr.net; "
    "style-src 'self' 'unsafe-inline' https://cdn.jsdelivr.net; "
    "frame-ancestors 'none'"
)


class RequestContext:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._metrics = metrics
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        request.state.request_id = read_request_id(request.headers.get("x-request-id"))
        request.state.started_at = self._clock()
        answer = _Answer(send, request)
        with structlog.contextvars.bound_contextvars(request_id=request.state.request_id):
            try:
                await self._app(scope, receive, answer.send)
            except ClientDisconnect:
                answer.status = _CLIENT_CLOSED
            except Exception:
                _logger.exception("unforeseen error")
                # Where the answer has begun, the server can only break the connection off.
                if answer.status is not None:
                    raise
                await render_internal_error(request)(scope, receive, answer.send)
            finally:
                self._record(request, answer.status or _CLIENT_CLOSED)

    def _record(self, request: Request, status: int) -> None:
        seconds = self._clock() - request.state.started_at
        route = getattr(request.scope.get("route"), "path", "none")
        problem = getattr(request.state, "problem_type", None)
        self._metrics.count_request(route, status=status, seconds=seconds)
        if problem is not None:
            self._metrics.count_error(problem)
        _logger.info(
            "request",
            method=request.method,
            route=route,
            status=status,
            problem=problem,
            milliseconds=round(seconds * 1000, 1),
            stages_ms=getattr(request.state, "stages_ms", None),
        )


class _Answer:
    """Puts the headers on a response and remembers its status."""

    def __init__(self, send: Send, request: Request) -> None:
        self._send = send
        self._request = request
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        """Pass a message on."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-ID"] = self._request.state.request_id
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Referrer-Policy"] = "no-referrer"
            headers["Content-Security-Policy"] = _DOCS_POLICY if self._request.url.path == _DOCS else _PAGE_POLICY
        await self._send(message)


def read_request_id(given: str | None) -> str:
    """Take a client's request id where it is harmless, else make one."""
    return given if given is not None and _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
