"""The command `duoact-train`: reads arguments, calls the training parts, prints; what they do lives elsewhere."""

import json
from pathlib import Path
from typing import Annotated

import typer

from service.contract.graphs import Format
from service.contract.labels import read_label_file
from training.checkpoint import load_model
from training.cli_ablate import ablate_command
from training.cli_align import align_command
from training.cli_bundle import backbone_command, bundle_command
from training.cli_configure import configure_command
from training.cli_cost import cost_command
from training.cli_data import data_app
from training.cli_evaluate import evaluate_command
from training.cli_figures import figures_command
from training.cli_import import import_command
from training.cli_label_cost import label_cost_command
from training.cli_options import EXIT_CODES, DataOption, SetOption, WorkersOption, clear_errors
from training.cli_publish import publish_command
from training.cli_retrieve import retrieve_command
from training.data.annotations import LABELS_NAME, read_video_data
from training.demo.build import build_demo, plan_demo, plan_miniature
from training.export.bundle import export_bundle
from training.export.verify import verify_bundle
from training.fit import Workplace, fit
from training.model_card import configure_method, describe_model, render_groups
from training.overrides import override, parse_settings
from training.progress import show_fit
from training.provenance import choose_fusion, describe_provenance
from training.recipes import find_recipe

app = typer.Typer(
    help="Adapt frozen CLIP to video, evaluate it and export bundles.", epilog=EXIT_CODES, no_args_is_help=True
)
app.command("ablate")(ablate_command)
app.command("align")(align_command)
app.command("backbone")(backbone_command)
app.command("bundle")(bundle_command)
app.command("configure")(configure_command)
app.command("cost")(cost_command)
app.add_typer(data_app, name="data")
app.command("evaluate")(evaluate_command)
app.command("figures")(figures_command)
app.command("import")(import_command)
app.command("label-cost")(label_cost_command)
app.command("publish")(publish_command)
app.command("retrieve")(retrieve_command)


@app.command("demo")
def demo_command(
    *,
    out: Annotated[Path, typer.Option(help="Folder of the bundle.")] = Path("model_repository/demo"),
    work: Annotated[
        Path, typer.Option(help="Folder for data, towers and run; what is there is not made again.")
    ] = Path("runs/demo"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of data, towers and adapters.")] = 0,
    workers: WorkersOption = 2,
    miniature: Annotated[bool, typer.Option("--miniature", help="Take the same path in a minute or two.")] = False,
) -> None:
    """Build the demo bundle from nothing: render, pre-train, align, fit, evaluate, export, verify."""
    with clear_errors() as console:
        plan = plan_miniature(seed=seed) if miniature else plan_demo(seed=seed)
        build_demo(plan, out=out, work=work, num_workers=workers, console=console)


@app.command("fit")
def fit_command(  # noqa: PLR0913 - each argument is an option
    recipe: Annotated[str, typer.Argument(help="Name of the recipe.")],
    *,
    data: DataOption,
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    backbone: Annotated[Path | None, typer.Option(help="Folder of the frozen towers to start from.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder for decoded frames. [default: in the run]")] = None,
    settings: SetOption = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint, if the run was begun.")
    ] = False,
    workers: WorkersOption = 2,
    shard: Annotated[
        bool, typer.Option("--shard", help="Spread the model over the processes of the launch, instead of copying it.")
    ] = False,
) -> None:
    """Fit a recipe's adapters on a data folder."""
    with clear_errors(is_shared=True) as console, show_fit(console) as begin:
        fit(
            override(find_recipe(recipe), parse_settings(settings or [])),
            data=read_video_data(data),
            workplace=Workplace(run_dir=out, cache_dir=cache or out / "frames", num_workers=workers),
            backbone_dir=backbone,
            resume=resume,
            begin=begin,
            shard=shard,
        )


@app.command("export")
def export_command(
    run: Annotated[Path, typer.Argument(help="Folder of the run.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder of the bundle.")],
    graph_format: Annotated[Format, typer.Option("--format", help="Format of the graphs.")] = "onnx",
    name: Annotated[str | None, typer.Option(help="Name of the bundle. [default: that of its folder]")] = None,
) -> None:
    """Export a run as a bundle, with the labels it was fitted on as a label set, or as its classes."""
    with clear_errors():
        model, provenance = load_model(run).cpu(), describe_provenance(run)
        # Classes stand in the manifest, and a closed vocabulary compares them with no text.
        label_sets = {} if model.classes else {provenance.training_data["name"]: read_label_file(run / LABELS_NAME)}
        export_bundle(
            model,
            out,
            name=name or out.resolve().name,
            label_sets=label_sets,
            fusion=choose_fusion(run, has_chinese=model.chinese is not None),
            provenance=provenance,
            format=graph_format,
        )


@app.command("verify")
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


@app.command("info")
def info_command(
    method: Annotated[str, typer.Argument(help="Name of the method.")],
    *,
    backbone: Annotated[str, typer.Option(help="An open_clip architecture.")] = "ViT-B-16-quickgelu",
    frames: Annotated[int, typer.Option(help="Frames of a clip.")] = 8,
    settings: SetOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Count parameters by group and multiply-accumulates of a view; needs no weights."""
    with clear_errors() as console:
        config = configure_method(method, architecture=backbone, num_frames=frames)
        card = describe_model(override(config, parse_settings(settings or [])))
        if as_json:
            typer.echo(json.dumps(card.to_json(), indent=2))
            return
        console.print(render_groups(card.groups))
        console.print(f"{card.gmacs_per_view} GMACs a view")
