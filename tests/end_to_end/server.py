"""A real `duoact serve` process on a free port, for tests that talk to it over HTTP."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0


def free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def run_server(
    bundle: Path, *, log: Path, python: Path | str = sys.executable, settings: dict[str, str] | None = None
) -> Iterator[httpx.Client]:
    """Start the service, wait until it is ready, and stop it at the end."""
    port = free_port()
    command = [str(Path(python).with_name("duoact")), "serve", "--bundle", str(bundle), "--port", str(port)]
    environment = {**os.environ, "DUOACT_CACHE_DIR": str(log.parent / "cache"), **(settings or {})}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment, cwd=ROOT)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            _wait_until_ready(client, process, log)
            yield client
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_until_ready(client: httpx.Client, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the service ended with {process.returncode}: {log.read_text()[-2000:]}")
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise TimeoutError(f"not ready after {START_SECONDS} s: {log.read_text()[-2000:]}")
