"""RandAugment: the same change in every frame, decided by the seed, without a trace in the global generators."""

import random

import numpy as np
import pytest

from training.config.fitting import AugmentConfig
from training.data.rand_augment import rand_augment_clip

PICTURE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
STILL = np.repeat(PICTURE[None], 4, axis=0)
POLICY = "rand-m7-n4-mstd0.5-inc1"


@pytest.mark.parametrize("seed", range(20))
def test_frames_change_alike_and_as_the_seed_says(seed: int) -> None:
    changed = rand_augment_clip(STILL, policy=POLICY, seed=seed)
    assert changed.shape == STILL.shape
    assert np.array_equal(changed, np.repeat(changed[:1], 4, axis=0))
    assert np.array_equal(changed, rand_augment_clip(STILL, policy=POLICY, seed=seed))


def test_seeds_differ_in_what_they_change() -> None:
    assert len({rand_augment_clip(STILL, policy=POLICY, seed=seed).tobytes() for seed in range(20)}) > 15


@pytest.mark.parametrize(("policy", "changes"), [("rand-m7-n4-p0", False), ("rand-m7-n4-p1-inc1", True)])
def test_probability_of_operations_is_that_of_the_policy(policy: str, changes: bool) -> None:
    clips = [rand_augment_clip(STILL, policy=policy, seed=seed) for seed in range(10)]
    assert [not np.array_equal(clip, STILL) for clip in clips] == [changes] * 10


def test_moving_clip_keeps_the_order_of_its_frames() -> None:
    clip = np.stack([PICTURE, PICTURE[::-1], PICTURE[:, ::-1]])
    changed = rand_augment_clip(clip, policy=POLICY, seed=4)
    for frame, expected in zip(clip, changed, strict=True):
        assert np.array_equal(rand_augment_clip(frame[None], policy=POLICY, seed=4)[0], expected)


def test_global_generators_are_left_as_they_were() -> None:
    random.seed(5)
    np.random.seed(5)
    expected = random.random(), np.random.random()
    random.seed(5)
    np.random.seed(5)
    rand_augment_clip(STILL, policy=POLICY, seed=1)
    assert (random.random(), np.random.random()) == expected


@pytest.mark.parametrize("policy", ["rand", "rand-m0", "rand-m10-n2", "rand-n1-p0.25-inc0", POLICY, "rand-mstd2-p1.0"])
def test_policies_that_a_config_takes_are_known_to_timm(policy: str) -> None:
    assert AugmentConfig(rand_augment=policy).rand_augment == policy
    assert rand_augment_clip(STILL, policy=policy, seed=0).shape == STILL.shape
