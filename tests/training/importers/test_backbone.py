"""Backbones from public weights: written, read again, started from; and towers that do not go together."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.training.importers.public import (
    CHINESE,
    QUICK,
    VOCABULARY,
    draw_chinese,
    draw_clip,
    write_hugging_face,
)
from training.errors import ImportProblem, RunError
from training.importers.backbone import (
    PublicBackbone,
    build_vanilla,
    draw_random_backbone,
    join_towers,
    make_vocabulary,
    read_public_backbone,
    read_stored_backbone,
    write_public_backbone,
)
from training.importers.chinese_clip import ChineseWeights, read_chinese
from training.importers.open_clip import read_clip
from training.importers.origin import ORIGIN_NAME
from training.models.clip import open_clip
from training.runs.backbone import read_backbone

pytestmark = pytest.mark.usefixtures("tiny_architectures")
TEXTS = ["冲浪", "打球 surfing", "梳头发"]


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    save_file(draw_clip(), tmp_path / "clip.safetensors")
    return str(tmp_path / "clip.safetensors"), str(write_hugging_face(tmp_path / "cn", draw_chinese()))


@pytest.fixture
def towers(files: tuple[str, str]) -> PublicBackbone:
    return read_public_backbone(QUICK, pretrained=files[0], chinese=files[1])


def test_backbone_folder_gives_the_same_features(tmp_path: Path, towers: PublicBackbone) -> None:
    write_public_backbone(towers, tmp_path / "backbone")
    stored = read_stored_backbone(tmp_path / "backbone")
    assert stored.origins == towers.origins
    assert stored.backbone.config == towers.backbone.config
    own, other = (build_vanilla(each, num_frames=2) for each in (towers, stored))
    assert torch.equal(own.encode_text_zh(TEXTS), other.encode_text_zh(TEXTS))
    assert torch.equal(own.encode_text_en(TEXTS).embedding, other.encode_text_en(TEXTS).embedding)


def test_english_ids_are_those_of_open_clip(towers: PublicBackbone) -> None:
    texts = ["a video of Tai Chi.", "<start_of_text> 3rd"]
    found = towers.backbone.tokenizers.english.encode(texts, template="{}", word_set="bike77").token_ids
    expected = open_clip.get_tokenizer("ViT-B-16")([texts[0]]).numpy()
    assert found.shape == (2, 77)
    assert (found[:1] == expected).all()


def test_backbone_without_chinese_has_one_origin(files: tuple[str, str]) -> None:
    towers = read_public_backbone(QUICK, pretrained=files[0], chinese=None)
    assert (towers.backbone.config.chinese, list(towers.origins)) == (None, ["clip"])


def test_written_backbone_can_be_trained_from(tmp_path: Path, towers: PublicBackbone) -> None:
    write_public_backbone(towers, tmp_path / "backbone")
    config = read_backbone(tmp_path / "backbone").config
    assert (config.chinese, config.max_length_zh, config.bridged) == (CHINESE, 52, False)
    with pytest.raises(RunError, match="backbone exists; choose another folder or remove it"):
        write_public_backbone(towers, tmp_path / "backbone")


def test_record_of_origins_that_cannot_be_read_is_named(tmp_path: Path, towers: PublicBackbone) -> None:
    write_public_backbone(towers, tmp_path / "backbone")
    (tmp_path / "backbone" / ORIGIN_NAME).write_text('{"clip": 3}', encoding="utf-8")
    with pytest.raises(
        ImportProblem, match=r"(?s)origin\.json cannot be read: 1 validation error.*; import the weights again$"
    ):
        read_stored_backbone(tmp_path / "backbone")


def test_backbone_that_was_trained_here_has_no_origins(tmp_path: Path, towers: PublicBackbone) -> None:
    write_public_backbone(towers, tmp_path / "backbone")
    (tmp_path / "backbone" / ORIGIN_NAME).unlink()
    assert read_stored_backbone(tmp_path / "backbone").origins == {}


def test_towers_of_different_joint_spaces_are_refused(files: tuple[str, str]) -> None:
    chinese = read_chinese(files[1])
    other = replace(chinese, config=replace(chinese.config, embed_dim=48))
    message = r"cn embeds texts in 48 dimensions, and clip\.safetensors in 32; give a Chinese tower of the same joint"
    with pytest.raises(ImportProblem, match=message):
        join_towers(read_clip(QUICK, files[0]), other)


def test_english_vocabulary_of_another_size_is_refused(files: tuple[str, str]) -> None:
    clip = read_clip(QUICK, files[0])
    other = replace(clip, config=replace(clip.config, vocab_size=32000))
    message = r"clip\.safetensors has a vocabulary of 32000 entries, but CLIP's tokenizer makes 49408; these weights"
    with pytest.raises(ImportProblem, match=message):
        join_towers(other, None)


def test_chinese_vocabulary_without_special_tokens_is_refused(files: tuple[str, str]) -> None:
    chinese: ChineseWeights = replace(read_chinese(files[1]), vocabulary=("[CLS]", "[SEP]", "冲"))
    with pytest.raises(ImportProblem, match=r"the vocabulary of cn cannot be used: the vocabulary lacks \['\[UNK\]'\]"):
        join_towers(read_clip(QUICK, files[0]), chinese)


def test_random_towers_are_the_same_every_time_and_say_so() -> None:
    towers, again = draw_random_backbone(QUICK), draw_random_backbone(QUICK)
    assert torch.equal(towers.backbone.clip["visual.proj"], again.backbone.clip["visual.proj"])
    assert {name: (origin.family, origin.sha256) for name, origin in towers.origins.items()} == {
        "clip": ("random", None),
        "chinese": ("random", None),
    }
    assert towers.origins["chinese"].remarks == ("a made-up vocabulary of 21128 entries",)
    chinese = towers.backbone.config.chinese
    assert chinese is not None
    assert (chinese.vocab_size, chinese.width, chinese.num_layers, chinese.embed_dim) == (21128, 768, 12, 32)


def test_made_up_vocabulary_has_characters_of_its_own() -> None:
    vocabulary = make_vocabulary(21128)
    assert (len(vocabulary), len(set(vocabulary))) == (21128, 21128)
    assert vocabulary[:6] == (*VOCABULARY[:5], "一")
