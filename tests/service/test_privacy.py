"""Nothing that the project is built on tells anybody that it is used."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.server import ROOT

_MODEL = str(ROOT / "model_repository" / "demo" / "text_encoder_en" / "1" / "model.onnx")
_OPENVINO = "import {module}, openvino; openvino.Core().compile_model({model!r}, 'CPU')"
_ONNXRUNTIME = "import {module}, onnxruntime; onnxruntime.InferenceSession({model!r})"


def run_engine(program: str, *, module: str, home: Path) -> set[str]:
    """Run an engine after a module of ours was imported; returns what it left in the home folder."""
    # Some reporters are silent under continuous integration.
    environment = {name: value for name, value in os.environ.items() if name != "CI"} | {"HOME": str(home)}
    command = [sys.executable, "-c", program.format(module=module, model=_MODEL)]
    subprocess.run(command, check=True, env=environment, cwd=ROOT)
    return {path.name for path in home.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("program", "module"),
    [
        (_OPENVINO, "service.encoders.embedded"),
        (_OPENVINO, "training.export.engines"),
        (_ONNXRUNTIME, "training.export.engines"),
    ],
)
def test_engines_report_to_nobody(tmp_path: Path, program: str, module: str) -> None:
    assert run_engine(program, module=module, home=tmp_path) & {"stats", "openvino_ga_cid", "deviceid"} == set()
