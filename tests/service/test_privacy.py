"""Nothing that the project is built on tells anybody that it is used."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_LEAVES_NO_TRACE = """
import socket, sys
def refuse(*arguments): raise AssertionError("something was looked up")
socket.getaddrinfo = refuse
import {module}, openvino
assert openvino.Core().available_devices
assert sys.modules["openvino_telemetry"] is None
"""


@pytest.mark.parametrize("module", ["service.encoders.embedded", "training.export.engines"])
def test_engines_report_to_nobody(tmp_path: Path, module: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "CI"} | {"HOME": str(tmp_path)}
    command = [sys.executable, "-c", _LEAVES_NO_TRACE.format(module=module)]
    subprocess.run(command, check=True, env=environment)
    assert not (tmp_path / "intel").exists()
