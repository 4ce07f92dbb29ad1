"""The loss against Eq. 5-7 and 15-17 written out in loops, and the text bank."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from service.contract.labels import Label
from service.contract.manifest import Aggregation
from tests.training.fine_tuned import FINE_TUNED, fine_tuned
from tests.training.tiny import LABELS, MODEL, bilingual_model
from training.config.adapters import Fusion, Mode
from training.config.model import ScoringConfig
from training.errors import DataError
from training.fitting.losses import (
    classification_loss,
    contrastive_loss,
    dual_semantic_loss,
    label_logits,
    soft_targets,
)
from training.fitting.texts import TextBank, build_text_bank, prepare_texts
from training.models.video_clip import LabelTokens
from training.runs.backbone import read_backbone

LABEL_IDS = torch.tensor([2, 0, 2, 1])


def random_bank(*, chinese: bool = True) -> TextBank:
    generator = torch.Generator().manual_seed(0)
    english, zh = (functional.normalize(torch.randn(3, 5, generator=generator), dim=-1) for _ in range(2))
    words = functional.normalize(torch.randn(3, 4, 5, generator=generator), dim=-1)
    is_word = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0]], dtype=torch.bool)
    return TextBank(english, words, is_word, zh if chinese else None)


def random_frames() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return functional.normalize(torch.randn(4, 3, 5, generator=generator), dim=-1)


def slow_similarity(frames: Tensor, label: int, *, bank: TextBank, text: Tensor, scoring: ScoringConfig) -> float:
    words = [word for word, counts in zip(bank.words[label], bank.is_word[label], strict=True) if counts]
    pooled = torch.zeros(5)
    for t in range(len(frames)):
        weight = 1 / len(frames)
        if scoring.aggregation == "word_weighted":
            shares = [math.exp(frames[t] @ w / scoring.tau) / sum(math.exp(f @ w / scoring.tau) for f in frames)
                      for w in words]  # fmt: skip
            weight = sum(shares) / len(words)
        pooled = pooled + weight * frames[t]
    norm = pooled.norm() if scoring.renormalise else 1.0
    return float(pooled @ text[label] / norm)


def slow_loss(logits: list[list[float]], label_ids: list[int], *, smoothing: float) -> float:
    num = len(label_ids)
    total = 0.0
    for transposed in (False, True):
        for i in range(num):
            row = [logits[k][i] if transposed else logits[i][k] for k in range(num)]
            normaliser = math.log(sum(math.exp(value) for value in row))
            positives = [k for k in range(num) if label_ids[k] == label_ids[i]]
            for k in range(num):
                target = (1 - smoothing) * (k in positives) / len(positives) + smoothing / num
                total -= target * (row[k] - normaliser) / num / 2
    return total


@pytest.mark.parametrize("renormalise", [True, False])
@pytest.mark.parametrize("aggregation", ["word_weighted", "mean"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_loss_equals_the_equations_in_loops(renormalise: bool, aggregation: Aggregation, smoothing: float) -> None:
    scoring = ScoringConfig(tau=0.2, renormalise=renormalise, aggregation=aggregation)
    bank, frames = random_bank(), random_frames()
    losses = dual_semantic_loss(frames, LABEL_IDS, bank=bank, scoring=scoring, label_smoothing=smoothing)
    expected = []
    for text in (bank.english, bank.chinese):
        assert text is not None
        logits = [[slow_similarity(clip, label, bank=bank, text=text, scoring=scoring) / scoring.tau for clip in frames]
                  for label in LABEL_IDS.tolist()]  # fmt: skip
        expected.append(slow_loss(logits, LABEL_IDS.tolist(), smoothing=smoothing))
    assert losses.english.item() == pytest.approx(expected[0], abs=1e-5)
    assert losses.chinese is not None
    assert losses.chinese.item() == pytest.approx(expected[1], abs=1e-5)
    assert losses.total.item() == pytest.approx(sum(expected), abs=1e-5)


def test_loss_without_chinese_is_the_english_one() -> None:
    bank = random_bank(chinese=False)
    losses = dual_semantic_loss(random_frames(), LABEL_IDS, bank=bank, scoring=MODEL.scoring, label_smoothing=0.0)
    assert losses.chinese is None
    assert losses.total is losses.english


def test_equal_labels_share_the_target() -> None:
    logits = torch.zeros(4, 4)
    assert contrastive_loss(logits, LABEL_IDS, label_smoothing=0.0).item() == pytest.approx(math.log(4))


def test_loss_reaches_the_frames() -> None:
    frames = random_frames().requires_grad_()
    dual_semantic_loss(
        frames, LABEL_IDS, bank=random_bank(), scoring=MODEL.scoring, label_smoothing=0.0
    ).total.backward()
    assert frames.grad is not None
    assert frames.grad.abs().sum() > 0


def test_bank_holds_what_the_towers_say(tmp_path: Path) -> None:
    model = bilingual_model(tmp_path / "backbone")
    bank = build_text_bank(model, [Label(*texts) for texts in LABELS])
    text = model.encode_text_en([en for en, _ in LABELS])
    assert torch.equal(bank.english, text.embedding)
    assert torch.equal(bank.words[bank.is_word], text.words)
    assert bank.chinese is not None
    assert torch.equal(bank.chinese, model.encode_text_zh([zh for _, zh in LABELS]))
    assert not bank.words.requires_grad


def test_bank_of_an_english_model_needs_no_chinese(tmp_path: Path) -> None:
    model = bilingual_model(tmp_path / "backbone", chinese=False)
    assert build_text_bank(model, [Label("waving")]).chinese is None


@pytest.mark.parametrize("fusion", ["embedding", "decision", "image"])
@pytest.mark.parametrize("num_features", [1, 3])
def test_loss_over_all_labels_equals_loops(fusion: Fusion, num_features: int) -> None:
    frames, texts = random_frames()[:, :num_features], random_bank().english
    targets = soft_targets(LABEL_IDS, num_labels=3, label_smoothing=0.1, dtype=torch.float32)
    samples = []
    for clip, own in zip(frames, targets, strict=True):
        logits = [[math.exp(0.7) * float(frame @ text) for text in texts] for frame in clip]
        rows = logits if fusion == "image" else [[sum(each) / num_features for each in zip(*logits, strict=True)]]
        for row in rows:
            normaliser = math.log(sum(map(math.exp, row)))
            samples.append(-sum(float(t) * (value - normaliser) for t, value in zip(own, row, strict=True)))
    found = classification_loss(label_logits(frames, texts, torch.tensor(0.7), fusion=fusion), targets)
    assert found.item() == pytest.approx(sum(samples) / len(samples), abs=1e-6)


def test_smoothed_targets_share_a_tenth_over_all_labels() -> None:
    found = soft_targets(torch.tensor([1]), num_labels=4, label_smoothing=0.1, dtype=torch.float64)
    torch.testing.assert_close(found, torch.tensor([[0.025, 0.925, 0.025, 0.025]], dtype=torch.float64))


@pytest.mark.parametrize(("mode", "kind"), [("full", LabelTokens), ("text", LabelTokens), ("image", TextBank)])
def test_labels_are_encoded_once_where_the_text_tower_is_frozen(backbone_dir: Path, mode: Mode, kind: type) -> None:
    model = read_backbone(backbone_dir).build(fine_tuned(mode=mode))
    assert isinstance(prepare_texts(model, [Label(*texts) for texts in LABELS]), kind)


def test_label_without_english_is_named_where_the_text_tower_trains(backbone_dir: Path) -> None:
    model = read_backbone(backbone_dir).build(FINE_TUNED)
    with pytest.raises(DataError, match="English text for every label; 挥手 lack it"):
        prepare_texts(model, [Label(zh="挥手")])


@pytest.mark.parametrize(
    ("chinese", "label", "message"),
    [
        (True, Label("waving"), "English and Chinese text for every label; waving lack it"),
        (False, Label(zh="挥手"), "English text for every label; 挥手 lack it"),
    ],
)
def test_missing_language_is_named(tmp_path: Path, chinese: bool, label: Label, message: str) -> None:
    with pytest.raises(DataError, match=message):
        build_text_bank(bilingual_model(tmp_path / "backbone", chinese=chinese), [label])
