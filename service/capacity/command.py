"""`duoact capacity` on the command line."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from service.capacity.costs import CapacityError, read_costs
from service.capacity.plan import Traffic, make_plan
from service.capacity.simulate import Load
from service.capacity.table import render_plan

_EXIT_UNUSABLE = 2
# One view of a ViT that sees 8 frames of 224 x 224 pixels in three colours.
_VIEW_BYTES = 8 * 224 * 224 * 3


def capacity(  # noqa: PLR0913 - one argument an option
    costs: Annotated[list[Path], typer.Argument(help="Reports of `duoact bench`; two lengths of video tell its cost.")],
    *,
    encoder: Annotated[Path | None, typer.Option(help="Report of another encoder: its part `encode`.")] = None,
    requests_per_second: Annotated[float, typer.Option(min=1e-3)] = 10.0,
    video_seconds: Annotated[float, typer.Option(min=1e-2, help="Length of a video.")] = 10.0,
    num_labels: Annotated[int, typer.Option(min=1, help="Labels of a request.")] = 400,
    num_views: Annotated[int, typer.Option(min=1, help="Views of a request.")] = 1,
    known: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Part of the requests about a video seen lately.")
    ] = 0.0,
    new_labels: Annotated[float, typer.Option(min=0.0, max=1.0, help="Part of the labels never seen.")] = 0.0,
    p99_seconds: Annotated[float, typer.Option(min=1e-3, help="99 of 100 answers come within this.")] = 1.0,
    workers: Annotated[int, typer.Option(min=1, help="Decoding processes of a gateway, one a core.")] = 4,
    max_views: Annotated[int, typer.Option(min=1, help="Views in one call of an encoder.")] = 16,
    video_megabits: Annotated[float, typer.Option(min=1e-3, help="Megabits of one second of video.")] = 1.0,
    view_bytes: Annotated[int, typer.Option(min=1, help="Bytes of one view on its way to an encoder.")] = _VIEW_BYTES,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Say how many gateways and encoders a load needs, from measured costs."""
    load = Load(
        requests_per_second=requests_per_second,
        video_seconds=video_seconds,
        num_labels=num_labels,
        num_views=num_views,
        known_fraction=known,
        new_label_fraction=new_labels,
    )
    try:
        measured = read_costs(*costs)
        plan = make_plan(
            load,
            costs=measured if encoder is None else measured.with_encoder(encoder),
            traffic=Traffic(video_bits_per_second=video_megabits * 1e6, view_bytes=view_bytes),
            limit_seconds=p99_seconds,
            num_workers=workers,
            max_views=max_views,
        )
    except CapacityError as error:
        Console(stderr=True, soft_wrap=True).print(f"duoact: {error}", markup=False, highlight=False)
        raise typer.Exit(_EXIT_UNUSABLE) from error
    if as_json:
        typer.echo(json.dumps(plan.to_dict(), indent=2))
    else:
        Console().print(render_plan(plan))
