"""Mixup and CutMix by hand, and how often which is drawn."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from training.config.fitting import FitConfig
from training.fitting.mixing import Mix, draw_mix, mix_frames, mix_targets

BOTH = FitConfig(mixup_alpha=0.8, cutmix_alpha=1.0, mix_switch_probability=0.5)
ORDER = np.array([1, 0])


def draws(config: FitConfig, *, num: int = 200) -> list[Mix]:
    return [draw_mix(6, size_pixels=32, config=config, step=step) for step in range(1, num + 1)]


def test_mixup_averages_pixels() -> None:
    frames = torch.tensor([[10, 20], [200, 255]], dtype=torch.uint8).reshape(2, 1, 1, 2, 1).expand(-1, 3, 2, -1, 3)
    mixed = mix_frames(frames, frames[ORDER], mix=Mix(ORDER, 0.25, None))
    assert mixed.dtype == torch.uint8
    expected = torch.tensor([[152, 196], [58, 79]], dtype=torch.uint8).reshape(2, 1, 1, 2, 1).expand(-1, 3, 2, -1, 3)
    assert torch.equal(mixed, expected)


def test_cutmix_takes_one_box_of_all_frames_from_the_partner() -> None:
    frames = torch.zeros(2, 3, 4, 4, 3, dtype=torch.uint8)
    frames[1] = 9
    mixed = mix_frames(frames, frames[ORDER], mix=Mix(ORDER, 0.75, (1, 0, 3, 2)))
    picture = torch.tensor([[0, 9, 9, 0], [0, 9, 9, 0], [0, 0, 0, 0], [0, 0, 0, 0]], dtype=torch.uint8)
    assert torch.equal(mixed[0], picture[None, :, :, None].expand(3, 4, 4, 3))
    assert torch.equal(mixed[1], (9 - picture)[None, :, :, None].expand(3, 4, 4, 3))
    assert not frames[0].any()


def test_cutmix_takes_the_same_box_of_all_local_frames() -> None:
    frames = torch.zeros(2, 3, 5, 4, 4, 3, dtype=torch.uint8)
    frames[1] = 9
    mixed = mix_frames(frames, frames[ORDER], mix=Mix(ORDER, 0.75, (1, 0, 3, 2)))
    picture = torch.tensor([[0, 9, 9, 0], [0, 9, 9, 0], [0, 0, 0, 0], [0, 0, 0, 0]], dtype=torch.uint8)
    assert torch.equal(mixed[0], picture[:, :, None].expand(3, 5, 4, 4, 3))


def test_targets_are_shared_as_the_pictures_are() -> None:
    targets = torch.eye(2)
    assert mix_targets(targets, targets[ORDER], mix=Mix(ORDER, 0.75, None)).tolist() == [[0.75, 0.25], [0.25, 0.75]]


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_switch_chooses_between_both(probability: float) -> None:
    found = draws(replace(BOTH, mix_switch_probability=probability))
    assert {mix.box is not None for mix in found} == {probability == 1.0}


def test_switch_draws_both_about_as_often() -> None:
    assert sum(mix.box is not None for mix in draws(BOTH)) == pytest.approx(100, abs=25)


@pytest.mark.parametrize(("changes", "cuts"), [({"cutmix_alpha": 0.0}, False), ({"mixup_alpha": 0.0}, True)])
def test_one_alpha_alone_is_always_taken(changes: dict[str, float], cuts: bool) -> None:
    assert {mix.box is not None for mix in draws(replace(BOTH, **changes))} == {cuts}  # type: ignore[arg-type]


def test_share_of_a_box_is_what_it_leaves_of_the_picture() -> None:
    for mix in draws(replace(BOTH, mixup_alpha=0.0)):
        assert mix.box is not None
        left, top, right, bottom = mix.box
        assert 0 <= left <= right <= 32
        assert 0 <= top <= bottom <= 32
        assert mix.share == 1 - (right - left) * (bottom - top) / 32**2


@pytest.mark.parametrize(
    ("alpha", "spread"), [(0.8, (0.8 * 0.8 / (1.6**2 * 2.6)) ** 0.5), (8.0, (1 / (4 * 17)) ** 0.5)]
)
def test_share_is_beta_distributed(alpha: float, spread: float) -> None:
    shares = [mix.share for mix in draws(replace(BOTH, mixup_alpha=alpha, cutmix_alpha=0.0), num=1000)]
    assert np.mean(shares) == pytest.approx(0.5, abs=0.03)
    assert np.std(shares) == pytest.approx(spread, rel=0.1)


def test_draws_follow_from_seed_and_step() -> None:
    first, again = (draw_mix(6, size_pixels=32, config=BOTH, step=3) for _ in range(2))
    other = draw_mix(6, size_pixels=32, config=replace(BOTH, seed=1), step=3)
    assert (first.share, first.box, first.partners.tolist()) == (again.share, again.box, again.partners.tolist())
    assert first.share != other.share
    assert sorted(first.partners.tolist()) == list(range(6))
