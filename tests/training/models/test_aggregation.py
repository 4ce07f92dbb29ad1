"""Similarities in torch, for training, equal those of the service's scoring."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from service.contract.manifest import Aggregation, Lambda
from service.contract.scoring import LabelBank, score_labels
from training.config.model import ScoringConfig
from training.models.aggregation import frame_weights, similarity, uniform_weights

COUNTS = [2, 4, 1]
GENERATOR_SEED = 0


def draw() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(GENERATOR_SEED)
    sizes = ((2, 5, 8), (3, 8), (3, 4, 8))
    frames, embeddings, words = (functional.normalize(torch.randn(s, generator=generator), dim=-1) for s in sizes)
    return frames, embeddings, words, torch.arange(4) < torch.tensor(COUNTS)[:, None]


def scores_of(config: ScoringConfig) -> tuple[np.ndarray, np.ndarray]:
    frames, embeddings, words, is_word = draw()
    bank = LabelBank(english=embeddings.numpy(), words=words[is_word].numpy(), word_counts=np.array(COUNTS))
    scoring = config.fused_by(Lambda(value=1.0, chosen="test"))
    scores = [
        score_labels(view[None].numpy(), bank, scoring=scoring, fusion_lambda=1.0, weigh_words=True) for view in frames
    ]
    return np.stack([own.score for own in scores], axis=1), np.stack([own.frame_weights[0] for own in scores])


@pytest.mark.parametrize("renormalise", [True, False])
@pytest.mark.parametrize("aggregation", ["word_weighted", "mean"])
@pytest.mark.parametrize("tau", [0.01, 0.5])
def test_similarity_equals_that_of_the_service(renormalise: bool, aggregation: Aggregation, tau: float) -> None:
    config = ScoringConfig(renormalise=renormalise, aggregation=aggregation, tau=tau)
    frames, embeddings, words, is_word = draw()
    weights = frame_weights(frames, words, is_word, tau=tau)
    if aggregation == "mean":
        weights = uniform_weights(frames, num_labels=3)
    expected_scores, expected_weights = scores_of(config)
    np.testing.assert_allclose(weights.numpy(), expected_weights, atol=1e-5)
    found = similarity(frames, embeddings, weights, renormalise=renormalise)
    np.testing.assert_allclose(found.numpy(), expected_scores, atol=1e-5)


def test_weights_of_a_label_sum_to_one() -> None:
    frames, _, words, is_word = draw()
    torch.testing.assert_close(frame_weights(frames, words, is_word, tau=0.01).sum(dim=-1), torch.ones(2, 3))


def test_frames_that_cancel_give_a_finite_similarity() -> None:
    frames = torch.tensor([[[1.0, 0.0], [-1.0, 0.0]]])
    weights = uniform_weights(frames, num_labels=1)
    assert similarity(frames, torch.tensor([[1.0, 0.0]]), weights, renormalise=True).isfinite().all()
