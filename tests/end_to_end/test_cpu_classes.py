"""The service, and the proof of a bundle, on a CPU whose engine is capped at another class."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.server import DEMO, run_server
from training.data.motion_shapes import ActionLabel


@pytest.mark.cpu_class
def test_capped_service_starts_answers_and_says_what_it_does_without(
    clear_clip: tuple[ActionLabel, Path], tmp_path: Path
) -> None:
    label, clip = clear_clip
    fields = {"labels": json.dumps([label.en, "square shrinking", "circle growing"])}
    # The first start fills the cache of compiled models that the second, capped one finds.
    for cap in ("", "AVX2"):
        settings = {"ONEDNN_MAX_CPU_ISA": cap} if cap else {}
        with run_server(DEMO, log=tmp_path / "log", settings=settings) as client:
            answer = client.post("/recognize", files={"video": clip.read_bytes()}, data=fields).json()
        assert answer["predictions"][0]["label"]["en"] == label.en
    log = [json.loads(line) for line in (tmp_path / "log").read_text(encoding="utf-8").splitlines() if line[:1] == "{"]
    [obstacle] = [line for line in log if line["event"] == "bf16 is not used"]
    [loaded] = [line for line in log if line["event"] == "encoder loaded"]
    assert "bf16" in obstacle["reason"]
    assert set(loaded["precisions"].values()) == {"f32"}
    assert loaded["cpu"].endswith("capped at AVX2)")


@pytest.mark.cpu_class
def test_demo_bundle_is_proven_where_bf16_does_not_run() -> None:
    command = [str(Path(sys.executable).with_name("duoact-train")), "verify", str(DEMO)]
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "OpenVINO bf16 is not run" in done.stdout
