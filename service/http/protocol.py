"""uvicorn's HTTP/1.1 with limits: slow, silent and endless clients are sent away before they cost others anything.

uvicorn has no time-outs for headers and bodies. What it has is kept: this adds one timer beside its states, and looks
at requests before its application does.
"""

import asyncio
import json
import logging
from enum import Enum, auto
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from service.http.limits import ConnectionLimits
from service.http.requests import CheckHost, Refusal, any_host, find_refusal

_TICK_SECONDS = 0.25
_MALFORMED: Refusal = (400, "the request is not well-formed HTTP/1.1; correct it and send it again")
_FULL: Refusal = (503, "too many connections are open; close some, or try again later")
_SLOW_HEADER: Refusal = (408, "the header did not come in time; send it at once")
_SLOW_BODY: Refusal = (408, "the body came too slowly; send it faster, or a smaller one")

# Strangers choose how often a request is malformed: that is for metrics, and not a line of the log each.
_logger = logging.getLogger("uvicorn.error.protocol")
_logger.setLevel(logging.ERROR)


class _Phase(Enum):
    """What a connection waits for."""

    HEADER = auto()
    BODY = auto()
    ANSWER = auto()
    NEXT_REQUEST = auto()
    END = auto()


class PatientProtocol(H11Protocol):
    """One connection.

    Args:
        limits: what it may take.
        check_host: which hosts requests may name.
        options: what uvicorn gives.
    """

    conn: "_CheckedConnection"

    def __init__(
        self,
        *,
        limits: ConnectionLimits | None = None,
        check_host: CheckHost = any_host,
        **options: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**options)
        self.logger = _logger
        self._limits = limits or ConnectionLimits()
        self.conn = _CheckedConnection(self._limits, check_host)
        self.timeout_keep_alive = self._limits.idle_seconds  # type: ignore[assignment]  # it may have parts
        self._phase = _Phase.HEADER
        self._timer: asyncio.TimerHandle | None = None
        self._has_received = False
        self._body_deadline = 0.0
        self._num_left_to_drain = self._limits.drain_bytes
        self._is_deaf = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, unless there are too many."""
        super().connection_made(transport)
        self._start_timer(self._limits.header_seconds, self._give_up_header)
        if len(self.connections) > self._limits.num_connections:
            self._refuse(_FULL)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the timer too."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what the client sends, as far as anybody wants it."""
        self._has_received = True
        if self._phase is _Phase.END:
            self._drain(len(data))
            if self._is_deaf:
                return
        elif self._phase is _Phase.BODY:
            self._body_deadline += len(data) / self._limits.min_bytes_per_second
        elif self._phase is _Phase.NEXT_REQUEST:
            self._enter(_Phase.HEADER)
        super().data_received(data)
        self._follow()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn has one sentence for everything
        """Say what is wrong with a request that does not reach the application."""
        self._refuse(self.conn.refusal or _MALFORMED)

    def on_response_complete(self) -> None:
        """Go on to the next request, or wait for the end of a body that nobody reads."""
        super().on_response_complete()
        self._follow()

    def shutdown(self) -> None:
        """Close where nothing is being answered, once the server stops."""
        if self._is_deaf:
            self.transport.close()
        else:
            super().shutdown()

    def _follow(self) -> None:
        """Enter the phase that the states of both sides ask for."""
        if self._is_deaf or self.transport.is_closing():
            return
        theirs, is_answered = self.conn.their_state, self.conn.our_state is h11.DONE
        if theirs is h11.SEND_BODY:
            self._enter(_Phase.END if is_answered else _Phase.BODY)
        elif theirs is not h11.IDLE:
            self._enter(_Phase.ANSWER)
        elif self._phase is not _Phase.HEADER:
            self._enter(_Phase.HEADER if self.conn.trailing_data[0] else _Phase.NEXT_REQUEST)

    def _enter(self, phase: _Phase) -> None:
        if phase is self._phase:
            return
        self._phase = phase
        self._stop_timer()
        if phase is _Phase.HEADER:
            self._start_timer(self._limits.header_seconds, self._give_up_header)
        elif phase is _Phase.BODY:
            self._body_deadline = self.loop.time() + self._limits.grace_seconds
            self._start_timer(_TICK_SECONDS, self._check_rate)
        elif phase is _Phase.NEXT_REQUEST:
            self._start_timer(self._limits.idle_seconds, self.timeout_keep_alive_handler)
        elif phase is _Phase.END:
            # Closed at once, with bytes unread, the connection would be reset, and the answer lost on its way.
            self._unset_keepalive_if_required()
            self._num_left_to_drain = self._limits.drain_bytes
            self._start_timer(self._limits.drain_seconds, self.transport.abort)

    def _check_rate(self) -> None:
        """See whether the body comes fast enough; called again and again while it comes."""
        # What the service does not read yet, the client cannot send.
        if self.flow.read_paused or self.cycle.waiting_for_100_continue:
            self._body_deadline += _TICK_SECONDS
        if self.loop.time() > self._body_deadline:
            self._refuse(_SLOW_BODY)
        else:
            self._start_timer(_TICK_SECONDS, self._check_rate)

    def _give_up_header(self) -> None:
        if self._has_received:
            self._refuse(_SLOW_HEADER)
        else:
            # Browsers open connections ahead of need: an answer to nothing would confuse them.
            self.transport.close()

    def _drain(self, num_bytes: int) -> None:
        """Throw bytes away, a bounded number of them."""
        self._num_left_to_drain -= num_bytes
        if self._num_left_to_drain < 0:
            self._is_deaf = True
            self.flow.pause_reading()
            self._say_no_more()

    def _refuse(self, refusal: Refusal) -> None:
        """Answer in place of the application, unless it has begun to, and hear no more."""
        self._is_deaf = True
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            # The application lets go of what it holds for the request, and writes into nothing.
            cycle.disconnected = True
            cycle.message_event.set()
        if cycle is None or not cycle.response_started or cycle.response_complete:
            self.transport.write(_render(refusal))
        self._enter(_Phase.END)
        self._say_no_more()

    def _say_no_more(self) -> None:
        if self.transport.can_write_eof() and not self.transport.is_closing():
            self.transport.write_eof()

    def _start_timer(self, seconds: float, then: Any) -> None:  # noqa: ANN401
        self._timer = self.loop.call_later(seconds, then)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _CheckedConnection(h11.Connection):
    """A connection whose requests are looked at as soon as their headers are whole."""

    def __init__(self, limits: ConnectionLimits, check_host: CheckHost) -> None:
        super().__init__(h11.SERVER, limits.header_bytes)
        self._limits = limits
        self._check_host = check_host
        self.refusal: Refusal | None = None

    def next_event(self) -> Any:  # noqa: ANN401 - as h11 has it
        """Read the next event.

        Raises:
            h11.RemoteProtocolError: it is none, or a request that is refused; ``refusal`` says why.
        """
        try:
            event = super().next_event()
        except h11.RemoteProtocolError as error:
            if error.error_status_hint == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
                most = self._limits.header_bytes
                self.refusal = (431, f"the header has more than {most} bytes; send fewer or shorter fields")
            raise
        if isinstance(event, h11.Request):
            self.refusal = find_refusal(event, header_bytes=self._limits.header_bytes, check_host=self._check_host)
            if self.refusal is not None:
                raise h11.RemoteProtocolError(self.refusal[1])
        return event


def _render(refusal: Refusal) -> bytes:
    """Render a whole answer, after which the connection ends."""
    status, detail = HTTPStatus(refusal[0]), refusal[1]
    problem = {
        "type": f"urn:duoact:problem:{status.phrase.lower().replace(' ', '-')}",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
    }
    body = json.dumps(problem, ensure_ascii=False).encode()
    retry = "Retry-After: 5\r\n" if status is HTTPStatus.SERVICE_UNAVAILABLE else ""
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/problem+json\r\n"
        f"Content-Length: {len(body)}\r\n{retry}Connection: close\r\n\r\n"
    )
    return head.encode() + body
