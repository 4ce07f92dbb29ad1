"""The start of a real `duoact serve`, from the command to a service that is ready."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from service.bench.plan import Advance, BenchError
from service.settings import Settings

_POLL_SECONDS = 0.02
_LIMIT_SECONDS = 600.0


@dataclass(frozen=True)
class StartCost:
    """Seconds from the command to the first answer that the service is ready.

    ``first_seconds`` with nothing kept from an earlier start, ``again_seconds`` with the compiled models that it kept.
    """

    first_seconds: float
    again_seconds: float


def measure_start(settings: Settings, *, advance: Advance) -> StartCost:
    """Start a service twice, with a cache directory of its own.

    Raises:
        BenchError: it ends before it is ready; the message repeats its last words.
    """
    with tempfile.TemporaryDirectory(prefix="duoact-bench-") as directory:
        seconds = []
        for _ in range(2):
            seconds.append(_start(settings, directory=Path(directory)))
            advance()
    return StartCost(*(round(each, 3) for each in seconds))


def _start(settings: Settings, *, directory: Path) -> float:
    began = time.perf_counter()
    with httpx.Client(trust_env=False, verify=False) as client, _serve(settings, directory=directory) as process:
        first_line = process.stdout.readline() if process.stdout is not None else ""
        url = first_line.rpartition(" on ")[2].strip()
        while not _is_ready(client, url):
            if process.poll() is not None or time.perf_counter() - began > _LIMIT_SECONDS:
                words = (directory / "log").read_text(encoding="utf-8").strip().splitlines()
                raise BenchError(f"`duoact serve` did not become ready: {words[-1] if words else 'it said nothing'}")
            time.sleep(_POLL_SECONDS)
        return time.perf_counter() - began


@contextmanager
def _serve(settings: Settings, *, directory: Path) -> "Iterator[subprocess.Popen[str]]":
    command = [sys.executable, "-m", "service", "serve", "--bundle", str(settings.bundle), "--port", "0"]
    environment = os.environ | {"DUOACT_CACHE_DIR": str(directory / "cache"), "DUOACT_HOST": "127.0.0.1"}
    with (directory / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--workers", str(settings.workers)],
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
            text=True,
        )
        try:
            yield process
        finally:
            # An interrupt waits for no load balancer to notice.
            process.send_signal(signal.SIGINT)
            process.communicate()


def _is_ready(client: httpx.Client, url: str) -> bool:
    with suppress(httpx.HTTPError):
        return client.get(f"{url}/readyz").status_code == httpx.codes.OK
    return False
