"""A real ``redis-server`` process for tests, which can be killed, stopped and brought back on the same port."""

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tests.end_to_end.server import free_port

_START_SECONDS = 20.0


def find_redis_server() -> str | None:
    """The server's binary, or None where there is none."""
    return shutil.which("redis-server")


class RedisServer:
    """One server without persistence.

    Args:
        directory: an empty folder for the server's log and socket.
        arguments: further arguments.
        certificate: files of a certificate and its key, where connections are encrypted.
    """

    def __init__(
        self, directory: Path, *, arguments: Sequence[str] = (), certificate: tuple[Path, Path] | None = None
    ) -> None:
        self.port = free_port()
        self.socket_path = directory / "socket"
        self._log = directory / "log"
        listening = f"--port {self.port}"
        if certificate is not None:
            file, key = certificate
            listening = f"--port 0 --tls-port {self.port} --tls-cert-file {file} --tls-key-file {key}"
            listening += f" --tls-ca-cert-file {file} --tls-auth-clients no"
        self._arguments = [
            listening,
            f"--unixsocket {self.socket_path}",
            "--bind 127.0.0.1",
            "--save ''",
            "--appendonly no",
            *arguments,
        ]

    @property
    def url(self) -> str:
        """Where the server listens."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start the server and wait until it listens."""
        with self._log.open("ab") as log:
            command = [find_redis_server() or "redis-server", *" ".join(self._arguments).split()]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.02)
        raise RuntimeError(f"redis-server does not listen: {self._log.read_text()[-2000:]}")

    def send(self, sent: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(sent)

    def kill(self) -> None:
        """End the server as a crash would."""
        self._process.kill()
        self._process.wait()
