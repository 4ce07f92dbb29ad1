"""The commands `duoact-train export` and `verify`: a run becomes a bundle, and a bundle is proven."""

from pathlib import Path
from typing import Annotated

import typer

from service.contract.layout import GraphFormat
from training.commands.options import clear_errors
from training.export.bundle import export_bundle
from training.export.provenance import choose_fusion, describe_provenance
from training.export.verify import verify_bundle
from training.runs.run import load_model, open_run


def export_command(
    run: Annotated[Path, typer.Argument(help="Folder of the run.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder of the bundle.")],
    graph_format: Annotated[GraphFormat, typer.Option("--format", help="Format of the graphs.")] = "onnx",
    name: Annotated[str | None, typer.Option(help="Name of the bundle. [default: that of its folder]")] = None,
) -> None:
    """Export a run as a bundle, with the labels it was fitted on as a label set, or as its classes."""
    with clear_errors():
        opened = open_run(run)
        model, provenance = opened.load_model().cpu(), describe_provenance(opened)
        # Classes stand in the manifest, and a closed vocabulary compares them with no text.
        label_sets = {} if model.classes else {provenance.training_data["name"]: opened.read_labels()}
        export_bundle(
            model,
            out,
            name=name or out.resolve().name,
            label_sets=label_sets,
            fusion=choose_fusion(opened, has_chinese=model.chinese is not None),
            provenance=provenance,
            format=graph_format,
        )


def verify_command(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    *,
    run: Annotated[Path | None, typer.Option(help="Folder of the run it was exported from, to compare with.")] = None,
    triton: Annotated[
        str | None, typer.Option(help="HOST:PORT of a Triton server that runs it, to compare too.")
    ] = None,
) -> None:
    """Prove that a bundle gives the same answers on every engine."""
    with clear_errors() as console:
        model = None if run is None else load_model(run).cpu()
        verify_bundle(bundle, model=model, console=console, triton=triton)
