"""The shipped proxy in front of gateways of this machine."""

import contextlib
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.docker.files import DOCKER
from tests.end_to_end.server import free_port
from tests.triton.certificates import write_certificate


@dataclass(frozen=True)
class Proxy:
    """Where a proxy answers, and whom its clients trust."""

    url: str
    trust: ssl.SSLContext


@contextlib.contextmanager
def run_proxy(directory: Path, *, gateways: Sequence[int] = ()) -> Iterator[Proxy]:
    """Start the proxy as it is shipped, but with gateways at ports of this machine in place of names."""
    certificate, key = write_certificate(directory / "made")
    sites, port = directory / "sites", free_port()
    sites.mkdir()
    (sites / "site.pem").write_bytes(certificate.read_bytes() + key.read_bytes())
    text = (DOCKER / "haproxy" / "haproxy.cfg").read_text()
    text = text.replace("/certificates/", f"{sites}/").replace(":8443", f"127.0.0.1:{port}")
    if gateways:
        template = "    server-template gateway 1-16 replica:8000\n"
        assert template in text
        servers = (f"    server gateway{number} 127.0.0.1:{each}\n" for number, each in enumerate(gateways))
        text = text.replace(template, "".join(servers)).replace(" resolvers containers init-addr none", "")
    (directory / "haproxy.cfg").write_text(text)
    process = subprocess.Popen(["haproxy", "-f", directory / "haproxy.cfg"], stdout=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield Proxy(f"https://127.0.0.1:{port}", ssl.create_default_context(cafile=certificate))
    finally:
        process.kill()
        process.wait()


def _wait_for(port: int) -> None:
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise TimeoutError(f"nothing listens on port {port}")
