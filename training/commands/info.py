"""The command `duoact-train info`: parameters and multiply-accumulates of a method."""

import json
from typing import Annotated

import typer

from training.commands.options import SetOption, clear_errors
from training.config.overrides import override, parse_settings
from training.models.card import configure_method, describe_model, render_groups


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
