"""Images of docker/ built for real and run by podman, which needs no daemon; the recipe is in containers/."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx

_FOLDER = Path(__file__).parent / "containers"
_ENVIRONMENT = f"source {_FOLDER}/environment && env -0"
_BUILD_SECONDS = 1200.0
GATEWAY, TRAINING = "localhost/duoact-gateway", "localhost/duoact-training"


def _read_environment() -> dict[str, str]:
    shown = subprocess.run(["bash", "-c", _ENVIRONMENT], check=True, capture_output=True, text=True).stdout
    return dict(line.split("=", 1) for line in shown.split("\0") if "=" in line)


@dataclass(frozen=True)
class Engine:
    """podman with storage of its own."""

    environment: dict[str, str] = field(default_factory=_read_environment)

    def build(self, *images: str) -> None:
        """Build images, the base first; what has not changed is not built again."""
        command = ["bash", str(_FOLDER / "build"), *images]
        subprocess.run(command, check=True, env=self.environment, timeout=_BUILD_SECONDS)

    def run(self, *arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command of podman and return what it says."""
        command = ["podman", *map(str, arguments)]
        return subprocess.run(command, check=check, env=self.environment, capture_output=True, text=True)

    def compose(self, *arguments: str, directory: Path, settings: dict[str, str]) -> None:
        """Run a command of compose over the folder docker/ of a directory."""
        command = [sys.executable, "-m", "podman_compose", "-f", "docker/compose.yaml", *arguments]
        subprocess.run(command, check=True, env={**os.environ, **self.environment, **settings}, cwd=directory)


def wait_until(holds: Callable[[], bool], *, limit_seconds: float = 90.0) -> None:
    """Ask again and again; an answer that cannot be had yet is a no."""
    deadline = time.monotonic() + limit_seconds
    while time.monotonic() < deadline:
        try:
            if holds():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise TimeoutError(f"not so after {limit_seconds:g} s")
