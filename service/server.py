"""uvicorn around the application: where it listens and who may be served, and a shutdown that loses no request."""

import asyncio
import signal
import socket
import threading
from functools import partial
from types import FrameType

import structlog
import uvicorn
from fastapi import FastAPI

from service.decoding.sandbox import SandboxReport
from service.http.descriptors import QuietLoop, fit_connections
from service.http.limits import ConnectionLimits
from service.http.protocol import PatientProtocol
from service.http.requests import OwnHosts, any_host, is_loopback
from service.settings import Settings, SettingsError

# Of connections that wait to be accepted, and that the loop accepts in one go: where descriptors end it tries as often.
_BACKLOG = 128
_ADVICE = "install libseccomp (Debian: libseccomp2, with a kernel that has seccomp)"
_logger = structlog.get_logger(__name__)


def open_socket(host: str, port: int) -> socket.socket:
    """Listen on a host and port; port 0 lets the system choose.

    Raises:
        SettingsError: the port is in use, or the host is not an address of this machine.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # asyncio sends answers without delay on connections that are TCP by name; others wait 40 ms for company.
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise SettingsError(f"host {host!r} cannot be listened on: {error}; give an address of this machine") from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise SettingsError(f"{host}:{port} cannot be listened on: {error}; choose another with --port") from error
    return listening


def render_url(listening: socket.socket) -> str:
    """The address that a browser takes."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def check_exposure(guards: SandboxReport, *, address: str) -> None:
    """Let a service listen on an address whose decoding workers are guarded so.

    Without the filter of system calls a worker that a video takes over could do whatever the service may, so that the
    loopback address alone is served, with a warning.

    Raises:
        SettingsError: others could reach the service, and its workers have no filter.
    """
    if guards.filters_system_calls:
        return
    lacking = "; ".join(guards.problems) or "no filter of system calls"
    if not is_loopback(address):
        raise SettingsError(
            f"the service would listen on {address}, and decode the videos of strangers without a filter of system "
            f"calls ({lacking}): {_ADVICE}, or serve this machine alone with --host 127.0.0.1"
        )
    _logger.warning("videos are decoded without a filter of system calls", lacking=lacking, advice=_ADVICE)


class DrainingServer(uvicorn.Server):
    """A server that first says it is not ready, then stops listening, then finishes what it has accepted.

    The delay in between lets load balancers notice; a second signal ends it at once.

    Args:
        app: the application.
        settings: what connections may take, and how long draining does.
        is_open: whether requests may name any host; otherwise this machine's names and ``allowed_hosts`` alone.
    """

    def __init__(self, app: FastAPI, *, settings: Settings, is_open: bool = True) -> None:
        hosts = OwnHosts(frozenset(name.lower() for name in settings.allowed_hosts))
        limits = ConnectionLimits(
            num_connections=fit_connections(settings.max_connections),
            header_seconds=settings.header_seconds,
            grace_seconds=settings.body_grace_seconds,
            min_bytes_per_second=settings.min_upload_bytes_per_second,
        )
        config = uvicorn.Config(
            app,
            http=partial(PatientProtocol, limits=limits, check_host=any_host if is_open else hosts),  # type: ignore[arg-type]
            ws="none",
            backlog=_BACKLOG,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=settings.drain_limit_seconds,
        )
        super().__init__(config)
        self._readiness = app.state.gateway.readiness
        self._delay_seconds = settings.drain_delay_seconds

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        asyncio.get_running_loop().set_exception_handler(QuietLoop())
        await super().startup(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Begin to drain; an interrupt from the keyboard, and any second signal, waits for no load balancer."""
        is_second = self._readiness.draining
        self._readiness.draining = True
        if sig == signal.SIGINT or is_second:
            self.force_exit = self.should_exit
            self.should_exit = True
            return
        timer = threading.Timer(self._delay_seconds, self._stop_listening)
        timer.daemon = True
        timer.start()

    def _stop_listening(self) -> None:
        self.should_exit = True
