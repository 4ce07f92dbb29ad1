"""Who is woken by what: the rules of Prometheus against invented hours of a service."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docker.files import DOCKER

_CASES = Path(__file__).with_name("alerts.yml")


def _require_promtool() -> None:
    if shutil.which("promtool") is None:
        reason = "no promtool: .ci/test installs it (Debian: prometheus)"
        if os.environ.get("TESTS_REQUIRE_PROMTOOL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)


def test_alerts_wake_the_right_people(tmp_path: Path) -> None:
    _require_promtool()
    shutil.copy(DOCKER / "prometheus" / "rules.yml", tmp_path)
    shutil.copy(_CASES, tmp_path)
    found = subprocess.run(["promtool", "test", "rules", _CASES.name], cwd=tmp_path, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr
