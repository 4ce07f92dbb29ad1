"""The commands `duoact-train data import | check`: official files become a data folder, and a folder is checked."""

import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table as Grid

from training.commands.options import EXIT_FAILED, WorkersOption, clear_errors
from training.data.check import DataCheck, check_data
from training.data.class_lists import ClassList, read_class_list
from training.data.datasets.catalogue import NUMBERED, READERS
from training.data.datasets.importing import MISSING_NAME, Imported, ImportOptions, import_data_set
from training.data.datasets.label_orders import LabelOrder, describe_order
from training.data.datasets.listing import Official
from training.data.datasets.msr_vtt import ImportedCaptions, import_captions
from training.data.split_files import SplitFile
from training.errors import SettingError

CAPTIONS = "msr_vtt"
ALL = "all"
_NUM_LABELS_SHOWN, _NUM_PROBLEMS_SHOWN = 20, 10

data_app = typer.Typer(help="Bring official data sets into data folders, and check these.", no_args_is_help=True)


@data_app.command("import")
def import_command(  # noqa: PLR0913 - each argument is an option
    data_set: Annotated[str, typer.Argument(help=f"One of {', '.join((*READERS, CAPTIONS))}.")],
    *,
    videos: Annotated[Path, typer.Option(help="Folder of the videos, which stay where they are.")],
    files: Annotated[Path | None, typer.Option(help="Folder of the official files; the file for csv, msr_vtt.")] = None,
    labels: Annotated[Path | None, typer.Option(help="List of classes, where the files bring none.")] = None,
    lists: Annotated[
        list[str] | None,
        typer.Option("--list", help="A list of videos, as test=val1.txt or test=val1.txt,labels.csv; repeatable."),
    ] = None,
    split_number: Annotated[int, typer.Option(min=1, max=3, help=f"Official split of {' and '.join(NUMBERED)}.")] = 1,
    split: Annotated[str | None, typer.Option(help="Split of videos without one; of msr_vtt, the one to take.")] = None,
    rename: Annotated[list[str] | None, typer.Option(help="Another name for a split, as val=test; repeatable.")] = None,
    spelling: Annotated[
        Literal["words", "original"], typer.Option(help="English labels in words, or as the data set has them.")
    ] = "words",
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help=f"Leave missing videos out; {MISSING_NAME} lists them.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Folder of the tables. [default: that of the videos]")] = None,
) -> None:
    """Turn a data set's official files into the tables of a data folder."""
    with clear_errors() as console:
        if data_set == CAPTIONS:
            if files is None:
                raise SettingError(f"{CAPTIONS} needs --files, its JSON or its table of captions")
            captions = import_captions(
                files, videos=videos, out=out or videos, split=split, allow_missing=allow_missing
            )
            console.print(_render_captions(captions), soft_wrap=True)
            return
        if data_set not in READERS:
            raise SettingError(f"data set is {data_set!r}; known are {', '.join((*READERS, CAPTIONS))}")
        official = Official(
            videos=videos,
            files=files,
            split_number=split_number,
            lists=tuple(parse_list(each, labels=labels) for each in lists or []),
            labels=labels,
            default_split=split or "train",
        )
        options = ImportOptions(spelling, dict(map(parse_renaming, rename or [])), allow_missing)
        imported = import_data_set(data_set, official=official, out=out or videos, options=options)
        console.print(_render_import(imported), soft_wrap=True, highlight=False)


