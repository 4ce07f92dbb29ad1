import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from service.contract.golden import read_golden
from service.contract.graphs import GraphSpec, graph_specs
from service.contract.layout import graph_file
from service.contract.manifest import open_bundle
from training.export.engines import torchscript_engine

GRAPHS = ["video_encoder", "text_encoder_en", "text_encoder_zh"]


def spec_of(bundle: Path, name: str) -> GraphSpec:
    return next(spec for spec in graph_specs(open_bundle(bundle).manifest) if spec.name == name)


@pytest.mark.parametrize("name", GRAPHS)
def test_results_come_in_the_order_of_the_spec(script_bundle: Path, name: str) -> None:
    spec = spec_of(script_bundle, name)
    inputs, expected = read_golden(script_bundle / "golden.safetensors").of(spec)
    outputs = torchscript_engine(script_bundle / graph_file(spec.name, "torchscript"), spec=spec)(inputs)
    assert list(outputs) == [tensor.name for tensor in spec.outputs]
    for key, values in expected.items():
        np.testing.assert_allclose(outputs[key], values, atol=1e-5)


@pytest.mark.parametrize("name", GRAPHS)
def test_file_holds_no_source_positions(script_bundle: Path, name: str) -> None:
    with zipfile.ZipFile(script_bundle / name / "1" / "model.pt") as archive:
        content = b"".join(archive.read(entry) for entry in archive.namelist())
        assert [entry for entry in archive.namelist() if entry.endswith("debug_pkl")] == []
    assert str(Path(__file__).parents[3]).encode() not in content


@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")
def test_batch_norms_are_folded(script_bundle: Path) -> None:
    graph = torch.jit.load(script_bundle / "video_encoder" / "1" / "model.pt").inlined_graph
    assert "aten::batch_norm" not in str(graph)
