"""CLIP weights: features as open_clip's own, the activation by origin, and every wrong file named."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from tests.training.importers.public import ARCHITECTURE, QUICK, draw_clip, write_openai
from training.config.model import CLIP_MEAN, CLIP_STD
from training.errors import ImportProblem
from training.importers.backbone import build_vanilla, join_towers
from training.importers.clip_sizes import check_sizes
from training.importers.open_clip import read_clip
from training.models.clip import build_clip, open_clip

pytestmark = pytest.mark.usefixtures("tiny_architectures")
TEXTS = ["surfing", "playing the violin", "a 3rd, longer one with an emoji 😀"]


def write_safetensors(path: Path, tensors: dict[str, Tensor]) -> Path:
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    return path


def write_bin(path: Path, tensors: dict[str, Tensor]) -> Path:
    torch.save(tensors, path)
    return path


def write_training_state(path: Path, tensors: dict[str, Tensor]) -> Path:
    torch.save({"epoch": 32, "state_dict": {f"module.{name}": tensor for name, tensor in tensors.items()}}, path)
    return path


@torch.no_grad()
def reference(architecture: str, tensors: dict[str, Tensor], frames: Tensor) -> tuple[Tensor, Tensor]:
    """Image and text features of open_clip's own model."""
    model = open_clip.create_model(architecture)
    model.load_state_dict(tensors)
    pixels = (frames.float() / 255 - torch.tensor(CLIP_MEAN)) / torch.tensor(CLIP_STD)
    images = model.eval().encode_image(pixels.permute(0, 3, 1, 2))
    texts = model.encode_text(open_clip.get_tokenizer("ViT-B-16")([f"This is a video about {text}" for text in TEXTS]))
    return functional.normalize(images, dim=-1), functional.normalize(texts, dim=-1)


@pytest.mark.parametrize(
    ("architecture", "name", "write"),
    [
        (QUICK, "ViT-B-16.pt", write_openai),
        (QUICK, "model.safetensors", write_safetensors),
        (ARCHITECTURE, "model.safetensors", write_safetensors),
        (ARCHITECTURE, "model.bin", write_bin),
        (QUICK, "epoch_32.pt", write_training_state),
    ],
)
def test_features_are_those_of_open_clip(
    tmp_path: Path, architecture: str, name: str, write: Callable[[Path, dict[str, Tensor]], Path]
) -> None:
    tensors = {name: tensor.half().float() for name, tensor in draw_clip(architecture).items()}
    clip = read_clip(architecture, str(write(tmp_path / name, tensors)))
    model = build_vanilla(join_towers(clip, None), num_frames=4)
    frames = torch.randint(0, 256, (4, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images, texts = reference(architecture, tensors, frames)
    torch.testing.assert_close(model.encode_video(frames[None])[0], images, atol=1e-5, rtol=0)
    torch.testing.assert_close(model.encode_text_en(TEXTS).embedding, texts, atol=1e-5, rtol=0)


def test_archive_of_openai_tells_its_origin(tmp_path: Path) -> None:
    clip = read_clip(QUICK, str(write_openai(tmp_path / "ViT.pt", draw_clip())))
    assert (clip.origin.family, clip.origin.source, clip.origin.licence) == ("openai", "ViT.pt", "MIT (OpenAI CLIP)")
    assert clip.config.quick_gelu
    assert {tensor.dtype for tensor in clip.tensors.values()} == {torch.float32}
    assert "input_resolution" not in clip.tensors


@pytest.mark.parametrize(
    ("constant", "message"),
    [
        ("vocab_size", "states vocab_size 7, but its token_embedding.weight has 49408 rows; fetch it again"),
        ("context_length", "states context_length 7, but its positional_embedding has 77 rows; fetch it again"),
    ],
)
def test_archive_that_contradicts_itself_is_refused(tmp_path: Path, constant: str, message: str) -> None:
    path = write_openai(tmp_path / "ViT.pt", draw_clip(), **{constant: 7})
    with pytest.raises(ImportProblem, match=message):
        read_clip(QUICK, str(path))


def test_archive_of_openai_under_a_name_without_quick_gelu_is_refused(tmp_path: Path) -> None:
    path = write_openai(tmp_path / "ViT.pt", draw_clip())
    message = f"ViT.pt was trained with QuickGELU, and {ARCHITECTURE} is not; give --backbone {QUICK}"
    with pytest.raises(ImportProblem, match=message):
        read_clip(ARCHITECTURE, str(path))


@pytest.mark.parametrize(("quick_gelu", "architecture"), [(True, QUICK), (False, ARCHITECTURE)])
def test_folder_of_the_hub_tells_activation_and_pictures(tmp_path: Path, quick_gelu: bool, architecture: str) -> None:
    pictures = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.5, 0.5], "interpolation": "bilinear", "resize_mode": "squash"}
    config = {"model_cfg": {"quick_gelu": quick_gelu}, "preprocess_cfg": pictures}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config), encoding="utf-8")
    write_safetensors(tmp_path / "open_clip_model.safetensors", draw_clip())
    clip = read_clip(architecture, str(tmp_path))
    found = clip.preprocessing
    assert (found.mean, found.std) == ((0.5, 0.5, 0.5), (0.25, 0.5, 0.5))
    assert (found.resize_rule, found.resize_size, found.interpolation) == ("exact", (32, 32), "bilinear")
    with pytest.raises(ImportProblem, match=r"open_clip_model\.safetensors was trained with(out)? QuickGELU"):
        read_clip(ARCHITECTURE if quick_gelu else QUICK, str(tmp_path / "open_clip_model.safetensors"))


def test_other_files_are_taken_for_pictures_of_clip(tmp_path: Path) -> None:
    found = read_clip(QUICK, str(write_bin(tmp_path / "a.bin", draw_clip()))).preprocessing
    assert (found.mean, found.std) == (CLIP_MEAN, CLIP_STD)
    assert (found.input_size, found.resize_rule, found.resize_size) == (32, "short_side", 256)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"open_clip_config\.json cannot be read: JSONDecodeError.*; fetch it again"),
        ('{"a": 1}', r"open_clip_config\.json cannot be read: KeyError\('model_cfg'\); fetch it again"),
        (
            '{"model_cfg": {}, "preprocess_cfg": {"resize_mode": "longest"}}',
            "was trained on pictures resized by 'longest'; 'shortest' and 'squash' are known",
        ),
    ],
)
def test_config_of_a_folder_that_cannot_be_used_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "open_clip_config.json").write_text(content, encoding="utf-8")
    write_bin(tmp_path / "open_clip_pytorch_model.bin", draw_clip())
    with pytest.raises(ImportProblem, match=message):
        read_clip(ARCHITECTURE, str(tmp_path))


def test_folder_without_weights_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ImportProblem, match=r"holds none of open_clip_model\.safetensors, open_clip_pytorch_model\.bin"
    ):
        read_clip(QUICK, str(tmp_path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"visual.proj": None}, "is no ViT CLIP under OpenAI's names: it lacks visual.proj$"),
        ({"ln_final.bias": None, "extra": torch.zeros(1)}, "missing: ln_final.bias; unexpected: extra$"),
        ({"visual.ln_pre.bias": torch.zeros(3)}, r"of another shape: visual.ln_pre.bias is \(3,\), not \(64,\)$"),
        ({"text_projection": torch.zeros(64, 5)}, f"a.bin is not {QUICK}: embed_dim is 5, not 32$"),
        ({"visual.conv1.weight": torch.zeros(100, 3, 16, 16)}, "a.bin is not .*: vision_width is 100, not 64"),
        ({"visual.conv1.weight": torch.zeros(129, 3, 16, 16)}, "sizes that contradict each other: vision_width is 129"),
    ],
)
def test_every_misfit_is_named(tmp_path: Path, change: dict[str, Tensor | None], message: str) -> None:
    tensors = {name: tensor for name, tensor in {**draw_clip(), **change}.items() if tensor is not None}
    with pytest.raises(ImportProblem, match=message):
        read_clip(QUICK, str(write_bin(tmp_path / "a.bin", tensors)))


def test_other_architecture_is_told_by_its_sizes() -> None:
    with torch.device("meta"):
        tensors = build_clip("ViT-B-32").state_dict()
    message = "it is not ViT-B-16: patch_size_pixels is 32, not 16; its sizes are those of ViT-B-32$"
    with pytest.raises(ImportProblem, match=message):
        check_sizes(tensors, architecture="ViT-B-16", source="it")


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ("ViT-Z-99", "architecture is 'ViT-Z-99', but only open_clip's ViT CLIPs"),
        ("ViT-L-14-CLIPA", "differs from OpenAI's CLIP in final_ln_after_pool, hf_tokenizer_name, no_causal_mask, .*"),
        ("ViT-bigG-14", "'ViT-bigG-14', which differs from OpenAI's CLIP in mlp_ratio; use one of its sizes alone"),
    ],
)
def test_architecture_that_is_built_otherwise_is_refused(architecture: str, message: str) -> None:
    with pytest.raises(ImportProblem, match=message):
        read_clip(architecture, "openai")


def test_wrong_family_is_named(tmp_path: Path) -> None:
    tensors = {"image_encoder.class_embedding": torch.zeros(3), "text_encoder.ln_final.weight": torch.zeros(3)}
    with pytest.raises(ImportProblem, match=r"a\.bin looks like a checkpoint of vificlip, not of clip"):
        read_clip(QUICK, str(write_bin(tmp_path / "a.bin", tensors)))


def test_scale_of_one_element_becomes_a_number(tmp_path: Path) -> None:
    tensors = {**draw_clip(), "logit_scale": torch.tensor([4.0])}
    clip = read_clip(QUICK, str(write_bin(tmp_path / "a.bin", tensors)))
    np.testing.assert_array_equal(clip.tensors["logit_scale"].numpy(), np.float32(4.0))
