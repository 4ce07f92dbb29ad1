from pathlib import Path

import pytest

from service.contract.manifest import open_bundle
from training.export.graphs import graph_specs
from training.export.triton import render_triton_config

VIDEO_ONNX = """\
name: "video_encoder"
platform: "onnxruntime_onnx"
max_batch_size: 16
input [
  { name: "frames" data_type: TYPE_UINT8 dims: [ 4, 32, 32, 3 ] }
]
output [
  { name: "frame_features" data_type: TYPE_FP32 dims: [ 4, 16 ] }
]
dynamic_batching { max_queue_delay_microseconds: 2000 }
instance_group [ { count: 1 kind: KIND_CPU } ]
"""
ENGLISH_ONNX = """\
name: "text_encoder_en"
platform: "onnxruntime_onnx"
max_batch_size: 0
input [
  { name: "token_ids" data_type: TYPE_INT32 dims: [ -1, -1 ] },
  { name: "eot_index" data_type: TYPE_INT32 dims: [ -1 ] }
]
output [
  { name: "embedding" data_type: TYPE_FP32 dims: [ -1, 16 ] },
  { name: "words" data_type: TYPE_FP32 dims: [ -1, -1, 16 ] }
]
instance_group [ { count: 1 kind: KIND_CPU } ]
"""
CHINESE_TORCHSCRIPT = """\
name: "text_encoder_zh"
platform: "pytorch_libtorch"
max_batch_size: 0
input [
  { name: "INPUT__0" data_type: TYPE_INT32 dims: [ -1, -1 ] },
  { name: "INPUT__1" data_type: TYPE_INT32 dims: [ -1, -1 ] }
]
output [
  { name: "OUTPUT__0" data_type: TYPE_FP32 dims: [ -1, 16 ] }
]
instance_group [ { count: 1 kind: KIND_CPU } ]
"""


@pytest.mark.parametrize(("name", "expected"), [("video_encoder", VIDEO_ONNX), ("text_encoder_en", ENGLISH_ONNX)])
def test_config_of_an_onnx_graph(bundle: Path, name: str, expected: str) -> None:
    assert (bundle / name / "config.pbtxt").read_text(encoding="utf-8") == expected


def test_torchscript_tensors_are_counted(script_bundle: Path) -> None:
    assert (script_bundle / "text_encoder_zh" / "config.pbtxt").read_text(encoding="utf-8") == CHINESE_TORCHSCRIPT


def test_configs_follow_from_the_manifest(bundle: Path) -> None:
    for spec in graph_specs(open_bundle(bundle).manifest):
        written = (bundle / spec.name / "config.pbtxt").read_text(encoding="utf-8")
        assert written == render_triton_config(spec, graph_format="onnx")
