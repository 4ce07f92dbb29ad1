"""A real ``tritonserver`` process for tests, from the binary that the nvidia-pytriton wheel carries.

The wheel has no backends for ONNX Runtime and PyTorch. Triton lets a Python file in ``backends/<name>/`` be the backend
of that name, so the files beside this one stand in for them, and a bundle's own ``config.pbtxt`` are served as they
are. The server has a virtual environment of its own (``.ci/triton``), because its Python stub needs numpy 1.
"""

import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.end_to_end.server import ROOT, free_port

_SHIMS = Path(__file__).parent / "backends"
# Ten times what a start takes. Where a machine is so busy that a stub stands still for seconds, a server may end while
# it starts, or wait for that stub for ever.
_START_SECONDS = 20.0
_MAX_STARTS = 5
_LAYOUT = "import sysconfig as s; print(s.get_path('purelib'), s.get_config_var('LIBDIR'), s.get_python_version())"


def find_server_python() -> Path | None:
    """The Python of the server's environment, or None where there is none."""
    python = Path(os.environ.get("TESTS_TRITON_PYTHON", ROOT / ".ci" / "triton" / "bin" / "python"))
    return python if python.is_file() else None


class Installation:
    """The server's binary with a folder of backends put together for it."""

    def __init__(self, python: Path, *, backends: Path) -> None:
        packages, libraries, version = subprocess.check_output([python, "-c", _LAYOUT], text=True).split()
        home = Path(packages, "pytriton", "tritonserver")
        stub = home / "python_backend_stubs" / version / "triton_python_backend_stub"
        shutil.copytree(home / "backends" / "python", backends / "python")
        Path(shutil.copy(stub, backends / "python")).chmod(0o755)
        for shim in ("onnxruntime", "pytorch"):
            shutil.copytree(_SHIMS / shim, backends / shim)
        self.command = [
            str(home / "bin" / "tritonserver"),
            f"--backend-directory={backends}",
            f"--cache-directory={home / 'caches'}",
            "--allow-gpu-metrics=false",
            "--pinned-memory-pool-byte-size=0",
        ]
        self.environment = {
            # The interpreter inside the stub takes its prefix from the first Python on the path, and must load that
            # Python's own library, not the system's.
            "PATH": f"{python.parent}:{os.environ['PATH']}",
            "LD_LIBRARY_PATH": f"{libraries}:{packages}/nvidia_pytriton.libs",
            "OMP_NUM_THREADS": "1",
        }


class TritonServer:
    """One server process over a model repository; ports stay the same over restarts.

    Args:
        installation: the binary and its backends.
        repository: the folder of models; a bundle is one.
        log: file that the server's output is appended to.
        arguments: further arguments of the server.
    """

    def __init__(
        self, installation: Installation, *, repository: Path, log: Path, arguments: Sequence[str] = ()
    ) -> None:
        self._installation = installation
        self._log = log
        self._http_port, self._grpc_port, self._metrics_port = free_port(), free_port(), free_port()
        self._memory_prefix = f"duoact{secrets.token_hex(4)}"
        models = sorted(path.parent.name for path in repository.glob("*/config.pbtxt"))
        self._arguments = [
            f"--model-repository={repository}",
            "--model-control-mode=explicit",
            *(f"--load-model={model}" for model in models),
            *(f"--{kind}-address=127.0.0.1" for kind in ("http", "grpc", "metrics")),
            f"--http-port={self._http_port}",
            f"--grpc-port={self._grpc_port}",
            f"--metrics-port={self._metrics_port}",
            "--exit-on-error=false",
            "--exit-timeout-secs=5",
            f"--backend-config=python,shm-region-prefix-name={self._memory_prefix}",
            *arguments,
        ]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where gRPC listens."""
        return f"127.0.0.1:{self._grpc_port}"

    def start(self) -> None:
        """Start the process and wait until it has loaded, or failed to load, every model."""
        for _ in range(_MAX_STARTS):
            if self._start():
                return
            self.wait()
        raise RuntimeError(f"tritonserver did not start: {self.read_log()[-3000:]}")

    def _start(self) -> bool:
        """Start the process; returns whether it came up."""
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [*self._installation.command, *self._arguments],
                stdout=output,
                stderr=output,
                env=self._installation.environment,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._is_up():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._process.kill()
                return False
            time.sleep(0.05)
        return True

    def send(self, number: signal.Signals) -> None:
        """Send the server's process a signal."""
        if self._process is not None:
            self._process.send_signal(number)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Let the server stand still; it does once none of its threads runs."""
        self.send(signal.SIGSTOP)
        try:
            while not self._stands_still():
                time.sleep(0.01)
            yield
        finally:
            self.send(signal.SIGCONT)

    def is_ready(self) -> bool:
        """Whether the server takes requests; one that ends does not, and finishes those it has."""
        try:
            return httpx.get(f"http://127.0.0.1:{self._http_port}/v2/health/ready", timeout=1).is_success
        except httpx.TransportError:
            return False

    def wait(self, timeout_seconds: float = 30.0) -> int:
        """Wait until the process has ended, end what it left behind, and return its exit status."""
        if self._process is None:
            return 0
        try:
            return self._process.wait(timeout_seconds)
        finally:
            # A server that is killed leaves its stubs and their shared memory.
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
            for region in Path("/dev/shm").glob(f"{self._memory_prefix}*"):
                region.unlink(missing_ok=True)

    def kill(self) -> None:
        """End the process at once."""
        self.send(signal.SIGKILL)
        self.wait()

    def load(self, model: str) -> None:
        """Load a model, or load it again as it now is on disk."""
        url = f"http://127.0.0.1:{self._http_port}/v2/repository/models/{model}/load"
        response = httpx.post(url, timeout=_START_SECONDS)
        if response.status_code != httpx.codes.OK:
            raise RuntimeError(f"{model} was not loaded: {response.text}")

    def unload(self, model: str) -> None:
        """Unload a model."""
        url = f"http://127.0.0.1:{self._http_port}/v2/repository/models/{model}/unload"
        httpx.post(url, timeout=_START_SECONDS).raise_for_status()

    def read_metric(self, name: str, *, model: str) -> float:
        """A counter of one model, summed over its versions."""
        text = httpx.get(f"http://127.0.0.1:{self._metrics_port}/metrics").text
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        return sum(s.value for s in samples if s.name == name and s.labels.get("model") == model)

    def read_log(self) -> str:
        """What the server has said so far."""
        return self._log.read_text(errors="replace")

    def _stands_still(self) -> bool:
        assert self._process is not None
        states = Path(f"/proc/{self._process.pid}/task").glob("*/stat")
        return all(state.read_text().rpartition(")")[2].split()[0] == "T" for state in states)

    def _is_up(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self._http_port}/v2/health/live", timeout=1).is_success
        except httpx.TransportError:
            return False
