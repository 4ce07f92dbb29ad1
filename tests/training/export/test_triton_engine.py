"""A server as an engine of the proof; what runs there is tested with the real server."""

import sys

import pytest

from service.contract.errors import BundleError
from service.contract.graphs import GraphSpec
from training.export.triton_engine import triton_engine


def test_missing_client_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tritonclient.grpc", None)
    with pytest.raises(BundleError, match=r"client of Triton is not installed \(.*\); pip install 'duoact\[triton\]'"):
        triton_engine("gpu:8001", spec=GraphSpec("video_encoder", (), ()), graph_format="onnx")
