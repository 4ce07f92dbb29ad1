"""What all commands of `duoact-train` share: options that mean the same everywhere, and how errors are shown."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from service.contract.errors import DuoActError
from training.errors import SettingError
from training.processes.ranks import count_started, lacks_others, read_rank

EXIT_FAILED = 1

DataOption = Annotated[Path, typer.Option(help="Folder with labels.csv and annotations.csv.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="A field of the config, as key=value; repeatable.")]
WorkersOption = Annotated[int, typer.Option(min=1, help="Processes that decode videos.")]


@contextmanager
def clear_errors(*, is_shared: bool = False) -> Iterator[Console]:
    """Turn an error that is meant for people into one line and a failure.

    Several processes are refused unless they share the command's work. Of them the main one speaks. Errors come from
    all, as any may be the only one to meet them; those of the others begin with their numbers.
    """
    rank = read_rank()
    try:
        _check_launch(is_shared=is_shared)
        yield Console(quiet=rank > 0)
    except DuoActError as error:
        message = f"process {rank}: {error}" if rank else str(error)
        Console(stderr=True).print(f"[red]{escape(message)}[/red]", highlight=False, soft_wrap=True)
        raise typer.Exit(EXIT_FAILED) from error


def _check_launch(*, is_shared: bool) -> None:
    """Check that a command suits the number of processes that a launcher started; warn where it started too few.

    Raises:
        SettingError: several processes were started for a command that one does alone.
    """
    if not is_shared and (num_started := count_started()) > 1:
        raise SettingError(
            f"the launcher started {num_started} processes, but of all commands only fit and evaluate share their "
            "work; run this one without a launcher"
        )
    if is_shared and lacks_others():
        Console(stderr=True).print(
            "this process works alone: accelerate starts one with --cpu, or on less than two GPUs, however many are "
            "asked for. For several on CPUs set ACCELERATE_USE_CPU=true and launch with --multi_gpu, without --cpu",
            highlight=False,
            soft_wrap=True,
        )
