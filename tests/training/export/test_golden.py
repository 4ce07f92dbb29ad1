from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from service.contract.graphs import TensorSpec
from training.export.golden import draw_frames
from training.models.video_clip import VideoCLIP


def test_file_holds_inputs_and_outputs_of_every_tower(bundle: Path) -> None:
    shapes = {name: array.shape for name, array in load_file(bundle / "golden.safetensors").items()}
    assert shapes == {
        "frames": (2, 4, 32, 32, 3),
        "frame_features": (2, 4, 16),
        "token_ids": (4, 32),
        "eot_index": (4,),
        "embedding": (4, 16),
        "words": (4, 32, 16),
        "token_ids_zh": (4, 8),
        "attention_mask": (4, 8),
        "embedding_zh": (4, 16),
    }


def test_file_of_an_english_bundle_has_no_chinese(english_bundle: Path) -> None:
    names = set(load_file(english_bundle / "golden.safetensors"))
    assert names == {"frames", "frame_features", "token_ids", "eot_index", "embedding", "words"}


def test_outputs_are_those_of_the_model(bundle: Path, model: VideoCLIP) -> None:
    golden = load_file(bundle / "golden.safetensors")
    labels = ["a circle moves left", "a square grows", "waving", "clapping"]
    np.testing.assert_allclose(model.encode_text_en(labels).embedding.numpy(), golden["embedding"], atol=1e-6)
    texts = ["圆形向左移动", "方形放大", "右", "鼓掌"]
    np.testing.assert_allclose(model.encode_text_zh(texts).numpy(), golden["embedding_zh"], atol=1e-6)


@pytest.mark.parametrize("axes", [("views", 4, 32, 32, 3), ("views", 2, 5, 30, 50, 3)])
def test_drawn_frames_have_the_shape_and_range_of_pictures(axes: tuple[int | str, ...]) -> None:
    frames = draw_frames(TensorSpec("frames", "uint8", axes), num_views=3, rng=np.random.default_rng(0))
    assert frames.shape == (3, *axes[1:])
    assert frames.dtype == np.uint8
    assert (frames.min() < 40, frames.max() > 215) == (True, True)
