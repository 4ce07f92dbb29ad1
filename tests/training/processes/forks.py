"""The processes of a launch on CPUs without a launcher: forks of one server that has imported everything.

Importing takes longer than what tests then do.
"""

import json
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, NamedTuple

from torch.multiprocessing.spawn import start_processes
from typer.testing import CliRunner

from training.commands.menu import app

# What the server imports, once. Python's own server, of which there is one a process, is taken: decoding workers come
# from it, and it has imported what they need.
_SERVER = forkserver.ForkServer()
_SERVER.set_forkserver_preload(
    ["tests.training.processes.ranks", "training.commands.evaluate", "training.commands.fit"]
)


class Outcome(NamedTuple):
    """What a command came to in one process."""

    exit_code: int
    stdout: str
    stderr: str


def run_in_processes(work: Callable[..., None], *arguments: Any, num_processes: int) -> None:  # noqa: ANN401
    """Call ``work(rank, *arguments)`` in processes that find each other as those of a launcher do."""
    with _forking_from_our_server():
        start_processes(
            _run_in_rank,
            args=(num_processes, _free_port(), work, arguments),
            nprocs=num_processes,
            start_method="forkserver",
        )


@contextmanager
def _forking_from_our_server() -> Iterator[None]:
    theirs = forkserver.connect_to_new_process
    forkserver.connect_to_new_process = _SERVER.connect_to_new_process
    try:
        yield
    finally:
        forkserver.connect_to_new_process = theirs


def call_in_processes(*arguments: object, num_processes: int = 2) -> list[Outcome]:
    """Run a command of ``duoact-train`` in processes; returns what it came to, by rank."""
    with tempfile.TemporaryDirectory() as folder:
        run_in_processes(_call, Path(folder), [str(each) for each in arguments], num_processes=num_processes)
        return [Outcome(*json.loads(Path(folder, str(rank)).read_text())) for rank in range(num_processes)]


def _call(rank: int, folder: Path, arguments: list[str]) -> None:
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    folder.joinpath(str(rank)).write_text(json.dumps([result.exit_code, result.stdout, result.stderr]))


def _free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _run_in_rank(
    rank: int, num_processes: int, port: int, work: Callable[..., None], arguments: tuple[Any, ...]
) -> None:
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(num_processes),
        LOCAL_WORLD_SIZE=str(num_processes),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
        ACCELERATE_USE_CPU="true",
        ACCELERATE_TORCH_DEVICE="cpu",
    )
    work(rank, *arguments)
