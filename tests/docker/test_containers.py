"""The images of gateway and training, and the composition of several gateways, built and run for real.

It takes minutes, root and Debian's packages buildah, podman, runc, netavark, aardvark-dns, iptables, uidmap,
golang-github-containers-common and debootstrap, and so runs only where it is asked for: TESTS_REQUIRE_CONTAINERS=1.
"""

import os
import shutil
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from service.contract.manifest import open_bundle
from tests.docker.engine import GATEWAY, TRAINING, Engine, wait_until
from tests.docker.files import DOCKER
from tests.end_to_end.server import ROOT, free_port
from tests.triton.certificates import write_certificate
from tests.videos import write_numbered_video

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(os.environ.get("TESTS_REQUIRE_CONTAINERS") != "1", reason="TESTS_REQUIRE_CONTAINERS is not 1"),
]
_BUNDLE = ROOT / "model_repository" / "demo"
_LIMIT_BYTES = 900_000_000
_LOCKED = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--tmpfs", "/tmp:size=512m"]


@pytest.fixture(scope="module")
def engine() -> Engine:
    built = Engine()
    built.build("gateway", "redis", "proxy")
    return built


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_numbered_video(tmp_path / "clip.mp4", num_frames=30)


@pytest.fixture
def gateway(engine: Engine) -> Iterator[tuple[str, httpx.Client]]:
    """One gateway, locked down: its container's name and a client."""
    port, name = free_port(), f"duoact-test-{os.getpid()}"
    engine.run(
        "run", "-d", "--name", name, *_LOCKED, "-v", f"{_BUNDLE}:/bundle:ro", "-p", f"127.0.0.1:{port}:8000", GATEWAY
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            wait_until(lambda: client.get("/readyz").status_code == 200)
            yield name, client
    finally:
        engine.run("rm", "-f", "-v", name)


def _ask(client: httpx.Client, clip: Path, *, label: str = "square moving left") -> httpx.Response:
    with clip.open("rb") as video:
        return client.post("/recognize", files={"video": video}, data={"labels": f'["{label}", "circle growing"]'})


def test_image_is_lean(engine: Engine) -> None:
    assert int(engine.run("image", "inspect", "--format", "{{.Size}}", GATEWAY).stdout) < _LIMIT_BYTES
    imported = engine.run("run", "--rm", "--entrypoint", "python3", GATEWAY, "-c", "import torch", check=False)
    assert "No module named 'torch'" in imported.stderr


def test_unknown_variable_is_named(engine: Engine) -> None:
    refused = engine.run("run", "--rm", "-e", "DUOACT_PROT=80", GATEWAY, check=False)
    # podman itself complains where there is no systemd.
    said = refused.stderr.splitlines()[-1]
    assert (refused.returncode, said) == (2, "duoact: DUOACT_PROT is no setting: did you mean DUOACT_PORT?")


def test_locked_container_answers_is_healthy_and_stops(
    engine: Engine, gateway: tuple[str, httpx.Client], clip: Path
) -> None:
    name, client = gateway
    assert _ask(client, clip).json()["predictions"][0]["rank"] == 1
    engine.run("healthcheck", "run", name)
    assert engine.run("exec", name, "id", "-u").stdout == "10001\n"
    engine.run("stop", "-t", "40", name)
    assert engine.run("inspect", "--format", "{{.State.ExitCode}}", name).stdout == "0\n"


def test_locked_container_trains_and_exports(engine: Engine, tmp_path: Path) -> None:
    engine.build("training")
    work = tmp_path / "work"
    work.mkdir()
    os.chown(work, 10001, 10001)
    engine.run("run", "--rm", *_LOCKED, "-v", f"{work}:/work", TRAINING, "demo", "--miniature", "--out", "/work/mini")
    assert open_bundle(work / "mini").manifest.name == "mini"
    assert sorted(path.name for path in work.iterdir()) == ["mini", "runs"]


@pytest.fixture
def composition(engine: Engine, tmp_path: Path) -> Iterator[httpx.Client]:
    """Two gateways, Redis and the proxy with TLS; a client of the proxy."""
    shutil.copytree(DOCKER, tmp_path / "docker")
    shutil.copy(DOCKER / ".env.example", tmp_path / "docker" / ".env")
    certificate, key = write_certificate(tmp_path / "made")
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "site.pem").write_bytes(certificate.read_bytes() + key.read_bytes())
    address = f"127.0.0.1:{free_port()}"
    images = {f"{name.upper()}_IMAGE": f"localhost/duoact-{name}" for name in ("gateway", "redis", "proxy")}
    folders = {"BUNDLE": str(_BUNDLE), "CERTIFICATES": str(tmp_path / "sites")}
    settings = {**images, **folders, "PUBLISH_TLS": address}
    try:
        engine.compose("--profile", "scale", "up", "-d", "--no-build", directory=tmp_path, settings=settings)
        with httpx.Client(
            base_url=f"https://{address}", verify=ssl.create_default_context(cafile=certificate), timeout=60
        ) as client:
            yield client
    finally:
        engine.compose("--profile", "scale", "down", "-v", directory=tmp_path, settings=settings)


def _find(engine: Engine, name: str) -> list[str]:
    return engine.run("ps", "--filter", f"name={name}", "--format", "{{.Names}}").stdout.split()


def test_gateways_share_label_banks_and_each_may_go(engine: Engine, composition: httpx.Client, clip: Path) -> None:
    replicas = _find(engine, "replica")
    assert len(replicas) == 2
    wait_until(lambda: all(engine.run("healthcheck", "run", name, check=False).returncode == 0 for name in replicas))
    wait_until(lambda: composition.get("/readyz").status_code == 200)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: _ask(composition, clip, label=f"text {number}"), range(8)))
    assert [answer.status_code for answer in answers] == [200] * 8
    asked = [engine.run("logs", name) for name in replicas]
    assert all('"/recognize"' in logs.stdout + logs.stderr for logs in asked)
    (redis,) = _find(engine, "redis")
    assert int(engine.run("exec", redis, "redis-cli", "dbsize").stdout) > 0
    engine.run("kill", redis)
    # A lost Redis costs speed, never an answer.
    assert _ask(composition, clip, label="circle moving up").status_code == 200
    engine.run("kill", replicas[0])
    wait_until(lambda: _ask(composition, clip).status_code == 200)
    assert [_ask(composition, clip).status_code for _ in range(4)] == [200] * 4
    assert composition.get("/metrics").status_code == 404
