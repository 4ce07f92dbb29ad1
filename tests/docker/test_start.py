"""What containers start: Triton over a bundle, and the proxy."""

import contextlib
import re
import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from tests.docker.files import DOCKER
from tests.end_to_end.server import free_port
from tests.triton.certificates import write_certificate

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


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="no haproxy on this machine")
def test_proxy_without_a_gateway_answers_over_tls_with_a_document_and_when_to_come_back(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path / "made")
    sites, port = tmp_path / "sites", free_port()
    sites.mkdir()
    (sites / "site.pem").write_bytes(certificate.read_bytes() + key.read_bytes())
    text = (DOCKER / "haproxy" / "haproxy.cfg").read_text()
    (tmp_path / "haproxy.cfg").write_text(
        text.replace("/certificates/", f"{sites}/").replace(":8443", f"127.0.0.1:{port}")
    )
    proxy = subprocess.Popen(["haproxy", "-f", tmp_path / "haproxy.cfg"], stdout=subprocess.DEVNULL)
    try:
        with httpx.Client(verify=ssl.create_default_context(cafile=certificate)) as client:
            refused = client.get(f"https://127.0.0.1:{port}/readyz") if _is_up(port) else None
    finally:
        proxy.kill()
        proxy.wait()
    assert refused is not None
    assert (refused.status_code, refused.json()["detail"]) == (503, "no gateway is ready; try again")
    assert (refused.headers["content-type"], refused.headers["retry-after"]) == ("application/problem+json", "2")


def _is_up(port: int) -> bool:
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        time.sleep(0.1)
    return False
