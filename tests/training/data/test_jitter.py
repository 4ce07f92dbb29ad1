"""Colour jitter against its definitions, one strength at a time."""

import colorsys

import numpy as np
import pytest

from training.data.jitter import jitter_clip

CLIP = np.random.default_rng(0).integers(0, 256, (2, 6, 5, 3), dtype=np.uint8)


def jitter(*strengths: float, clip: np.ndarray = CLIP, seed: int = 1) -> np.ndarray:
    brightness, contrast, saturation, hue = map(float, strengths)
    generator = np.random.default_rng(seed)
    return jitter_clip(clip, strengths=(brightness, contrast, saturation, hue), generator=generator)


def drawn_factor(seed: int, *, place: int, strength: float) -> float:
    generator = np.random.default_rng(seed)
    return [generator.uniform(1 - (strength if each == place else 0), 1 + (strength if each == place else 0))
            for each in range(3)][place]  # fmt: skip


def test_strengths_of_zero_change_nothing() -> None:
    assert np.array_equal(jitter(0, 0, 0, 0), CLIP)


@pytest.mark.parametrize("seed", range(4))
def test_brightness_is_a_factor(seed: int) -> None:
    factor = drawn_factor(seed, place=0, strength=0.4)
    expected = np.clip(CLIP * factor, 0, 255)
    np.testing.assert_allclose(jitter(0.4, 0, 0, 0, seed=seed).astype(float), expected, atol=1)


@pytest.mark.parametrize("seed", range(4))
def test_contrast_is_taken_about_the_mean_of_the_clip(seed: int) -> None:
    clip = np.stack([CLIP[0] // 4, CLIP[1] // 2 + 128])
    factor = drawn_factor(seed, place=1, strength=0.4)
    mean = np.rint((clip @ (0.299, 0.587, 0.114)).mean())
    expected = np.clip(mean + factor * (clip - mean), 0, 255)
    np.testing.assert_allclose(jitter(0, 0.4, 0, 0, clip=clip, seed=seed).astype(float), expected, atol=1.5)


@pytest.mark.parametrize("seed", range(4))
def test_saturation_is_a_distance_from_grey(seed: int) -> None:
    factor = drawn_factor(seed, place=2, strength=0.2)
    grey = np.rint(CLIP @ (0.299, 0.587, 0.114))[..., None]
    expected = np.clip(grey + factor * (CLIP - grey), 0, 255)
    np.testing.assert_allclose(jitter(0, 0, 0.2, 0, seed=seed).astype(float), expected, atol=1.5)


def test_hue_turns_and_leaves_saturation_and_value() -> None:
    pure = np.broadcast_to(np.array([[220, 40, 40], [40, 220, 40]], np.uint8), (1, 2, 2, 3))
    turned = jitter(0, 0, 0, 0.5, clip=pure) / 255
    before, after = (np.array([colorsys.rgb_to_hsv(*each) for each in frame[0, 0]]) for frame in (pure / 255, turned))
    np.testing.assert_allclose(after[:, 1:], before[:, 1:], atol=0.02)
    turns = (after[:, 0] - before[:, 0]) % 1
    assert turns[0] == pytest.approx(turns[1], abs=0.02)
    assert 0.02 < turns[0] < 0.98


def test_order_is_drawn() -> None:
    assert len({jitter(0.4, 0.4, 0.2, 0.1, seed=seed).tobytes() for seed in range(6)}) == 6
