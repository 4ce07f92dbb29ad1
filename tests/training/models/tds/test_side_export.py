"""Graphs of the side encoder: what ONNX Runtime answers is what torch answered.

Bundles of the other configurations are in ``export/test_side_network``.
"""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from service.contract.graphs import VIEWS, GraphSpec, TensorSpec
from tests.training.side import random_segments, side_config
from tests.training.tiny import tiny_model
from training.config.model import ModelConfig
from training.export.onnx import export_onnx


@torch.no_grad()
@pytest.mark.parametrize(
    ("config", "segment", "features"),
    [
        (side_config(td_adapter="conv", num_local_frames=3), (4, 3), (1, 16)),
        (side_config(td_adapter="direct", fuse_frozen=True), (4, 5), (2, 16)),
    ],
)
def test_onnx_answers_as_torch_does(
    config: ModelConfig, segment: tuple[int, ...], features: tuple[int, int], tmp_path: Path
) -> None:
    video = tiny_model(config).video.eval()
    frames = TensorSpec("frames", "uint8", (VIEWS, *segment, 32, 32, 3))
    outputs = (TensorSpec("frame_features", "float32", (VIEWS, *features)),)
    export_onnx(video, tmp_path / "model.onnx", spec=GraphSpec("video_encoder", inputs=(frames,), outputs=outputs))
    clips = random_segments(3, config=config).reshape(3, *segment, 32, 32, 3)
    answer = onnxruntime.InferenceSession(tmp_path / "model.onnx").run(None, {"frames": clips.numpy()})[0]
    np.testing.assert_allclose(answer, video(clips).numpy(), atol=1e-5, rtol=0)
