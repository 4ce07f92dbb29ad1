"""The command `duoact-train configure`: how a Triton server is to run a bundle."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from training.cli_options import clear_errors
from training.export.configure import configure_bundle
from training.export.triton import Deployment


def configure_command(  # noqa: PLR0913 - one argument an option
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    *,
    out: Annotated[Path | None, typer.Option(help="Folder of the configured bundle. [default: the bundle itself]")] = (
        None
    ),
    gpus: Annotated[str, typer.Option(help="GPUs to run on, such as 0,1. [default: the CPU]")] = "",
    instances: Annotated[int, typer.Option(min=1, help="Copies of each graph on each device.")] = 1,
    tensorrt: Annotated[
        Literal["FP32", "FP16"] | None, typer.Option(help="Run the video encoder in TensorRT, in this precision.")
    ] = None,
    cuda_graphs: Annotated[bool, typer.Option("--cuda-graphs", help="Let TensorRT record CUDA graphs.")] = False,
    max_views: Annotated[int, typer.Option(min=4, help="Views of one execution.")] = Deployment.max_views,
    queue_length: Annotated[int, typer.Option(min=0, help="Requests that may wait for a graph; 0 sets no bound.")] = 0,
    queue_seconds: Annotated[float, typer.Option(min=0, help="Longest wait of a request; 0 sets no limit.")] = 0.0,
    measured: Annotated[
        str, typer.Option(help="Seconds of an execution by its number of views, such as 1=0.012,8=0.04.")
    ] = "",
) -> None:
    """Write the config.pbtxt of a bundle's graphs for other devices, batch sizes and queues than the default."""
    with clear_errors():
        try:
            deployment = Deployment(
                gpus=tuple(int(gpu) for gpu in gpus.split(",") if gpu),
                num_instances=instances,
                tensorrt=tensorrt,
                cuda_graphs=cuda_graphs,
                max_views=max_views,
                queue_length=queue_length,
                queue_seconds=queue_seconds,
                encode_seconds=_parse_measured(measured),
            )
            configure_bundle(bundle, out or bundle, deployment=deployment)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error


def _parse_measured(text: str) -> dict[int, float]:
    pairs = [part.partition("=") for part in text.split(",") if part]
    return {int(views): float(seconds) for views, _, seconds in pairs}
