"""RandAugment of clips (Cubuk et al. 2020): timm's operations, drawn once a clip and applied alike to every frame."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from training.torchvision_operators import declare_missing_operators

# timm imports torchvision, so the declarations must come first and outlive the import.
_TORCHVISION_OPERATORS = declare_missing_operators()

from timm.data.auto_augment import rand_augment_transform  # noqa: E402

# What a rotated, sheared or shifted picture uncovers.
_GREY = (128, 128, 128)


def rand_augment_clip(frames: UInt8[np.ndarray, "T H W 3"], *, policy: str, seed: int) -> UInt8[np.ndarray, "T H W 3"]:
    """Change all frames by the same operations, with the same magnitudes and signs.

    An operation that looks at its picture, as equalising does, still does so frame by frame.
    """
    transform = rand_augment_transform(policy, hparams={"img_mean": _GREY})
    changed = []
    for frame in frames:
        with _seeded(seed):
            changed.append(np.asarray(transform(Image.fromarray(frame))))
    return np.stack(changed)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the global generators, from which timm draws, and put them back as they were."""
    states = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
