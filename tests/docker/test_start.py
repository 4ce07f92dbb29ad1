"""What the container of Triton starts over a bundle."""

import re
import subprocess
from pathlib import Path

from tests.docker.files import DOCKER

_SERVE = DOCKER / "triton" / "serve.sh"


def _serve(repository: Path, *, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Start Triton where ``tritonserver`` is a script that prints its arguments."""
    server = tmp_path / "tritonserver"
    server.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    server.chmod(0o755)
    variables = {"PATH": f"{tmp_path}:/usr/bin:/bin", "MODEL_REPOSITORY": str(repository), **environment}
    return subprocess.run(["bash", _SERVE, "--log-verbose=1"], env=variables, capture_output=True, text=True)


def test_triton_loads_the_models_of_a_bundle_and_nothing_else(tmp_path: Path) -> None:
    for name in ("video_encoder", "text_encoder_en"):
        (tmp_path / "bundle" / name).mkdir(parents=True)
        (tmp_path / "bundle" / name / "config.pbtxt").touch()
    (tmp_path / "bundle" / "label_banks").mkdir()
    arguments = _serve(tmp_path / "bundle", tmp_path=tmp_path, TRITON_ADMIN_KEY="k").stdout.splitlines()
    assert arguments == [
        f"--model-repository={tmp_path / 'bundle'}",
        "--model-control-mode=explicit",
        "--load-model=text_encoder_en",
        "--load-model=video_encoder",
        "--http-restricted-api=model-repository,shared-memory,logging,trace:admin-key=k",
        "--grpc-restricted-protocol=model-repository,shared-memory,logging,trace:admin-key=k",
        "--cache-config=local,size=67108864",
        "--grpc-max-connection-age=60000",
        "--grpc-max-connection-age-grace=60000",
        "--exit-timeout-secs=30",
        "--log-verbose=1",
    ]


def test_without_a_key_nobody_knows_the_one_that_is_taken(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.pbtxt").touch()
    keys = {re.search("admin-key=(.*)", _serve(tmp_path, tmp_path=tmp_path).stdout)[1] for _ in range(2)}  # type: ignore[index]
    assert [len(key) for key in keys] == [32, 32]


def test_triton_is_not_started_without_a_bundle(tmp_path: Path) -> None:
    finished = _serve(tmp_path, tmp_path=tmp_path)
    assert (finished.returncode, finished.stdout) == (2, "")
    assert finished.stderr == f"no */config.pbtxt in {tmp_path}; mount a bundle there\n"
