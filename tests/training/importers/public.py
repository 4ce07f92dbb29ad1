"""Public weights in miniature: the names, shapes and containers of OpenAI's, open_clip's and Chinese-CLIP's files."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from service.contract.tokenizer import CLS, SEP, UNKNOWN
from tests.training.importers.released import write_script
from training.config.towers import ChineseTextConfig
from training.models.chinese_text import ChineseTextTower
from training.models.clip import build_clip, open_clip

ARCHITECTURE, QUICK = "duoact-tiny", "duoact-tiny-quickgelu"
SIZES = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 2},
}
VOCABULARY = ("[PAD]", UNKNOWN, CLS, SEP, "[MASK]", *"冲浪打球梳头发")
CHINESE = ChineseTextConfig(
    embed_dim=32, vocab_size=len(VOCABULARY), width=64, num_layers=2, num_heads=1, mlp_width=96, num_positions=60
)
CONFIG = {
    "model_type": "chinese_clip",
    "projection_dim": 32,
    "text_config": {
        "vocab_size": len(VOCABULARY), "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 1,
        "intermediate_size": 96, "max_position_embeddings": 60, "layer_norm_eps": 1e-12, "hidden_act": "gelu",
        "projection_dim": 512,
    },
}  # fmt: skip


class Part(nn.Module):
    """A part of a model of which only the tensors matter."""

    def forward(self, values: Tensor) -> Tensor:
        return values


@pytest.fixture(scope="session")
def tiny_architectures(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Make two small architectures known to open_clip, with and without QuickGELU."""
    folder = tmp_path_factory.mktemp("architectures")
    for name, sizes in ((ARCHITECTURE, SIZES), (QUICK, {**SIZES, "quick_gelu": True})):
        (folder / f"{name}.json").write_text(json.dumps(sizes), encoding="utf-8")
    open_clip.add_model_config(folder)


def draw_clip(architecture: str = QUICK, *, noise: float = 0.1) -> dict[str, Tensor]:
    """Draw the tensors of a CLIP, the same every time, each other than its start value."""
    torch.manual_seed(0)
    tensors = build_clip(architecture).state_dict()
    return {name: tensor + noise * torch.randn_like(tensor) for name, tensor in tensors.items()}


def draw_chinese(config: ChineseTextConfig = CHINESE) -> dict[str, Tensor]:
    """Draw the tensors of a Chinese tower under our names, the same every time."""
    torch.manual_seed(1)
    tensors = ChineseTextTower(config).state_dict()
    return {name: tensor + 0.1 * torch.randn_like(tensor) for name, tensor in tensors.items()}


def write_openai(path: Path, tensors: Mapping[str, Tensor], **constants: int) -> Path:
    """Write OpenAI's archive: half precision, with three constants among the buffers."""
    root = Part()
    for name, tensor in tensors.items():
        *parents, leaf = name.split(".")
        part = root
        for parent in parents:
            if not hasattr(part, parent):
                part.add_module(parent, Part())
            part = part.get_submodule(parent)  # type: ignore[assignment]
        part.register_parameter(leaf, nn.Parameter(tensor.half(), requires_grad=False))
    for name, value in {"input_resolution": 32, "context_length": 77, "vocab_size": 49408, **constants}.items():
        root.register_buffer(name, torch.tensor(value))
    return write_script(path, root, example=torch.zeros(1))


def as_released(tensors: Mapping[str, Tensor], *, flash: bool = False) -> dict[str, Tensor]:
    """Give a Chinese tower the surroundings of Chinese-CLIP's own files, and the fused layout of flash attention."""
    surroundings = {
        "logit_scale": torch.tensor(4.6), "visual.conv1.weight": torch.zeros(2, 3, 4, 4),
        "bert.pooler.dense.weight": torch.zeros(4, 4), "bert.embeddings.position_ids": torch.arange(3),
    }  # fmt: skip
    return {**surroundings, **(dict(_fuse(tensors)) if flash else tensors)}


def write_released(path: Path, tensors: Mapping[str, Tensor], *, prefix: str = "module.") -> Path:
    """Write Chinese-CLIP's own file, with the vocabulary beside it."""
    state = {f"{prefix}{name}": tensor for name, tensor in tensors.items()}
    torch.save({"epoch": 1, "step": 2, "name": "cn", "state_dict": state}, path)
    write_vocabulary(path.with_name("vocab.txt"))
    return path


def write_hugging_face(folder: Path, tensors: Mapping[str, Tensor], *, safe: bool = True, **changes: Any) -> Path:  # noqa: ANN401
    """Write a Hugging Face folder: other prefixes, the projection transposed, a config and the vocabulary."""
    folder.mkdir()
    state = {name.replace("bert.", "text_model.", 1): tensor for name, tensor in tensors.items()}
    state["text_projection.weight"] = state.pop("text_projection").T.contiguous()
    state |= {
        "logit_scale": torch.tensor(2.66), "visual_projection.weight": torch.zeros(2, 3),
        "vision_model.pre_layrnorm.weight": torch.zeros(3), "text_model.embeddings.position_ids": torch.arange(3),
    }  # fmt: skip
    if safe:
        save_file(state, folder / "model.safetensors")
    else:
        torch.save(state, folder / "pytorch_model.bin")
    text = {**CONFIG["text_config"], **changes.pop("text_config", {})}  # type: ignore[dict-item]
    (folder / "config.json").write_text(json.dumps({**CONFIG, **changes, "text_config": text}), encoding="utf-8")
    write_vocabulary(folder / "vocab.txt")
    return folder


def write_vocabulary(path: Path, entries: tuple[str, ...] = VOCABULARY) -> Path:
    """Write a vocabulary, an entry a line."""
    path.write_text("\n".join(entries) + "\n", encoding="utf-8")
    return path


def _fuse(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in tensors.items():
        if ".attention.self.query." in name:
            parts = [tensors[name.replace(".query.", f".{part}.")] for part in ("query", "key", "value")]
            yield name.replace(".query.", ".Wqkv."), torch.cat(parts)
        elif ".attention.self." not in name:
            yield name.replace(".attention.output.dense.", ".attention.self.out_proj."), tensor
