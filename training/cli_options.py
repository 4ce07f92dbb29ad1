"""What all commands of `duoact-train` share: options that mean the same everywhere, and how errors are shown."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from service.contract.errors import DuoActError

EXIT_FAILED = 1
EXIT_CODES = (
    "Exit codes: 0 done; 1 failed, and the message says what to change; 2 arguments that make no sense; 130 "
    "interrupted, 143 terminated, 137 killed: run the same command again, fit with --resume once its run folder has a "
    "config.json. A bundle is replaced, and a version published, as a whole or not at all."
)

DataOption = Annotated[Path, typer.Option(help="Folder with labels.csv and annotations.csv.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="A field of the config, as key=value; repeatable.")]
WorkersOption = Annotated[int, typer.Option(min=1, help="Processes that decode videos.")]


@contextmanager
def clear_errors() -> Iterator[Console]:
    """Turn an error that is meant for people into one line and a failure."""
    try:
        yield Console()
    except DuoActError as error:
        Console(stderr=True).print(f"[red]{escape(str(error))}[/red]", highlight=False, soft_wrap=True)
        raise typer.Exit(EXIT_FAILED) from error
