"""The text tower against open_clip's padded form, sizes, and export with dynamic lengths."""

import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from training.config.towers import ClipConfig
from training.models.clip import CLIP, EnglishTextTower, build_clip, clip_config

END = 39
TINY = ClipConfig(
    embed_dim=16, quick_gelu=True, image_size_pixels=16, patch_size_pixels=8, vision_width=16, vision_layers=2,
    vision_heads=2, vocab_size=40, context_length=77, text_width=24, text_layers=2, text_heads=3,
)  # fmt: skip
SENTENCES = ([38, 3, 4, 5, END], [38, 7, END], [38, 1, 2, 3, 4, 5, 6, 7, END])


def draw_clip(seed: int = 0) -> CLIP:
    torch.manual_seed(seed)
    return build_clip(TINY).eval()


def pad(sentences: tuple[list[int], ...], *, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    token_ids = torch.zeros(len(sentences), length, dtype=torch.int32)
    for row, sentence in zip(token_ids, sentences, strict=True):
        row[: len(sentence)] = torch.tensor(sentence)
    return token_ids, torch.tensor([len(sentence) - 1 for sentence in sentences], dtype=torch.int32)


@torch.no_grad()
@pytest.mark.parametrize("length", [9, 12, 77])
def test_text_tower_at_any_length_equals_open_clip_at_full_length(length: int) -> None:
    clip = draw_clip()
    expected = clip.encode_text(pad(SENTENCES, length=77)[0].long(), normalize=True)
    embedding, _ = EnglishTextTower(clip)(*pad(SENTENCES, length=length))
    torch.testing.assert_close(embedding, expected, atol=1e-6, rtol=0)


@torch.no_grad()
def test_words_are_unit_length_and_hold_the_embedding_at_the_end_of_text() -> None:
    embedding, words = EnglishTextTower(draw_clip())(*pad(SENTENCES, length=9))
    torch.testing.assert_close(words.norm(dim=-1), torch.ones(3, 9))
    torch.testing.assert_close(words[torch.arange(3), torch.tensor([4, 2, 8])], embedding)


@torch.no_grad()
def test_words_do_not_change_with_padding() -> None:
    tower = EnglishTextTower(draw_clip())
    short, long = (tower(*pad(SENTENCES, length=length))[1] for length in (9, 30))
    torch.testing.assert_close(long[:, :9], short, atol=1e-6, rtol=0)


def test_text_tower_shares_its_modules_with_the_clip_and_keeps_their_names() -> None:
    clip = draw_clip()
    state = EnglishTextTower(clip).state_dict()
    assert {name: tensor.data_ptr() for name, tensor in state.items()} == {
        name: tensor.data_ptr()
        for name, tensor in clip.state_dict().items()
        if not name.startswith("visual.") and name != "logit_scale"
    }


def test_full_size_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        clip = build_clip("ViT-B-16-quickgelu")
    assert sum(parameter.numel() for parameter in clip.parameters()) == 149_620_737
    assert sum(parameter.numel() for parameter in clip.visual.parameters()) == 86_192_640


def test_named_architecture_has_the_published_size() -> None:
    assert clip_config("ViT-B-16-quickgelu") == ClipConfig(
        embed_dim=512, quick_gelu=True, image_size_pixels=224, patch_size_pixels=16, vision_width=768, vision_layers=12,
        vision_heads=12, vocab_size=49408, context_length=77, text_width=512, text_layers=12, text_heads=8,
    )  # fmt: skip


@pytest.mark.parametrize("architecture", ["ViT-Z-99", "RN50", "xlm-roberta-base-ViT-B-32"])
def test_unsupported_architecture_is_refused_by_name(architecture: str) -> None:
    with pytest.raises(ValueError, match=f"architecture is '{architecture}', but only open_clip's ViT CLIPs"):
        clip_config(architecture)


@pytest.mark.parametrize(("quick_gelu", "expected"), [(True, "QuickGELU"), (False, "GELU")])
def test_activation_follows_the_config(quick_gelu: bool, expected: str) -> None:
    clip = build_clip(ClipConfig(**{**TINY.__dict__, "quick_gelu": quick_gelu}))
    assert type(clip.visual.transformer.resblocks[0].mlp.gelu).__name__ == expected
    assert type(clip.transformer.resblocks[0].mlp.gelu).__name__ == expected


def test_exported_text_tower_takes_any_number_and_length_of_labels(tmp_path: Path) -> None:
    tower = EnglishTextTower(draw_clip()).eval()
    path = tmp_path / "model.onnx"
    both, labels = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}, {0: torch.export.Dim.DYNAMIC}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter uses functions that torch itself deprecates
        torch.onnx.export(
            tower, pad(SENTENCES, length=9), path, dynamo=True, dynamic_shapes=(both, labels), verbose=False,
            input_names=["token_ids", "eot_index"], output_names=["embedding", "words"],
        )  # fmt: skip
    session = onnxruntime.InferenceSession(path)
    for count, length in ((1, 4), (5, 30), (2, 77)):
        token_ids = torch.randint(0, 40, (count, length), dtype=torch.int32)
        eot_index = torch.arange(count, dtype=torch.int32)
        outputs = session.run(None, {"token_ids": token_ids.numpy(), "eot_index": eot_index.numpy()})
        for output, expected in zip(outputs, tower(token_ids, eot_index), strict=True):
            np.testing.assert_allclose(output, expected.detach().numpy(), atol=1e-5)
