"""The canary notices every kind of wrong answer, and towers pass none of them on."""

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from service.contract.errors import BundleError, EncoderUnavailableError
from service.contract.golden import Arrays, GoldenVectors, read_golden
from service.contract.graphs import GraphSpec, TensorSpec
from service.contract.precision import Precision
from service.encoders.canary import Canary
from service.encoders.time_limit import TimeLimit
from service.encoders.towers import checked_output
from tests.tiny_graphs import golden_vectors

GOLDEN = golden_vectors()
VIDEO = GraphSpec(
    "video_encoder",
    inputs=(TensorSpec("frames", "uint8", ("views", 4, 8, 8, 3)),),
    outputs=(TensorSpec("frame_features", "float32", ("views", 4, 16)),),
)


class AnsweringGraph:
    """A graph that gives a fixed answer."""

    def __init__(self, outputs: Mapping[str, np.ndarray], *, precision: Precision = "f32") -> None:
        self.precision: Precision = precision
        self._outputs = outputs

    async def run(
        self,
        inputs: Mapping[str, np.ndarray],  # noqa: ARG002
        *,
        limit: TimeLimit | None = None,  # noqa: ARG002
    ) -> Mapping[str, np.ndarray]:
        pytest.fail("the canary waits behind others")

    async def replay(self, inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        assert set(inputs) == {"frames"}
        return self._outputs


def canary(features: np.ndarray, *, precision: Precision = "f32", name: str = "frame_features") -> Canary:
    return replay(AnsweringGraph({name: features}, precision=precision), golden=GOLDEN)


def replay(graph: AnsweringGraph, *, golden: Arrays) -> Canary:
    return Canary(GoldenVectors(golden, source="golden"), specs=[VIDEO], graphs={"video_encoder": graph})


@pytest.mark.parametrize(("precision", "noise"), [("f32", 5e-4), ("bf16", 5e-3)])
async def test_rounding_of_the_precision_is_allowed(precision: Precision, noise: float) -> None:
    await canary(GOLDEN["frame_features"] + np.float32(noise), precision=precision).check()


@pytest.mark.parametrize(
    ("precision", "features", "message"),
    [
        (
            "f32",
            GOLDEN["frame_features"] + np.float32(0.01),
            "departs from the golden answer by 1.00e-02; at most 0.001",
        ),
        ("bf16", GOLDEN["frame_features"] + np.float32(0.1), "golden answer; at least 0.999 is needed"),
        ("bf16", GOLDEN["frame_features"] * 0, "cosine 0.00000"),
        ("f32", GOLDEN["frame_features"][:1], r"has shape \(1, 4, 16\); 3 axes and 2 rows are expected"),
        ("f32", GOLDEN["frame_features"][:, :3], r"has shape \(2, 3, 16\); the golden answer has \(2, 4, 16\)"),
        ("f32", GOLDEN["frame_features"][0], "has shape"),
        ("f32", GOLDEN["frame_features"] * np.float32("nan"), "not finite"),
    ],
)
async def test_wrong_answer_is_noticed(precision: Precision, features: np.ndarray, message: str) -> None:
    with pytest.raises(EncoderUnavailableError, match=message):
        await canary(features, precision=precision).check()


@pytest.mark.parametrize(("departure", "passes"), [(0.015, True), (0.025, False)])
async def test_logits_are_judged_by_the_largest_of_their_row(departure: float, passes: bool) -> None:
    logits = np.array([[[20.0, -3.0, 1.0]], [[0.5, 20.0, -20.0]]], dtype=np.float32)
    graph = AnsweringGraph({"frame_features": logits + np.float32(departure)})
    checked = replay(graph, golden={**GOLDEN, "frame_features": logits}).check()
    with nullcontext() if passes else pytest.raises(EncoderUnavailableError, match=r"by 1\.25e-03; at most 0\.001"):
        await checked


async def test_missing_output_is_noticed() -> None:
    with pytest.raises(EncoderUnavailableError, match=r"gave \['other'\] but no 'frame_features'"):
        await canary(GOLDEN["frame_features"], name="other").check()


def test_golden_file_must_hold_what_the_graphs_need(tmp_path: Path) -> None:
    save_file({"frames": GOLDEN["frames"]}, tmp_path / "golden.safetensors")
    golden = read_golden(tmp_path / "golden.safetensors")
    with pytest.raises(BundleError, match=r"golden.safetensors lacks frame_features; export the bundle again"):
        Canary(golden, specs=[VIDEO], graphs={"video_encoder": AnsweringGraph({})})


def test_missing_golden_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"golden.safetensors is not a file of golden vectors"):
        read_golden(tmp_path / "golden.safetensors")


def test_output_of_another_type_becomes_float32() -> None:
    assert checked_output({"x": np.ones(3)}, "x", rank=1, num_rows=3).dtype == np.float32
