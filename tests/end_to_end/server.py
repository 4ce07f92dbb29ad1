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
DEMO = ROOT / "model_repository" / "demo"
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
    """Start the service with a log of its own, wait until it is ready, and stop it at the end."""
    port = free_port()
    log.unlink(missing_ok=True)
    settings = {"DUOACT_CACHE_DIR": str(log.parent / "cache"), **(settings or {})}
    process = start_server(bundle, port=port, log=log, python=python, settings=settings)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            wait_until_ready(client, process, log)
            yield client
    finally:
        process.terminate()
        process.wait(timeout=30)


def start_server(
    bundle: Path, *, port: int, log: Path, python: Path | str = sys.executable, settings: dict[str, str]
) -> "subprocess.Popen[bytes]":
    """Start the service, whose output goes on at the end of the log."""
    command = [str(Path(python).with_name("duoact")), "serve", "--bundle", str(bundle), "--port", str(port)]
    with log.open("ab") as output:
        return subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **settings}, cwd=ROOT)


def wait_until_ready(client: httpx.Client, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until a started service answers, or fail with what it wrote."""
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
