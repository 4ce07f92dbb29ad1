"""The embedded engine: OpenVINO on the CPU reads the same ONNX files that Triton serves."""

import asyncio
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from service.contract.cpu import describe_cpu
from service.contract.engine import choose_precision, explain_failure, find_obstacle, open_core
from service.contract.errors import BundleError, DeadlineExceededError, EncoderUnavailableError
from service.contract.layout import graph_file
from service.contract.manifest import Bundle
from service.contract.precision import Precision, WantedPrecision
from service.encoders.assembly import assemble_encoders, served_specs
from service.encoders.base import Encoders
from service.encoders.time_limit import TimeLimit

_logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class EngineOptions:
    """How OpenVINO runs: ``auto`` takes bf16 for videos where the CPU runs it; 0 threads means all cores.

    ``cache_dir`` keeps compiled models, which makes the next start faster.
    """

    precision: WantedPrecision = "auto"
    num_threads: int = 0
    cache_dir: Path | None = None


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
            model = open_core().compile_model(path, "CPU", properties)
            self._calls, self._replays = (_Line(model.create_infer_request(), name=self._name) for _ in range(2))
        except RuntimeError as error:
            raise BundleError(f"{path} cannot be loaded: {explain_failure(error)}; export the bundle again") from error

    async def run(
        self, inputs: Mapping[str, np.ndarray], *, limit: TimeLimit | None = None
    ) -> Mapping[str, np.ndarray]:
        """Run the graph once, after the calls that came before; a run that has begun is finished."""
        return await self._run(self._calls, inputs, limit=limit)

    async def replay(self, inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """Run the graph once, after the call that is running, but ahead of those that wait."""
        return await self._run(self._replays, inputs, limit=None)

    async def _run(
        self, line: "_Line", inputs: Mapping[str, np.ndarray], *, limit: TimeLimit | None
    ) -> Mapping[str, np.ndarray]:
        try:
            return await asyncio.get_running_loop().run_in_executor(line.thread, line.infer, inputs, limit)
        except RuntimeError as error:
            raise EncoderUnavailableError(f"{self._name} failed: {explain_failure(error)}") from error

    def close(self) -> None:
        """Finish the running call and drop the waiting ones."""
        for line in (self._calls, self._replays):
            line.thread.shutdown(wait=True, cancel_futures=True)


class _Line:
    """Calls of one model that wait for each other: an inference request of OpenVINO and a thread of its own."""

    def __init__(self, request: Any, *, name: str) -> None:  # noqa: ANN401 - the engine has no types
        self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._name = name
        self._request = request

    def infer(self, inputs: Mapping[str, np.ndarray], limit: TimeLimit | None) -> dict[str, np.ndarray]:
        """Run the model once, unless its time is up."""
        if limit is not None and not limit.remaining_seconds:
            raise DeadlineExceededError(f"the deadline passed before the turn of {self._name}; allow more time")
        results = self._request.infer({name: np.ascontiguousarray(array) for name, array in inputs.items()})
        return {name: np.array(value) for port, value in results.items() for name in port.get_names()}


def load_embedded_encoders(bundle: Bundle, *, options: EngineOptions) -> Encoders:
    """Compile a bundle's graphs for this CPU, each in the precision that it is served in here.

    Raises:
        BundleError: a graph, a tokenizer or the golden vectors cannot be read; the message names the file.
    """
    options = replace(options, cache_dir=_usable(options.cache_dir))
    graphs = {
        spec.name: OpenVINOGraph(
            bundle.directory / graph_file(spec.name, "onnx"),
            precision=choose_precision(options.precision, graph=spec.name, sections=bundle.manifest.sections),
            options=options,
        )
        for spec in served_specs(bundle)
    }
    if options.precision != "f32":
        _report_obstacle(bundle, wanted=options.precision)
    precisions = {name: graph.precision for name, graph in graphs.items()}
    _logger.info("encoder loaded", engine="openvino", cpu=describe_cpu(), precisions=precisions)

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


def _report_obstacle(bundle: Bundle, *, wanted: WantedPrecision) -> None:
    """Log why videos are not encoded in bf16, if they are not: a warning only where it was asked for."""
    objection = bundle.manifest.sections.find_objection("video_encoder", "bf16")
    if obstacle := find_obstacle("bf16") or objection:
        (_logger.warning if wanted == "bf16" else _logger.info)("bf16 is not used", reason=obstacle)
