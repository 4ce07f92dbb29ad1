"""The command `duoact-train publish`: a bundle into the model repository that Triton servers read."""

from pathlib import Path
from typing import Annotated

import typer

from training.commands.options import clear_errors
from training.publishing.publish import NUM_KEPT, publish_bundle, roll_back


def publish_command(
    bundle: Annotated[Path | None, typer.Argument(help="Folder of the bundle; none with --rollback.")] = None,
    *,
    to: Annotated[str, typer.Option(help="Model repository: a folder, or a URL such as s3://bucket/models.")],
    rollback: Annotated[bool, typer.Option("--rollback", help="Take the current version back instead.")] = False,
    keep: Annotated[int, typer.Option(min=1, help="Versions that stay, the new one included.")] = NUM_KEPT,
) -> None:
    """Publish a bundle as a new version in a Triton model repository, or take the last version back."""
    if rollback == (bundle is not None):
        raise typer.BadParameter(f"give a bundle or --rollback, one of them; bundle is {bundle}")
    with clear_errors() as console:
        current = roll_back(to) if bundle is None else publish_bundle(bundle, to=to, num_kept=keep)
        console.print(f"{to} has {current.name} as its current version {current.version}")
        console.print(f"gateways with this bundle take it with DUOACT_TRITON_MODEL_VERSION={current.version}")
