"""Chinese-CLIP's text tower: features as a slow forward pass over the released names, from every form of file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from service.contract.tokenizer import CLS
from tests.training.importers.public import (
    CHINESE,
    VOCABULARY,
    as_released,
    draw_chinese,
    write_hugging_face,
    write_released,
    write_vocabulary,
)
from training.errors import ImportProblem
from training.importers.chinese_clip import read_chinese
from training.models.chinese_text import ChineseTextTower

TEXTS = ([2, 5, 6, 3], [2, 9, 10, 11, 3], [2, 7, 3])
_REPOSITORY = "OFA-Sys/chinese-clip-vit-base-patch16"


def reference(state: dict[str, Tensor], token_ids: list[int]) -> Tensor:
    """Embed one text by the names of a Hugging Face file."""

    def linear(name: str, values: Tensor) -> Tensor:
        return functional.linear(values, state[f"text_model.{name}.weight"], state[f"text_model.{name}.bias"])

    def norm(name: str, values: Tensor) -> Tensor:
        weight, bias = state[f"text_model.{name}.LayerNorm.weight"], state[f"text_model.{name}.LayerNorm.bias"]
        return functional.layer_norm(values, values.shape[-1:], weight, bias, 1e-12)

    tables = {name: state[f"text_model.embeddings.{name}_embeddings.weight"]
              for name in ("word", "position", "token_type")}  # fmt: skip
    states = tables["word"][token_ids] + tables["position"][: len(token_ids)] + tables["token_type"][0]
    states = norm("embeddings", states)
    for index in range(CHINESE.num_layers):
        layer = f"encoder.layer.{index}"
        query, key, value = (linear(f"{layer}.attention.self.{part}", states) for part in ("query", "key", "value"))
        mixed = (query @ key.T / 8).softmax(dim=-1) @ value
        states = norm(f"{layer}.attention.output", states + linear(f"{layer}.attention.output.dense", mixed))
        inner = functional.gelu(linear(f"{layer}.intermediate.dense", states))
        states = norm(f"{layer}.output", states + linear(f"{layer}.output.dense", inner))
    return functional.normalize(state["text_projection.weight"] @ states[0], dim=0)


def as_hugging_face(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    renamed = {name.replace("bert.", "text_model.", 1): tensor
               for name, tensor in tensors.items()}  # fmt: skip
    return {**renamed, "text_projection.weight": tensors["text_projection"].T}


def write(folder: Path, form: str) -> str:
    tensors = draw_chinese()
    writers: dict[str, Callable[[], Path]] = {
        "safetensors": lambda: write_hugging_face(folder / "cn", tensors),
        "bin": lambda: write_hugging_face(folder / "cn", tensors, safe=False),
        "released": lambda: write_released(folder / "clip_cn.pt", as_released(tensors)),
        "released without module.": lambda: write_released(folder / "clip_cn.pt", as_released(tensors), prefix=""),
        "flash": lambda: write_released(folder / "clip_cn.pt", as_released(tensors, flash=True)),
    }
    return str(writers[form]())


@torch.no_grad()
@pytest.mark.parametrize("form", ["safetensors", "bin", "released", "released without module.", "flash"])
def test_features_are_those_of_a_slow_forward_pass(tmp_path: Path, form: str) -> None:
    weights = read_chinese(write(tmp_path, form))
    assert (weights.config, weights.vocabulary, weights.max_length) == (CHINESE, VOCABULARY, 52)
    tower = ChineseTextTower(weights.config).eval()
    tower.load_state_dict(weights.tensors)
    expected = torch.stack([reference(as_hugging_face(draw_chinese()), text) for text in TEXTS])
    token_ids = torch.tensor([[*text, *[0] * (8 - len(text))] for text in TEXTS])
    torch.testing.assert_close(tower(token_ids, (token_ids != 0).int()), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("form", "name", "num_dropped"),
    [("safetensors", "cn", 4), ("released", "clip_cn.pt", 4), ("flash", "clip_cn.pt", 4)],
)
def test_origin_counts_what_is_left_behind(tmp_path: Path, form: str, name: str, num_dropped: int) -> None:
    origin = read_chinese(write(tmp_path, form)).origin
    assert (origin.family, origin.source) == ("chinese_clip", name)
    assert origin.remarks == (f"{num_dropped} tensors of the image tower, the pooler and buffers were left behind",)


@pytest.mark.parametrize("form", ["released", "safetensors"])
@pytest.mark.parametrize("num_entries", [len(VOCABULARY) - 1, len(VOCABULARY) + 1])
def test_vocabulary_of_another_size_is_refused(tmp_path: Path, form: str, num_entries: int) -> None:
    source = Path(write(tmp_path, form))
    entries = (*VOCABULARY, "多")[:num_entries]
    write_vocabulary((source if source.is_dir() else source.parent) / "vocab.txt", entries)
    message = rf"vocab\.txt has {num_entries} entries, but \S+ embeds {len(VOCABULARY)}; give the vocabulary"
    with pytest.raises(ImportProblem, match=message):
        read_chinese(str(source))


def test_vocabulary_with_windows_line_ends_is_read(tmp_path: Path) -> None:
    source = Path(write(tmp_path, "released"))
    source.with_name("vocab.txt").write_bytes("\r\n".join(VOCABULARY).encode())
    assert read_chinese(str(source)).vocabulary == VOCABULARY


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"a\nb\n{CLS}\nb\n".encode(), r"vocab\.txt: 'b' stands on lines 2 and 4; ids would be ambiguous"),
        (b"\xff\xfe", r"vocab\.txt cannot be read: 'utf-8' codec"),
    ],
)
def test_vocabulary_that_cannot_be_used_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    source = Path(write(tmp_path, "released"))
    source.with_name("vocab.txt").write_bytes(content)
    with pytest.raises(ImportProblem, match=message):
        read_chinese(str(source))


@pytest.mark.parametrize(
    ("form", "missing"), [("released", "vocab.txt"), ("safetensors", "vocab.txt"), ("safetensors", "config.json")]
)
def test_missing_file_is_named(tmp_path: Path, form: str, missing: str) -> None:
    source = Path(write(tmp_path, form))
    ((source if source.is_dir() else source.parent) / missing).unlink()
    with pytest.raises(ImportProblem, match=rf"/{missing} is missing; put the file of the released model there"):
        read_chinese(str(source))


def test_folder_without_weights_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImportProblem, match=r"holds none of model\.safetensors, pytorch_model\.bin; give the folder"):
        read_chinese(str(tmp_path))


def test_repository_of_the_hub_is_fetched(tmp_path: Path) -> None:
    asked: list[str] = []

    def fetch(repository: str) -> Path:
        asked.append(repository)
        return Path(write(tmp_path, "safetensors"))

    assert read_chinese(_REPOSITORY, fetch=fetch).origin.source == _REPOSITORY
    assert asked == [_REPOSITORY]


@pytest.mark.parametrize(("reason", "said"), [("no route\nto it", "no route"), ("", "OSError")])
def test_repository_that_cannot_be_fetched_says_what_to_do(reason: str, said: str) -> None:
    def fetch(_: str) -> Path:
        raise OSError(reason)

    message = rf"'{_REPOSITORY}' is neither a file nor a folder here, .* from the hub: {said}\. Fetch config\.json, voc"
    with pytest.raises(ImportProblem, match=message):
        read_chinese(_REPOSITORY, fetch=fetch)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text_config": {"num_attention_heads": 2, "layer_norm_eps": 1e-5}},
         "num_attention_heads is 2, not 1, layer_norm_eps is 1e-05, not 1e-12$"),
        ({"text_config": {"hidden_act": "relu"}}, "hidden_act is 'relu', not 'gelu'$"),
        ({"projection_dim": 512}, "projection_dim is 512, not 32$"),
        ({"model_type": "clip"}, r"config\.json describes a 'clip', not a 'chinese_clip'; give its folder"),
    ],
)  # fmt: skip
def test_config_that_contradicts_the_weights_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    folder = write_hugging_face(tmp_path / "cn", draw_chinese(), **changes)
    with pytest.raises(ImportProblem, match=message):
        read_chinese(str(folder))


@pytest.mark.parametrize("content", ["{", "[]", '{"text_config": 3}'])
def test_config_that_cannot_be_read_is_named(tmp_path: Path, content: str) -> None:
    folder = write_hugging_face(tmp_path / "cn", draw_chinese())
    (folder / "config.json").write_text(content, encoding="utf-8")
    with pytest.raises(ImportProblem, match=r"config\.json cannot be read: "):
        read_chinese(str(folder))


def test_sparse_config_is_enough(tmp_path: Path) -> None:
    folder = write_hugging_face(tmp_path / "cn", draw_chinese())
    (folder / "config.json").write_text(json.dumps({"projection_dim": 32}), encoding="utf-8")
    assert read_chinese(str(folder)).config == CHINESE


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bert.encoder.layer.1.output.dense.bias": None, "bert.extra": torch.zeros(1)},
         r"missing: bert\.encoder\.layer\.1\.output\.dense\.bias; unexpected: bert\.extra$"),
        ({"bert.encoder.layer.1.output.dense.bias": torch.zeros(3)}, r"output\.dense\.bias is \(3,\), not \(64,\)$"),
        ({"text_projection": None}, "clip_cn.pt holds no text tower of Chinese-CLIP: it lacks text_projection$"),
        ({"text_projection": torch.zeros(32, 64)}, "the projection takes vectors of 32, but the tower is 64 wide; it"),
        ({"bert.encoder.layer.0.attention.self.Wqkv.bias": torch.zeros(7)}, r"Wqkv\.bias is \(7,\); query, key and"),
    ],
)  # fmt: skip
def test_every_misfit_is_named(tmp_path: Path, change: dict[str, Tensor | None], message: str) -> None:
    tensors = {name: tensor for name, tensor in {**draw_chinese(), **change}.items() if tensor is not None}
    path = write_released(tmp_path / "clip_cn.pt", as_released(tensors))
    with pytest.raises(ImportProblem, match=message):
        read_chinese(str(path))


def test_wrong_family_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"visual.conv1.weight": torch.zeros(1), "token_embedding.weight": torch.zeros(1)}, path)
    write_vocabulary(tmp_path / "vocab.txt")
    with pytest.raises(ImportProblem, match=r"a\.safetensors looks like a checkpoint of clip, not of chinese_clip"):
        read_chinese(str(path))


def test_projection_that_is_square_is_transposed_by_its_name(tmp_path: Path) -> None:
    tensors = {**draw_chinese(), "text_projection": torch.arange(64.0 * 64).reshape(64, 64)}
    folder = write_hugging_face(tmp_path / "cn", tensors, projection_dim=64)
    assert torch.equal(load_file(folder / "model.safetensors")["text_projection.weight"], tensors["text_projection"].T)
    assert torch.equal(read_chinese(str(folder)).tensors["text_projection"], tensors["text_projection"])
