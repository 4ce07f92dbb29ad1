"""Server configurations: what is committed, what follows from measurements and devices, and what no server can run."""

from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from service.contract.graphs import graph_specs
from service.contract.manifest import Bundle, open_bundle
from tests.end_to_end.server import ROOT
from training.export.triton import Deployment, render_triton_config

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
dynamic_batching {
  max_queue_delay_microseconds: 2000
}
instance_group [ { count: 1 kind: KIND_CPU } ]
model_warmup [ {
  name: "one view"
  batch_size: 1
  inputs { key: "frames" value { data_type: TYPE_UINT8 dims: [ 4, 32, 32, 3 ] zero_data: true } }
} ]
response_cache { enable: false }
version_policy { latest { num_versions: 2 } }
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
model_warmup [ {
  name: "one label"
  batch_size: 0
  inputs { key: "token_ids" value { data_type: TYPE_INT32 dims: [ 1, 8 ] zero_data: true } }
  inputs { key: "eot_index" value { data_type: TYPE_INT32 dims: [ 1 ] zero_data: true } }
} ]
response_cache { enable: true }
version_policy { latest { num_versions: 2 } }
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
"""
GPU = Deployment(gpus=(0, 1), num_instances=2, tensorrt="FP16", cuda_graphs=True, encode_seconds={1: 0.01, 8: 0.04})


@pytest.mark.parametrize(("name", "expected"), [("video_encoder", VIDEO_ONNX), ("text_encoder_en", ENGLISH_ONNX)])
def test_config_of_an_onnx_graph(bundle: Path, name: str, expected: str) -> None:
    assert (bundle / name / "config.pbtxt").read_text(encoding="utf-8") == expected


def test_torchscript_tensors_are_counted(script_bundle: Path) -> None:
    config = (script_bundle / "text_encoder_zh" / "config.pbtxt").read_text(encoding="utf-8")
    assert config.startswith(CHINESE_TORCHSCRIPT)
    assert 'key: "INPUT__1"' in config


@pytest.fixture
def demo() -> Bundle:
    return open_bundle(ROOT / "model_repository" / "demo")


def test_committed_configs_follow_from_the_manifest(demo: Bundle) -> None:
    for spec in graph_specs(demo.manifest):
        written = (demo.directory / spec.name / "config.pbtxt").read_text(encoding="utf-8")
        assert written == render_triton_config(spec, graph_format="onnx")


@pytest.mark.parametrize("deployment", [Deployment(), GPU, Deployment(gpus=(0,))])
def test_every_config_is_one_that_triton_reads(demo: Bundle, deployment: Deployment) -> None:
    for spec in graph_specs(demo.manifest):
        config = text_format.Parse(
            render_triton_config(spec, graph_format="onnx", deployment=deployment), ModelConfig()
        )
        assert [list(group.gpus) for group in config.instance_group] == [list(deployment.gpus)]


def test_gpu_variant_has_tensorrt_for_views_alone(demo: Bundle) -> None:
    video, english, _ = (
        text_format.Parse(render_triton_config(spec, graph_format="onnx", deployment=GPU), ModelConfig())
        for spec in graph_specs(demo.manifest)
    )
    [accelerator] = video.optimization.execution_accelerators.gpu_execution_accelerator
    assert (accelerator.name, dict(accelerator.parameters)) == (
        "tensorrt",
        {
            "precision_mode": "FP16",
            "trt_engine_cache_enable": "true",
            "trt_timing_cache_enable": "true",
            "trt_cuda_graph_enable": "true",
            "trt_profile_min_shapes": "frames:1x8x48x48x3",
            "trt_profile_opt_shapes": "frames:8x8x48x48x3",
            "trt_profile_max_shapes": "frames:16x8x48x48x3",
        },
    )
    assert not english.HasField("optimization")
    assert [(group.count, group.kind, list(group.gpus)) for group in english.instance_group] == [(2, 1, [0, 1])]


@pytest.mark.parametrize(
    ("encode_seconds", "sizes", "delay"),
    [
        ({}, [], 2000),
        ({1: 0.01, 4: 0.02, 8: 0.04, 16: 0.079}, [4, 8, 16], 1000),
        ({1: 0.01, 2: 0.015, 8: 0.04, 16: 0.1}, [8], 1000),
        ({1: 1.0, 8: 2.0}, [8], 20_000),
        ({1: 0.0008, 8: 0.002}, [8], 100),
        ({1: 0.01, 4: 0.04, 8: 0.08}, [], 0),
        ({1: 0.01}, [], 0),
    ],
)
def test_batching_follows_from_measured_times(encode_seconds: dict[int, float], sizes: list[int], delay: int) -> None:
    deployment = Deployment(encode_seconds=encode_seconds)
    assert (deployment.preferred_batch_sizes, deployment.queue_delay_microseconds) == (sizes, delay)


def test_preferred_sizes_are_written(demo: Bundle) -> None:
    video, *_ = graph_specs(demo.manifest)
    config = render_triton_config(video, graph_format="onnx", deployment=GPU)
    assert "  preferred_batch_size: [ 8 ]\n  max_queue_delay_microseconds: 1000\n" in config


@pytest.mark.parametrize("index", [0, 1])
def test_queue_is_limited_where_that_is_asked_for(demo: Bundle, index: int) -> None:
    spec = list(graph_specs(demo.manifest))[index]
    deployment = Deployment(queue_length=64, queue_seconds=2.5)
    config = text_format.Parse(render_triton_config(spec, graph_format="onnx", deployment=deployment), ModelConfig())
    policy = config.dynamic_batching.default_queue_policy
    assert (policy.max_queue_size, policy.default_timeout_microseconds, policy.allow_timeout_override) == (
        64,
        2_500_000,
        True,
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tensorrt": "FP16"}, "tensorrt is 'FP16', but gpus is empty"),
        ({"gpus": (0,), "cuda_graphs": True}, "cuda_graphs is True, but tensorrt is None"),
        ({"encode_seconds": {0: 0.1, 17: 0.1}}, r"batch sizes \[0, 17\]; they must be from 1 to 16"),
        ({"encode_seconds": {1: 0.0}}, r"encode_seconds has \{1: 0.0\}; an execution takes more than 0 seconds"),
    ],
)
def test_impossible_deployment_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Deployment(**settings)  # type: ignore[arg-type]


def test_tensorrt_takes_onnx_alone(demo: Bundle) -> None:
    video, *_ = graph_specs(demo.manifest)
    with pytest.raises(ValueError, match="tensorrt is 'FP16' and the format 'torchscript'; export the run as onnx"):
        render_triton_config(video, graph_format="torchscript", deployment=GPU)
