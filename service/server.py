"""uvicorn around the application: the port it listens on, and a shutdown that loses no accepted request."""

import signal
import socket
import threading
from types import FrameType

import uvicorn
from fastapi import FastAPI

from service.settings import Settings, SettingsError

_BACKLOG = 2048


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


class DrainingServer(uvicorn.Server):
    """A server that first says it is not ready, then stops listening, then finishes what it has accepted.

    The delay in between lets load balancers notice; a second signal ends it at once.
    """

    def __init__(self, app: FastAPI, *, settings: Settings) -> None:
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=settings.drain_limit_seconds,
        )
        super().__init__(config)
        self._readiness = app.state.gateway.readiness
        self._delay_seconds = settings.drain_delay_seconds

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
