"""`duoact serve` and `duoact recognize` as commands: one clear line for every mistake, and the right exit status."""

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.server import DEMO
from training.data.motion_shapes import ActionLabel


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).with_name("duoact")), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_unknown_bundle_is_named(tmp_path: Path) -> None:
    result = run("serve", "--bundle", str(tmp_path / "nothing"))
    assert result.returncode == 2
    assert "nothing" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("name", ["video_encoder/1/model.onnx", "tokenizer_en.json"])
def test_altered_file_is_named(tmp_path: Path, name: str) -> None:
    bundle = Path(shutil.copytree(DEMO, tmp_path / "demo"))
    (bundle / name).write_bytes((bundle / name).read_bytes() + b" ")
    result = run("serve", "--bundle", str(bundle))
    assert result.returncode == 2
    assert name in result.stderr


def test_unknown_manifest_key_is_named(tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(DEMO, tmp_path / "demo"))
    manifest = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))
    (bundle / "bundle.json").write_text(json.dumps({**manifest, "colour": "red"}), encoding="utf-8")
    result = run("serve", "--bundle", str(bundle))
    assert result.returncode == 2
    assert "colour" in result.stderr


def test_port_in_use_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = run("serve", "--bundle", str(DEMO), "--port", port)
    assert result.returncode == 2
    assert port in result.stderr
    assert "Traceback" not in result.stderr


def test_recognize_prints_json(clear_clip: tuple[ActionLabel, Path]) -> None:
    label, clip = clear_clip
    result = run("recognize", str(clip), "--bundle", str(DEMO), "--label-set", "motion_shapes", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["predictions"][0]["label"]["en"] == label.en


def test_recognize_refuses_a_missing_video(tmp_path: Path) -> None:
    result = run("recognize", str(tmp_path / "missing.mp4"), "--bundle", str(DEMO), "--labels", "a, b")
    assert result.returncode == 2
    assert "missing.mp4" in result.stderr
