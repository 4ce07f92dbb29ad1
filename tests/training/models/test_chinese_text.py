"""The Chinese tower: names, sizes, masking, a slow reference, and export with dynamic lengths."""

import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch.nn import functional

from training.config.towers import ChineseTextConfig
from training.models.chinese_text import ChineseTextTower

TINY = ChineseTextConfig(
    embed_dim=16, vocab_size=50, width=24, num_layers=2, num_heads=3, mlp_width=40, num_positions=60
)


def draw_tower() -> ChineseTextTower:
    torch.manual_seed(0)
    tower = ChineseTextTower(TINY).eval()
    with torch.no_grad():
        for parameter in tower.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return tower


def draw_tokens(count: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    token_ids = torch.randint(1, 50, (count, length), dtype=torch.int32)
    attention_mask = (torch.arange(length) < torch.arange(length, length - count, -1)[:, None]).int()
    return token_ids * attention_mask, attention_mask


def linear(state: dict[str, torch.Tensor], name: str, values: torch.Tensor) -> torch.Tensor:
    return values @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def norm(state: dict[str, torch.Tensor], name: str, values: torch.Tensor) -> torch.Tensor:
    centred = values - values.mean(-1, keepdim=True)
    scaled = centred / (centred.pow(2).mean(-1, keepdim=True) + 1e-12).sqrt()
    return scaled * state[f"{name}.weight"] + state[f"{name}.bias"]


def reference(state: dict[str, torch.Tensor], token_ids: list[int]) -> torch.Tensor:
    """Embed one unpadded text head by head, from the names of the released checkpoints."""
    prefix = "bert.embeddings"
    words = state[f"{prefix}.word_embeddings.weight"][token_ids]
    positions = state[f"{prefix}.position_embeddings.weight"][: len(token_ids)]
    states = norm(state, f"{prefix}.LayerNorm", words + positions + state[f"{prefix}.token_type_embeddings.weight"][0])
    for index in range(2):
        layer = f"bert.encoder.layer.{index}"
        query, key, value = (linear(state, f"{layer}.attention.self.{n}", states) for n in ("query", "key", "value"))
        heads = [slice(8 * head, 8 * head + 8) for head in range(3)]
        mixed = [(query[:, h] @ key[:, h].T / 8**0.5).softmax(-1) @ value[:, h] for h in heads]
        attended = linear(state, f"{layer}.attention.output.dense", torch.cat(mixed, dim=-1))
        states = norm(state, f"{layer}.attention.output.LayerNorm", states + attended)
        inner = linear(state, f"{layer}.intermediate.dense", states)
        hidden = inner * (1 + torch.erf(inner / 2**0.5)) / 2
        states = norm(state, f"{layer}.output.LayerNorm", states + linear(state, f"{layer}.output.dense", hidden))
    return functional.normalize(states[0] @ state["text_projection"], dim=-1)


@torch.no_grad()
def test_tower_equals_a_slow_reference() -> None:
    tower = draw_tower()
    token_ids = [2, 7, 9, 30, 3]
    embedding = tower(torch.tensor([token_ids]), torch.ones(1, 5, dtype=torch.int64))
    torch.testing.assert_close(embedding[0], reference(tower.state_dict(), token_ids), atol=1e-6, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("padding", [1, 20])
def test_padding_changes_nothing(padding: int) -> None:
    tower, (token_ids, mask) = draw_tower(), draw_tokens(3, 9)
    padded = tower(functional.pad(token_ids, (0, padding)), functional.pad(mask, (0, padding)))
    torch.testing.assert_close(padded, tower(token_ids, mask), atol=1e-6, rtol=0)


@torch.no_grad()
def test_embeddings_are_unit_length() -> None:
    torch.testing.assert_close(draw_tower()(*draw_tokens(3, 9)).norm(dim=-1), torch.ones(3))


def test_full_size_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        tower = ChineseTextTower(ChineseTextConfig())
    assert sum(parameter.numel() for parameter in tower.parameters()) == 102_070_272


def test_exported_tower_takes_any_number_and_length_of_labels(tmp_path: Path) -> None:
    tower = draw_tower()
    path = tmp_path / "model.onnx"
    both = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter uses functions that torch itself deprecates
        torch.onnx.export(
            tower, draw_tokens(3, 9), path, dynamo=True, dynamic_shapes=(both, both), verbose=False,
            input_names=["token_ids", "attention_mask"], output_names=["embedding"],
        )  # fmt: skip
    session = onnxruntime.InferenceSession(path)
    for count, length in ((1, 4), (5, 30), (2, 52)):
        token_ids, mask = draw_tokens(count, length)
        (embedding,) = session.run(None, {"token_ids": token_ids.numpy(), "attention_mask": mask.numpy()})
        np.testing.assert_allclose(embedding, tower(token_ids, mask).detach().numpy(), atol=1e-5)
