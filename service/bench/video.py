"""The video that is measured where none is given: seeded, so that every run and every machine decodes the same."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from service.contract.rendering import write_h264

NUM_FRAMES = 250
FRAME_RATE = 25
WIDTH, HEIGHT = 320, 240
_SEED = 0
_PATCH = 8
_BOX = 64


def make_test_video(path: Path) -> Path:
    """Write ten seconds of H.264, 320 x 240: a box that moves over a panned, coarse texture.

    It is written by a process of its own, so that the encoder's memory does not count as the service's.
    """
    with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as pool:
        pool.submit(write_test_video, path).result()
    return path


def write_test_video(path: Path) -> None:
    """Write the test video."""
    random = np.random.default_rng(_SEED)
    shape = (HEIGHT // _PATCH, (WIDTH + NUM_FRAMES) // _PATCH + 1, 3)
    patches = random.integers(0, 256, shape, dtype=np.uint8)
    texture = patches.repeat(_PATCH, axis=0).repeat(_PATCH, axis=1)
    write_h264(path, (_draw(texture, number) for number in range(NUM_FRAMES)), frame_rate=FRAME_RATE)


def _draw(texture: UInt8[np.ndarray, "H long 3"], number: int) -> UInt8[np.ndarray, "H W 3"]:
    picture = texture[:, number : number + WIDTH].copy()
    left = number * (WIDTH - _BOX) // NUM_FRAMES
    top = (HEIGHT - _BOX) // 2
    picture[top : top + _BOX, left : left + _BOX] = (230, 40, 40)
    return picture
