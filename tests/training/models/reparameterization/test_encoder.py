"""What all variants of beta share: the residual, the start, and what mixes with what."""

from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from tests.training.models.reparameterization.slow import WIDTH, build
from training.config.adapters import Beta, TemporalPromptConfig
from training.models.reparameterization.encoder import build_reparameterization

VARIANTS = [beta for beta in get_args(Beta) if beta != "none"]
PROMPTS = torch.randn(2, 3, 5, WIDTH, generator=torch.Generator().manual_seed(0))


def test_no_beta_is_the_identity() -> None:
    config = TemporalPromptConfig(beta="none")
    assert isinstance(build_reparameterization(config, width=WIDTH, num_tokens=5), nn.Identity)


@pytest.mark.parametrize("kind", VARIANTS)
def test_beta_from_zero_changes_nothing(kind: str) -> None:
    config = TemporalPromptConfig(beta=kind, beta_width=4)  # type: ignore[arg-type]
    beta = build_reparameterization(config, width=WIDTH, num_tokens=5)
    assert torch.equal(beta(PROMPTS), PROMPTS)


@pytest.mark.parametrize("kind", VARIANTS)
def test_residual_is_the_prompts_themselves(kind: str) -> None:
    whole, alone = build(5, beta=kind), build(5, beta=kind, residual=False)
    torch.testing.assert_close(whole(PROMPTS), PROMPTS + alone(PROMPTS))
    assert not torch.equal(alone(PROMPTS), torch.zeros_like(PROMPTS))


@pytest.mark.parametrize(
    ("kind", "layout", "expected"),
    [
        ("mlp", "grid", {(1, 0)}),
        ("lstm", "grid", {(1, token) for token in range(5)}),
        ("transformer", "grid", {(t, token) for t in range(3) for token in range(5)}),
        ("r2plus1d", "line", {(t, token) for t in range(3) for token in range(2)}),
        ("c3d", "line", {(t, token) for t in range(3) for token in range(2)}),
        ("r2plus1d", "grid", {(t, token) for t in range(3) for token in range(4)}),
    ],
)
def test_tokens_that_one_token_reaches(kind: str, layout: str, expected: set[tuple[int, int]]) -> None:
    beta, changed = build(5, beta=kind, beta_layout=layout, beta_units=1), PROMPTS.clone()
    changed[0, 1, 0] += 1
    difference: Tensor = (beta(changed) - beta(PROMPTS)).abs().amax(-1)
    reached = {(t, token) for _, t, token in (difference > 1e-6).nonzero().tolist()}
    assert reached == expected
    assert torch.equal(difference[1], torch.zeros(3, 5))
