"""The Chinese tower in half precision: its tiny LayerNorm epsilon, which half cannot hold, must do no harm."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper
from onnxruntime.transformers.float16 import convert_float_to_float16
from torch import Tensor
from torch.nn import functional

from service.contract.graphs import GraphSpec, TensorSpec
from tests.training.models.test_chinese_text import draw_tokens, draw_tower
from training.export.onnx import export_onnx
from training.models.chinese_text import LAYER_NORM_EPSILON

SPEC = GraphSpec(
    "text_encoder_zh",
    inputs=tuple(TensorSpec(name, "int32", ("labels", "length")) for name in ("token_ids", "attention_mask")),
    outputs=(TensorSpec("embedding", "float32", ("labels", 16)),),
)


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("half") / "model.onnx"
    export_onnx(draw_tower(), path, spec=SPEC)
    return path


def flat(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Norm vectors without variance, whose only divisor is epsilon."""
    tower = draw_tower()
    with torch.no_grad():
        for table in (tower.bert.embeddings.word_embeddings, tower.bert.embeddings.position_embeddings):
            table.weight.zero_()
        tower.bert.embeddings.token_type_embeddings.weight.fill_(3.0)
        token_ids, mask = draw_tokens(2, 5)
        return tower(token_ids, mask), tower.to(dtype)(token_ids, mask).float()


def test_half_cannot_hold_the_epsilon() -> None:
    assert float(torch.tensor(LAYER_NORM_EPSILON).half()) == 0.0
    assert float(torch.tensor(LAYER_NORM_EPSILON).bfloat16()) == pytest.approx(1e-12, rel=0.01)


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_torch_in_half_precision_stays_near(dtype: torch.dtype) -> None:
    tower, (token_ids, mask) = draw_tower(), draw_tokens(4, 12)
    expected = tower(token_ids, mask)
    found = tower.to(dtype)(token_ids, mask).float()
    assert float(functional.cosine_similarity(found, expected).min()) > 0.999


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_torch_in_half_precision_survives_vectors_without_variance(dtype: torch.dtype) -> None:
    expected, found = flat(dtype)
    assert bool(found.isfinite().all())
    assert float(functional.cosine_similarity(found, expected).min()) > 0.999


def test_graph_keeps_norms_whole_with_their_epsilon_and_in_single_precision(graph: Path) -> None:
    nodes = [node for node in onnx.load(graph).graph.node if node.op_type == "LayerNormalization"]
    settings = [{each.name: helper.get_attribute_value(each) for each in node.attribute} for node in nodes]
    assert len(nodes) == 1 + 2 * 2
    assert {np.float32(each["epsilon"]) for each in settings} == {np.float32(LAYER_NORM_EPSILON)}
    assert {each.get("stash_type", 1) for each in settings} == {onnx.TensorProto.FLOAT}


def test_graph_in_half_precision_stays_near(graph: Path, tmp_path: Path) -> None:
    half = tmp_path / "half.onnx"
    onnx.save(convert_float_to_float16(onnx.load(graph), keep_io_types=True), half)
    token_ids, mask = draw_tokens(4, 12)
    inputs = {"token_ids": token_ids.numpy(), "attention_mask": mask.numpy()}
    expected, found = (
        torch.from_numpy(onnxruntime.InferenceSession(path).run(["embedding"], inputs)[0]) for path in (graph, half)
    )
    assert bool(found.isfinite().all())
    assert float(functional.cosine_similarity(found, expected).min()) > 0.999
