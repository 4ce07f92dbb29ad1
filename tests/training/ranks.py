"""One process of a fit in several; a module of its own, because processes start by importing it."""

import os
import socket
from pathlib import Path

from training.config import Recipe
from training.data.annotations import VideoData
from training.fit import Workplace, fit


def free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def fit_in_rank(
    rank: int, world_size: int, port: int, recipe: Recipe, data: VideoData, workplace: Workplace, backbone_dir: Path
) -> None:
    """Fit as one of several processes on a CPU."""
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(world_size),
        LOCAL_WORLD_SIZE=str(world_size),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
        ACCELERATE_USE_CPU="true",
        ACCELERATE_TORCH_DEVICE="cpu",
    )
    fit(
        recipe,
        data=data,
        workplace=workplace,
        backbone_dir=backbone_dir,
        resume=False,
        begin=lambda _: lambda _: None,
    )
