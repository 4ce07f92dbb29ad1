"""The command `duoact-train configure`: how a Triton server is to run a bundle."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from training.commands.options import clear_errors
from training.export.configure import configure_bundle, read_encode_seconds
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
        Path | None,
        typer.Option(help="Report of `duoact bench`, from which preferred batch sizes and the queue's delay follow."),
    ] = None,
) -> None:
    """Write the config.pbtxt of a bundle's graphs for other devices, batch sizes and queues than the default."""
    with clear_errors():
        try:
            deployment = Deployment(
                gpus=_parse_gpus(gpus),
                num_instances=instances,
                tensorrt=tensorrt,
                cuda_graphs=cuda_graphs,
                max_views=max_views,
                queue_length=queue_length,
                queue_seconds=queue_seconds,
                encode_seconds={} if measured is None else read_encode_seconds(measured),
            )
            configure_bundle(bundle, out or bundle, deployment=deployment)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error


def _parse_gpus(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if wrong := [part for part in parts if not part.isdecimal()]:
        raise ValueError(f"gpus has {wrong[0]!r}; give numbers separated by commas, such as 0,1")
    return tuple(map(int, parts))
