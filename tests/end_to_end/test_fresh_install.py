"""The two promises of a plain install: it has no torch, and it recognises a new clip with the committed bundle."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.server import DEMO, ROOT, run_server
from training.data.motion_shapes import ActionLabel, motion_shapes_labels


@pytest.fixture(scope="module")
def fresh_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    environment = tmp_path_factory.mktemp("fresh") / "venv"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = str(environment / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-compile", str(ROOT)], check=True)
    return python


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("module", ["torch", "open_clip", "onnxruntime"])
def test_the_service_installs_nothing_of_training(fresh_python: str, module: str) -> None:
    result = subprocess.run([fresh_python, "-c", f"import {module}"], capture_output=True, text=True, cwd="/")
    assert f"No module named '{module}'" in result.stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_fresh_install_recognises_a_new_clip(
    fresh_python: str, clear_clip: tuple[ActionLabel, Path], tmp_path: Path
) -> None:
    label, clip = clear_clip
    labels = json.dumps([each.en for each in motion_shapes_labels()])
    with run_server(DEMO, log=tmp_path / "log", python=fresh_python) as client, clip.open("rb") as file:
        answer = client.post("/recognize", files={"video": file}, data={"labels": labels}).json()
    assert answer["predictions"][0]["label"]["en"] == label.en
