"""The shipped proxy: it answers for gateways that are away, hides metrics, and loses nothing of one that drains."""

import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.docker.proxy import Proxy, run_proxy
from tests.end_to_end.server import free_port, start_server, wait_until_ready
from tests.tiny_graphs import write_tiny_bundle
from tests.videos import Encoding, as_another_file, write_numbered_video

pytestmark = pytest.mark.skipif(shutil.which("haproxy") is None, reason="no haproxy on this machine")


class Gateway:
    """A real gateway over a tiny bundle."""

    def __init__(self, bundle: Path, *, log: Path) -> None:
        self.port = free_port()
        self._log = log
        settings = {"DUOACT_CACHE_DIR": "", "DUOACT_DRAIN_DELAY_SECONDS": "3", "DUOACT_LOG_LEVEL": "error"}
        self.process = start_server(bundle, port=self.port, log=log, settings=settings)

    def wait_until_ready(self) -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{self.port}") as client:
            wait_until_ready(client, self.process, self._log)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def gateways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Gateway]]:
    directory = tmp_path_factory.mktemp("gateways")
    bundle = write_tiny_bundle(directory / "tiny")
    running = [Gateway(bundle, log=directory / f"log{number}") for number in range(2)]
    for gateway in running:
        gateway.wait_until_ready()
    yield running
    for gateway in running:
        gateway.close()


def test_proxy_without_a_gateway_answers_over_tls_with_a_document_and_when_to_come_back(tmp_path: Path) -> None:
    with run_proxy(tmp_path) as proxy, httpx.Client(verify=proxy.trust) as client:
        refused = client.get(f"{proxy.url}/readyz")
    assert (refused.status_code, refused.json()["detail"]) == (503, "no gateway is ready; try again")
    assert (refused.headers["content-type"], refused.headers["retry-after"]) == ("application/problem+json", "2")


def _wait_for_gateways(proxy: Proxy, client: httpx.Client) -> None:
    for _ in range(100):
        if client.get(f"{proxy.url}/readyz").status_code == 200:
            return
        time.sleep(0.1)
    raise TimeoutError("the proxy finds no gateway")


@pytest.mark.parametrize("path", ["/metrics", "/%6detrics", "/metric%73", "/%2Fmetrics", "//metrics", "/metrics/"])
def test_metrics_are_hidden_under_every_spelling(path: str, gateways: list[Gateway], tmp_path: Path) -> None:
    with run_proxy(tmp_path, gateways=[gateway.port for gateway in gateways]) as proxy:
        with httpx.Client(verify=proxy.trust) as client:
            _wait_for_gateways(proxy, client)
        # httpx would make the path plain.
        command = ["curl", "-s", "-k", "--path-as-is", "-o", "/dev/null", "-w", "%{http_code}", proxy.url + path]
        assert subprocess.run(command, capture_output=True, text=True).stdout == "404"


def test_gateway_that_drains_under_load_loses_no_request(gateways: list[Gateway], tmp_path: Path) -> None:
    video = write_numbered_video(tmp_path / "clip.mp4", num_frames=60, encoding=Encoding(size=(640, 480))).read_bytes()
    statuses: Counter[int | str] = Counter()
    is_over = threading.Event()
    with run_proxy(tmp_path, gateways=[gateway.port for gateway in gateways]) as proxy:

        def ask(number: int) -> None:
            with httpx.Client(verify=proxy.trust, timeout=60.0) as client:
                while not is_over.is_set():
                    number += 100
                    try:
                        files = {"video": as_another_file(video, mark=number)}
                        answer = client.post(f"{proxy.url}/recognize", files=files, data={"labels": '["a", "b"]'})
                        statuses[answer.status_code] += 1
                    except httpx.TransportError as error:
                        statuses[repr(error)] += 1

        with httpx.Client(verify=proxy.trust) as client:
            _wait_for_gateways(proxy, client)
        with ThreadPoolExecutor(6) as clients:
            asking = [clients.submit(ask, number) for number in range(6)]
            time.sleep(1.5)
            gateways[0].process.send_signal(signal.SIGTERM)
            gateways[0].process.wait(timeout=30)
            num_before = statuses[200]
            time.sleep(1.0)
            is_over.set()
            for each in asking:
                each.result()
    assert statuses[200] > num_before > 0, statuses
    assert set(statuses) == {200}, statuses
