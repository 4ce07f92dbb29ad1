"""Every encoder beta in every format: the graphs give torch's numbers, for one view and for several."""

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnx
import pytest
from torch import nn

from service.contract.graphs import VIEWS, GraphSpec, TensorSpec
from tests.training.tiny import CLIP, random_clips, tiny_model, tiny_prompts
from training.config.adapters import Beta, BetaLayout
from training.export.engines import onnxruntime_engine, openvino_engine, torch_engine, torchscript_engine
from training.export.onnx import export_onnx
from training.export.torchscript import export_torchscript
from training.models.video_encoder import VideoEncoder

SPEC = GraphSpec(
    "video_encoder",
    inputs=(TensorSpec("frames", "uint8", (VIEWS, 4, 32, 32, 3)),),
    outputs=(TensorSpec("frame_features", "float32", (VIEWS, 4, 16)),),
)
CONVOLUTIONS: tuple[Beta, ...] = ("tada", "c3d", "r2plus1d")
TOKENS = tuple(beta for beta in get_args(Beta) if beta not in CONVOLUTIONS)
VARIANTS = [
    *({"beta": beta} for beta in TOKENS),
    # Every convolution and every layout once: a layout only says which axes a convolution sees.
    *({"beta": beta, "beta_layout": layout} for beta, layout in zip(CONVOLUTIONS, get_args(BetaLayout), strict=True)),
    {"global_prompts": "per_frame", "residual": False, "beta_units": 1},
]
# Features have unit length and values below 1; engines add float32 products in another order.
TOLERANCE = 2e-6


@pytest.fixture(scope="module", params=VARIANTS, ids=lambda changes: "-".join(map(str, changes.values())))
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[VideoEncoder, Path]:
    """Export an encoder whose beta and whose statistics are not at their start."""
    changes: dict[str, Any] = request.param
    config = tiny_prompts(zero_init_beta=False, **changes)
    # All layers are alike, and every one takes seconds to export.
    encoder = tiny_model(replace(config, clip=replace(CLIP, vision_layers=1))).video
    for name, values in [*encoder.named_buffers(), *encoder.named_parameters()]:
        if name.endswith(("running_mean", "running_var")):
            nn.init.uniform_(values, 0.5, 1.5)
        if name.endswith("route.expand.weight"):
            nn.init.normal_(values)
    folder = tmp_path_factory.mktemp("variant")
    export_onnx(encoder, folder / "model.onnx", spec=SPEC)
    export_torchscript(encoder, folder / "model.pt", spec=SPEC)
    return encoder, folder


@pytest.mark.parametrize("num_views", [1, 3])
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino", "torchscript"])
def test_engines_give_torchs_features(exported: tuple[VideoEncoder, Path], engine: str, num_views: int) -> None:
    encoder, folder = exported
    inputs = {"frames": random_clips(num_views).numpy()}
    expected = torch_engine(encoder, spec=SPEC)(inputs)["frame_features"]
    run = {
        "onnxruntime": lambda: onnxruntime_engine(folder / "model.onnx"),
        "openvino": lambda: openvino_engine(folder / "model.onnx", precision="f32"),
        "torchscript": lambda: torchscript_engine(folder / "model.pt", spec=SPEC),
    }[engine]()
    np.testing.assert_allclose(run(inputs)["frame_features"], expected, atol=TOLERANCE, rtol=0)


def test_batch_norms_of_every_variant_are_folded(exported: tuple[VideoEncoder, Path]) -> None:
    graph = onnx.load(exported[1] / "model.onnx").graph
    assert "BatchNormalization" not in {node.op_type for node in graph.node}
