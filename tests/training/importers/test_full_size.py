"""Files of the released sizes: ViT-B/16 as OpenAI's archive, and Chinese-CLIP's base tower as a Hugging Face folder."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from tests.training.importers.public import draw_chinese, draw_clip, write_hugging_face, write_openai, write_vocabulary
from training.config.model import CLIP_MEAN, CLIP_STD
from training.config.towers import ChineseTextConfig
from training.importers.backbone import build_vanilla, join_towers, make_vocabulary
from training.importers.chinese_clip import read_chinese
from training.importers.open_clip import read_clip
from training.models.clip import clip_config, open_clip

ARCHITECTURE = "ViT-B-16-quickgelu"
TEXT = "playing the violin"


@pytest.mark.slow
@torch.no_grad()
def test_features_of_vit_b_16_are_those_of_open_clip(tmp_path: Path) -> None:
    tensors = {name: tensor.half().float() for name, tensor in draw_clip(ARCHITECTURE, noise=0.02).items()}
    assert (len(tensors), sum(tensor.numel() for tensor in tensors.values())) == (302, 149_620_737)
    clip = read_clip(ARCHITECTURE, str(write_openai(tmp_path / "ViT-B-16.pt", tensors, input_resolution=224)))
    assert clip.config == clip_config(ARCHITECTURE)
    own, other = build_vanilla(join_towers(clip, None), num_frames=1), open_clip.create_model(ARCHITECTURE).eval()
    other.load_state_dict(tensors)
    frame = torch.randint(0, 256, (224, 224, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    pixels = ((frame / 255 - torch.tensor(CLIP_MEAN)) / torch.tensor(CLIP_STD)).permute(2, 0, 1)[None]
    tokens = open_clip.get_tokenizer(ARCHITECTURE)([f"This is a video about {TEXT}"])
    image, text = (functional.normalize(each) for each in (other.encode_image(pixels), other.encode_text(tokens)))
    torch.testing.assert_close(own.encode_video(frame[None, None])[0], image, atol=1e-5, rtol=0)
    torch.testing.assert_close(own.encode_text_en([TEXT]).embedding, text, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_base_tower_of_chinese_clip_is_read_whole(tmp_path: Path) -> None:
    config = ChineseTextConfig()
    tensors = draw_chinese(config)
    assert (len(tensors), sum(tensor.numel() for tensor in tensors.values())) == (198, 102_070_272)
    stated = {"vocab_size": 21128, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
              "intermediate_size": 3072, "max_position_embeddings": 512}  # fmt: skip
    folder = write_hugging_face(tmp_path / "cn", tensors, projection_dim=512, text_config=stated)
    write_vocabulary(folder / "vocab.txt", make_vocabulary(21128))
    weights = read_chinese(str(folder))
    assert (weights.config, weights.max_length) == (config, 52)
    assert all(torch.equal(weights.tensors[name], tensor) for name, tensor in tensors.items())
