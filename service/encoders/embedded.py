"""The embedded engine: OpenVINO on the CPU reads the same ONNX files that Triton serves."""

import asyncio
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import openvino as ov
import structlog

from service.contract.errors import BundleError, EncoderUnavailableError
from service.contract.manifest import Bundle
from service.encoders.assembly import assemble_encoders, served_specs
from service.encoders.base import Encoders, Precision

_logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class EngineOptions:
    """How OpenVINO runs: ``auto`` takes bf16 where the CPU has it; 0 threads means all cores.

    ``cache_dir`` keeps compiled models, which makes the next start faster.
    """

    precision: Literal["auto", "f32", "bf16"] = "auto"
    num_threads: int = 0
    cache_dir: Path | None = None


@cache
def open_core() -> ov.Core:
    """Open the core of this process, which lives as long as the process does.

    Its CPU plugin lends a signal stack to the thread that opens it and frees that stack on the thread that closes it.
    Closed on another thread, it would leave the first to die of its next signal.
    """
    return ov.Core()


class OpenVINOGraph:
    """One compiled ONNX file; calls run one after another on a thread of their own, all cores each.

    The event loop never blocks: a call that is given up before its turn is never run.
    """

    def __init__(self, path: Path, *, precision: Precision, options: EngineOptions) -> None:
        self.precision: Precision = precision
        self._name = path.parent.parent.name
        properties: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
        if options.num_threads:
            properties["INFERENCE_NUM_THREADS"] = options.num_threads
        if options.cache_dir is not None:
            properties["CACHE_DIR"] = str(options.cache_dir)
        try:
            self._request = open_core().compile_model(path, "CPU", properties).create_infer_request()
        except RuntimeError as error:
            raise BundleError(f"{path} cannot be loaded: {_reason(error)}; export the bundle again") from error
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=self._name)

    async def run(self, inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """Run the graph once, after the calls that came before."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._infer, inputs)
        except RuntimeError as error:
            raise EncoderUnavailableError(f"{self._name} failed: {_reason(error)}") from error

    def close(self) -> None:
        """Finish the running call and drop the waiting ones."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _infer(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        results = self._request.infer({name: np.ascontiguousarray(array) for name, array in inputs.items()})
        return {name: np.array(value) for port, value in results.items() for name in port.get_names()}


def choose_precision(wanted: Literal["auto", "f32", "bf16"], *, capabilities: list[str]) -> Precision:
    """Take bf16 where the CPU multiplies it in hardware, unless told otherwise."""
    if wanted != "auto":
        return wanted
    return "bf16" if "BF16" in capabilities else "f32"


def load_embedded_encoders(bundle: Bundle, *, options: EngineOptions) -> Encoders:
    """Compile a bundle's graphs for this CPU.

    Texts are always encoded in f32: each is encoded once and kept, so exactness is worth more there than speed.

    Raises:
        BundleError: a graph, a tokenizer or the golden vectors cannot be read; the message names the file.
    """
    options = replace(options, cache_dir=_usable(options.cache_dir))
    capabilities = open_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    precision = choose_precision(options.precision, capabilities=capabilities)
    graphs = {
        spec.name: OpenVINOGraph(
            bundle.directory / spec.file_name("onnx"),
            precision=precision if spec.name == "video_encoder" else "f32",
            options=options,
        )
        for spec in served_specs(bundle)
    }
    _logger.info("encoder loaded", engine="openvino", precision=precision, graphs=sorted(graphs))

    def close() -> None:
        for graph in graphs.values():
            graph.close()

    return assemble_encoders(bundle, graphs=graphs, close=close)


def _usable(cache_dir: Path | None) -> Path | None:
    """The directory, if files can be made there; without one the next start is slower, and nothing else changes."""
    try:
        if cache_dir is not None:
            cache_dir.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=cache_dir).close()
    except OSError as error:
        _logger.warning("compiled models are not kept", error=str(error))
        return None
    return cache_dir


def _reason(error: Exception) -> str:
    """What OpenVINO complains of, without the places in its source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(line for line in lines if not line.startswith("Exception from")) or type(error).__name__
