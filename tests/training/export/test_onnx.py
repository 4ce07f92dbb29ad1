from pathlib import Path

import onnx
import pytest
from torch import nn

from service.contract.errors import BundleError
from service.contract.graphs import GraphSpec, graph_specs
from service.contract.layout import graph_file
from service.contract.manifest import open_bundle
from training.export.graphs import tower
from training.export.onnx import export_onnx
from training.models.video_clip import VideoCLIP

GRAPHS = ["video_encoder", "text_encoder_en", "text_encoder_zh"]
DTYPES: dict[int, str] = {
    onnx.TensorProto.UINT8: "uint8",
    onnx.TensorProto.INT32: "int32",
    onnx.TensorProto.FLOAT: "float32",
}


def load(bundle: Path, name: str) -> tuple[onnx.ModelProto, GraphSpec]:
    spec = next(spec for spec in graph_specs(open_bundle(bundle).manifest) if spec.name == name)
    return onnx.load(bundle / graph_file(spec.name, "onnx"), load_external_data=False), spec


def describe(value: onnx.ValueInfoProto) -> tuple[str, str, tuple[int | str, ...]]:
    tensor = value.type.tensor_type
    axes = tuple(axis.dim_param or axis.dim_value for axis in tensor.shape.dim)
    return value.name, DTYPES[tensor.elem_type], axes


@pytest.mark.parametrize("name", GRAPHS)
def test_graph_has_the_names_types_and_axes_of_its_spec(bundle: Path, name: str) -> None:
    model, spec = load(bundle, name)
    onnx.checker.check_model(model, full_check=True)
    tensors = [*model.graph.input, *model.graph.output]
    assert [describe(each) for each in tensors] == [(t.name, t.dtype, t.axes) for t in (*spec.inputs, *spec.outputs)]


@pytest.mark.parametrize("name", GRAPHS)
def test_graph_holds_no_weight_that_nothing_reads(bundle: Path, name: str) -> None:
    graph = load(bundle, name)[0].graph
    read = {value for node in graph.node for value in node.input}
    assert {weight.name for weight in graph.initializer} - read == set()


def test_batch_norms_are_folded(bundle: Path) -> None:
    operators = [node.op_type for node in load(bundle, "video_encoder")[0].graph.node]
    assert operators.count("Conv") == 1 + 2 * 4
    assert "BatchNormalization" not in operators


@pytest.mark.parametrize("name", GRAPHS)
def test_file_says_nothing_about_where_it_was_made(bundle: Path, name: str) -> None:
    content = (bundle / name / "1" / "model.onnx").read_bytes()
    traces = [str(Path(__file__).parents[3]), "site-packages", ".py", "stack_trace", "torch.ops"]
    assert [trace for trace in traces if trace.encode() in content] == []


def test_equal_towers_give_equal_files(bundle: Path, model: VideoCLIP, tmp_path: Path) -> None:
    spec = load(bundle, "text_encoder_zh")[1]
    export_onnx(tower(model, spec.name), tmp_path / "model.onnx", spec=spec)
    assert (tmp_path / "model.onnx").read_bytes() == (bundle / graph_file(spec.name, "onnx")).read_bytes()


def test_weights_beyond_one_file_are_refused(bundle: Path, tmp_path: Path) -> None:
    module = nn.Linear(30_000, 30_000, bias=False, device="meta")
    message = "video_encoder has 3600000000 bytes of weights; one ONNX file holds at most 2147483647"
    with pytest.raises(BundleError, match=message):
        export_onnx(module, tmp_path / "model.onnx", spec=load(bundle, "video_encoder")[1])