@data_app.command("check")
def check_command(
    path: Annotated[Path, typer.Argument(help="A data folder, or a list of classes.")],
    *,
    decode: Annotated[str, typer.Option(help=f"Videos to decode, drawn at random: a number, or {ALL}.")] = "32",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draw.")] = 0,
    workers: WorkersOption = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Count, compare and decode a data folder's videos, name the order of its labels; fail if something is wrong."""
    with clear_errors() as console:
        if path.is_file():
            is_sound = _check_class_list(path, console=console, as_json=as_json)
        else:
            check = check_data(
                path,
                num_decoded=parse_number(decode),
                seed=seed,
                num_workers=workers,
                track=partial(_track, console=Console(stderr=True)),
            )
            is_sound = check.is_sound
            if as_json:
                typer.echo(json.dumps(check.to_json(), ensure_ascii=False, indent=2))
            else:
                _print_check(check, console=console)
        if not is_sound:
            raise typer.Exit(EXIT_FAILED)


def parse_list(text: str, *, labels: Path | None) -> SplitFile:
    """Read a list written as SPLIT=FILE or SPLIT=FILE,CLASSES.

    Raises:
        SettingError: another form, or no list of classes in it nor beside it.
    """
    split, _, rest = text.partition("=")
    file, _, classes = rest.partition(",")
    table = Path(classes) if classes else labels
    if not split or not file or table is None:
        raise SettingError(f"--list is {text!r}; write SPLIT=FILE,CLASSES, or SPLIT=FILE with --labels CLASSES")
    return SplitFile(split, Path(file), table)


def parse_renaming(text: str) -> tuple[str, str]:
    """Read a renaming written as OLD=NEW.

    Raises:
        SettingError: another form.
    """
    old, _, new = text.partition("=")
    if not old or not new:
        raise SettingError(f"--rename is {text!r}; write OLD=NEW, like val=test")
    return old, new


def parse_number(text: str) -> int | None:
    """Read how many videos are decoded; None stands for all.

    Raises:
        SettingError: neither a number nor ``all``.
    """
    if text != ALL and not text.isdecimal():
        raise SettingError(f"--decode is {text!r}; write a number from 0 on, or {ALL}")
    return None if text == ALL else int(text)


def _track(items: Iterable[Any], total: int, description: str, *, console: Console) -> Iterable[Any]:
    return track(items, total=total, description=description, console=console, transient=True)


def _render_import(imported: Imported) -> str:
    counts = ", ".join(f"{split} {number}" for split, number in imported.num_videos.items())
    num_labels = imported.order.num_labels
    lines = [
        f"videos: {counts}",
        f"labels: {num_labels}, {imported.num_chinese} of them with Chinese",
        f"label order: {imported.order}",
        *(f"note: {note}" for note in imported.notes),
    ]
    if imported.missing:
        lines.append(f"missing: {len(imported.missing)}, listed in {imported.directory / MISSING_NAME}")
    return escape("\n".join([*lines, f"data folder: {imported.directory}"]))


def _render_captions(captions: ImportedCaptions) -> str:
    missing = f"; {len(captions.missing)} videos are missing" if captions.missing else ""
    return escape(f"{captions.num_captions} captions of {captions.num_videos} videos: {captions.file}{missing}")


def _print_check(check: DataCheck, *, console: Console) -> None:
    grid = Grid("label", *check.counts, title=f"{check.name}: videos")
    for index, label in enumerate(check.labels[:_NUM_LABELS_SHOWN]):
        grid.add_row(escape(label), *(str(counts[index]) for counts in check.counts.values()))
    if len(check.labels) > _NUM_LABELS_SHOWN:
        grid.add_row(f"and {len(check.labels) - _NUM_LABELS_SHOWN} more (--json shows all)")
    grid.add_row("all", *(str(sum(counts)) for counts in check.counts.values()), style="bold")
    console.print(grid)
    _print_order(check.order, console=console)
    console.print(f"decoded from first to last frame: {check.num_decoded} videos")
    _print_problems(check, console=console)
    console.print("sound" if check.is_sound else "not sound", style="bold")


def _print_problems(check: DataCheck, *, console: Console) -> None:
    """Show the first problems of each kind, errors in red."""
    for kind, severity in dict.fromkeys((each.kind, each.severity) for each in check.problems):
        messages = [each.message for each in check.problems if (each.kind, each.severity) == (kind, severity)]
        style = "red" if severity == "error" else "yellow"
        for message in messages[:_NUM_PROBLEMS_SHOWN]:
            console.print(f"{severity}, {kind}: {escape(message)}", style=style, soft_wrap=True, highlight=False)
        if len(messages) > _NUM_PROBLEMS_SHOWN:
            more = len(messages) - _NUM_PROBLEMS_SHOWN
            console.print(f"{severity}, {kind}: and {more} more (--json shows all)", style=style, highlight=False)


def _check_class_list(path: Path, *, console: Console, as_json: bool) -> bool:
    """Show a list of classes and whether it has no problem."""
    classes = read_class_list(path)
    order = describe_order(classes.names)
    if as_json:
        typer.echo(json.dumps(_describe_list(classes, order=order), ensure_ascii=False, indent=2))
        return not classes.problems
    _print_order(order, console=console)
    for problem in classes.problems:
        console.print(f"error: {escape(problem)}", style="red", soft_wrap=True)
    for note in classes.notes:
        console.print(f"note: {escape(note)}", soft_wrap=True)
    return not classes.problems


def _describe_list(classes: ClassList, *, order: LabelOrder) -> dict[str, Any]:
    return {
        "num_labels": order.num_labels,
        "checksum": order.checksum,
        "known": order.known,
        "problems": classes.problems,
        "notes": [*classes.notes, *order.notes],
    }


def _print_order(order: LabelOrder, *, console: Console) -> None:
    console.print(f"label order: {escape(str(order))}", soft_wrap=True, highlight=False)
    console.print(
        "  (SHA-256 over the names in their order, one a line, folded and without blanks and punctuation)",
        soft_wrap=True,
        highlight=False,
    )
