"""The command `duoact-train ablate`: fill and report one of the paper's tables; the work is in ``studies.ablation``."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table as Grid

from training.commands.options import EXIT_FAILED, SetOption, WorkersOption, clear_errors
from training.config.overrides import override, parse_settings
from training.data.annotations import read_video_data
from training.errors import SettingError
from training.recipes import find_recipe
from training.studies.ablation.plan import list_runs, open_ablation
from training.studies.ablation.progress import Display
from training.studies.ablation.report import REPORT_NAME, render_summary, write_report
from training.studies.ablation.runner import DecodeResources, run_all
from training.studies.ablation.tables import TABLES, find_table
from training.studies.ablation.variants import Table


def ablate_command(  # noqa: PLR0913 - each argument is an option
    table: Annotated[str, typer.Argument(help=f"One of {', '.join(TABLES)}.")],
    *,
    data: Annotated[Path | None, typer.Option(help="Folder with labels.csv and annotations.csv.")] = None,
    backbone: Annotated[Path | None, typer.Option(help="Folder of the frozen towers to start from.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the table; what is there is not made again.")] = None,
    recipe: Annotated[str, typer.Option(help="Recipe that the variants change.")] = "dual_semantic",
    seeds: Annotated[str, typer.Option(help="Seeds of every variant, as 0,1,2.")] = "0,1,2",
    settings: SetOption = None,
    cache: Annotated[Path | None, typer.Option(help="Folder for decoded frames. [default: in the table's]")] = None,
    protocol: Annotated[str, typer.Option(help="How every run is evaluated.")] = "open_vocabulary",
    workers: WorkersOption = 2,
    only: Annotated[str, typer.Option(help="Variants to run, as a,b; all by default.")] = "",
    list_only: Annotated[bool, typer.Option("--list", help="Show the variants and run nothing.")] = False,
) -> None:
    """Run a table of the paper on a data folder, seed by seed; repeat the command to go on, or to share the work."""
    with clear_errors() as console:
        chosen = find_table(table)
        if list_only:
            console.print(_render_table(chosen))
            return
        if data is None or backbone is None or out is None:
            raise SettingError("a table needs --data, --backbone and --out; --list shows its variants without them")
        ablation = open_ablation(
            chosen,
            recipe=override(find_recipe(recipe), parse_settings(settings or [])),
            settings=settings or [],
            data=read_video_data(data),
            backbone_dir=backbone,
            protocol=protocol,
            directory=out,
        )
        runs = list_runs(ablation, only=[name for name in only.split(",") if name], seeds=parse_seeds(seeds))
        resources = DecodeResources(cache_dir=cache or out / "frames", num_workers=workers)
        num_failed = run_all(
            ablation,
            runs,
            resources=resources,
            display=Display(console, len(runs)),
            after_each=partial(write_report, ablation),
        )
        write_report(ablation)
        console.print(render_summary(ablation))
        console.print(f"report: {out / REPORT_NAME}.md, .json and .png", soft_wrap=True)
        if num_failed:
            console.print(f"{num_failed} runs failed; repeat the command to try them again", style="red")
            raise typer.Exit(EXIT_FAILED)


def parse_seeds(text: str) -> list[int]:
    """Read seeds written as 0,1,2.

    Raises:
        SettingError: something else is written, or a seed twice.
    """
    parts = text.split(",")
    if not all(part.isdecimal() for part in parts) or len(set(map(int, parts))) < len(parts):
        raise SettingError(f"--seeds is {text!r}; write different whole numbers from 0 on, like 0,1,2")
    return [int(part) for part in parts]


def _render_table(table: Table) -> Grid:
    """Render the variants of a table, with the paper's figures, for a terminal."""
    title = f"{table.title} ({table.source})"
    grid = Grid("variant", "what it is", *table.data_sets, title=title, caption=table.note)
    for variant in table.variants:
        papers = [variant.paper_accuracy(data_set) for data_set in table.data_sets]
        figures = [f"{paper.top1 or '–'} / {paper.top5 or '–'}" for paper in papers]
        grid.add_row(variant.name, variant.title, *figures)
    return grid
