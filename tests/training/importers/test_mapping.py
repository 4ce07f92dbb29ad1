"""Names of tensors: telling families apart, renaming by rules, and naming every misfit."""

import pytest
import torch

from training.errors import ImportProblem
from training.importers.mapping import check_family, check_tensors, looks_like, rename_tensors

RULES = (
    (r"blocks\.(\d+)\.q", r"layers.\1.qkv#0/3"),
    (r"blocks\.(\d+)\.k", r"layers.\1.qkv#1/3"),
    (r"blocks\.(\d+)\.v", r"layers.\1.qkv#2/3"),
    (r"pooler\..*", None),
    (r"tower\.(.*)", r"\1"),
)


def tensors(*names: str) -> dict[str, torch.Tensor]:
    return {name: torch.full((1, 2), float(index)) for index, name in enumerate(names)}


@pytest.mark.parametrize(
    ("names", "family"),
    [
        (("image_encoder.class_embedding", "text_encoder.ln_final.weight"), "vificlip"),
        (("image_encoder.VPT", "prompt_learner.ctx", "image_encoder.class_embedding"), "vl_prompting"),
        (("visual.cls_token", "visual.blocks.0.local_prompts"), "vita"),
        (("visual.class_embedding", "visual.side_conv1.weight", "visual.side_conv1_c5.weight"), "tds"),
        (("visual.class_embedding", "visual.side_conv1.weight"), "side4video"),
        (("bert.embeddings.word_embeddings.weight", "visual.class_embedding"), "chinese_clip"),
        (("text_model.embeddings.word_embeddings.weight",), "chinese_clip"),
        (("text_model.embeddings.token_embedding.weight",), "clip of transformers"),
        (("visual.class_embedding", "token_embedding.weight"), "clip"),
        (("layer1.0.conv1.weight", "fc.weight"), None),
    ],
)
def test_family_is_known_by_its_names(names: tuple[str, ...], family: str | None) -> None:
    assert looks_like(names) == family


def test_family_that_is_the_right_one_passes() -> None:
    check_family(["visual.cls_token", "visual.blocks.0.local_prompts"], family="vita", source="it")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["visual.class_embedding", "token_embedding.weight"],
            "it looks like a checkpoint of clip, not of vita; import",
        ),
        (["a", "b", "c", "d"], "it is no checkpoint of vita, nor of another family .*; its first tensors are a, b, c$"),
    ],
)
def test_wrong_family_is_named(names: list[str], message: str) -> None:
    with pytest.raises(ImportProblem, match=message):
        check_family(names, family="vita", source="it")


def test_tensors_are_renamed_joined_and_left_out() -> None:
    found = rename_tensors(
        tensors("blocks.1.v", "tower.proj", "pooler.dense", "other", "blocks.1.q", "blocks.1.k"), rules=RULES
    )
    assert {name: tensor[:, 0].tolist() for name, tensor in found.items()} == {
        "layers.1.qkv": [4.0, 5.0, 0.0],
        "proj": [1.0],
        "other": [3.0],
    }


def test_parts_without_their_fellows_keep_their_names() -> None:
    found = rename_tensors(tensors("blocks.0.q", "blocks.0.v", "blocks.1.k"), rules=RULES)
    assert found.keys() == {"blocks.0.q", "blocks.0.v", "blocks.1.k"}


def test_two_tensors_of_one_name_are_refused() -> None:
    with pytest.raises(ImportProblem, match=r"both proj and tower\.proj are proj; the file mixes two layouts"):
        rename_tensors(tensors("proj", "tower.proj"), rules=RULES)


def test_every_misfit_is_named() -> None:
    with torch.device("meta"):
        expected = {"a": torch.empty(1, 2), "b": torch.empty(3), "c": torch.empty(3), "d": torch.empty(())}
    message = (
        r"^it does not hold the tensors of its family\. missing: c, d; unexpected: x, y; "
        r"of another shape: b is \(1, 2\), not \(3,\)$"
    )
    with pytest.raises(ImportProblem, match=message):
        check_tensors(tensors("a", "b", "y", "x"), expected=expected, source="it")


def test_fitting_tensors_pass() -> None:
    check_tensors(tensors("a"), expected={"a": torch.empty(1, 2, device="meta")}, source="it")
