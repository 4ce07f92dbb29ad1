"""A precision is taken where a tiny graph runs in it, whatever OpenVINO reports of the CPU."""

import os
import subprocess
import sys

import numpy as np
import pytest

from service.contract import engine
from service.contract.engine import choose_precision, explain_failure, find_obstacle, open_core
from service.contract.precision import Precision, WantedPrecision
from tests.cpu_classes import ENGINE_CAPS


@pytest.mark.parametrize(
    ("wanted", "obstacle", "graph", "chosen"),
    [
        ("auto", "", "video_encoder", "bf16"),
        ("auto", "no such numbers", "video_encoder", "f32"),
        ("bf16", "", "video_encoder", "bf16"),
        ("bf16", "no such numbers", "video_encoder", "f32"),
        ("f32", "", "video_encoder", "f32"),
        ("auto", "", "text_encoder_en", "f32"),
        ("bf16", "", "text_encoder_zh", "f32"),
    ],
)
def test_videos_take_bf16_where_it_runs_and_texts_never(
    monkeypatch: pytest.MonkeyPatch, wanted: WantedPrecision, obstacle: str, graph: str, chosen: Precision
) -> None:
    monkeypatch.setattr(engine, "find_obstacle", lambda _: obstacle)
    assert choose_precision(wanted, graph=graph) == chosen


class ReportingCore:
    """A core that reports capabilities, and compiles what it is told to."""

    def __init__(self, *, reported: list[str], answer: float | None = 1.0) -> None:
        self._reported = reported
        self._answer = answer

    def get_property(self, device: str, name: str) -> list[str]:
        assert (device, name) == ("CPU", "OPTIMIZATION_CAPABILITIES")
        return self._reported

    def compile_model(self, model: object, device: str, properties: dict[str, str]) -> object:
        assert (device, properties) == ("CPU", {"INFERENCE_PRECISION_HINT": "bf16"})
        if self._answer is None:
            raise RuntimeError("Exception from src/a.cpp:1:\nCheck 'x' failed at src/b.cpp:2:\nno such node: Softmax\n")
        return open_core().compile_model(model) if self._answer == 1 else self._give_wrong_numbers

    def _give_wrong_numbers(self, inputs: list[np.ndarray]) -> dict[str, np.ndarray]:
        return {"output": inputs[0] * np.float32(self._answer)}


@pytest.mark.parametrize(
    ("core", "obstacle"),
    [
        (ReportingCore(reported=["FP32"]), "this CPU has no bf16"),
        (
            ReportingCore(reported=["FP32", "BF16"], answer=None),
            "a tiny graph does not run in bf16: no such node: Softmax",
        ),
        (ReportingCore(reported=["FP32", "BF16"], answer=0.5), "a tiny graph gives wrong numbers in bf16"),
        (ReportingCore(reported=["FP32", "BF16"], answer=float("nan")), "a tiny graph gives wrong numbers in bf16"),
        (ReportingCore(reported=["FP32", "BF16"]), ""),
    ],
)
def test_what_is_reported_is_tried(monkeypatch: pytest.MonkeyPatch, core: ReportingCore, obstacle: str) -> None:
    monkeypatch.setattr(engine, "open_core", lambda: core)
    assert find_obstacle.__wrapped__("bf16") == obstacle


@pytest.mark.parametrize(
    ("message", "explained"),
    [
        ("Exception from src/a.cpp:1:\nException from src/b.cpp:2:\nbad combination\n\n", "bad combination"),
        ("Check 'it' failed at src/a.cpp:1", "Check 'it' failed at src/a.cpp:1"),
        ("", ""),
    ],
)
def test_failure_is_explained_without_places_in_a_source(message: str, explained: str) -> None:
    assert explain_failure(RuntimeError(message)) == explained


TRIED = """
from service.contract.engine import choose_precision, find_obstacle
print(choose_precision("auto", graph="video_encoder"), find_obstacle("bf16"))
"""


@pytest.mark.cpu_class
@pytest.mark.parametrize("cap", ENGINE_CAPS)
def test_precision_runs_under_every_cap(cap: str) -> None:
    command = [sys.executable, "-c", TRIED]
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": cap}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    chosen, _, obstacle = done.stdout.strip().partition(" ")
    assert (chosen == "bf16") == (not obstacle)
    if cap == "AVX2":
        assert (chosen, "bf16" in obstacle) == ("f32", True)
