"""The command `duoact-train import`: a released checkpoint becomes a run folder."""

from pathlib import Path
from typing import Annotated

import typer

from service.contract.labels import read_label_file
from training.commands.options import clear_errors
from training.importers.conversion import Preset
from training.importers.families import FAMILIES, import_checkpoint


def import_command(
    family: Annotated[str, typer.Argument(help=f"One of {', '.join(FAMILIES)}.")],
    checkpoint: Annotated[Path, typer.Argument(help="The released file.")],
    *,
    backbone: Annotated[Path, typer.Option(help="Folder of the frozen towers that it was trained from.")],
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    frames: Annotated[int | None, typer.Option(min=1, help="Frames of a clip. [default: as the file says]")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Table id,en,zh of the classes it was trained on. [default: as the file says]")
    ] = None,
    preset: Annotated[
        Preset | None, typer.Option(help="Data set whose pictures a side network was trained on.")
    ] = None,
) -> None:
    """Import a released checkpoint as a run, which evaluate and export take; nothing in the file is executed."""
    with clear_errors() as console:
        converted = import_checkpoint(
            family,
            checkpoint,
            backbone_dir=backbone,
            out=out,
            num_frames=frames,
            labels=None if labels is None else read_label_file(labels),
            preset=preset,
        )
        for remark in converted.remarks:
            console.print(f"warning: {remark}", style="yellow", highlight=False, soft_wrap=True, markup=False)
        model = converted.model
        console.print(
            f"{out}: {model.method}, {model.num_frames} frames, {len(converted.labels)} classes; licence: "
            f"{converted.licence}",
            highlight=False,
            soft_wrap=True,
            markup=False,
        )
